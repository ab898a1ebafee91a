// alloy runs Alloy's own runtime with the components that our configurations use, and takes the arguments of
// `alloy run`. Alloy whole is out of reach of a test machine: most of its build is components that no cluster of ours
// has. Left out beside them: its user interface, clustering, remote configuration and usage reports.
//
// The module's path lies below those of Alloy and of its language, so that Go lets it import what is internal there.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"

	"github.com/grafana/alloy/internal/featuregate"
	"github.com/grafana/alloy/internal/runtime"
	"github.com/grafana/alloy/internal/runtime/logging"
	"github.com/grafana/alloy/internal/service"
	"github.com/grafana/alloy/internal/service/livedebugging"
	"github.com/grafana/alloy/syntax/internal/stdlib"

	_ "github.com/grafana/alloy/internal/component/discovery/kubernetes"
	_ "github.com/grafana/alloy/internal/component/discovery/relabel"
	_ "github.com/grafana/alloy/internal/component/local/file_match"
	_ "github.com/grafana/alloy/internal/component/loki/process"
	_ "github.com/grafana/alloy/internal/component/loki/relabel"
	_ "github.com/grafana/alloy/internal/component/loki/source/file"
	_ "github.com/grafana/alloy/internal/component/loki/source/journal"
	_ "github.com/grafana/alloy/internal/component/loki/source/kubernetes_events"
	_ "github.com/grafana/alloy/internal/component/loki/write"
)

// version is stamped at build time.
var version = "unknown"

// Later versions call env so, and ours has to read what they read.
func init() { stdlib.Identifiers["sys"] = map[string]any{"env": os.Getenv} }

func main() {
	flags := pflag.NewFlagSet("alloy", pflag.ExitOnError)
	storage := flags.String("storage.path", "data-alloy/", "where components store data")
	listen := flags.String("server.http.listen-addr", "127.0.0.1:12345", "address of /metrics and /-/ready")
	flags.Bool("disable-reporting", false, "accepted: nothing is reported anyway")
	printVersion := flags.Bool("version", false, "print the version and end")
	_ = flags.Parse(os.Args[1:])
	if *printVersion {
		fmt.Println("alloy, version", version)
		return
	}
	if flags.NArg() != 2 || flags.Arg(0) != "run" {
		fail(errors.New("usage: alloy run [options] FILE"))
	}
	if err := run(flags.Arg(1), *storage, *listen); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func run(path, storage, listen string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	source, err := runtime.ParseSource(path, content)
	if err != nil {
		return err
	}
	logger, err := logging.NewDeferred(os.Stderr)
	if err != nil {
		return err
	}
	controller := runtime.New(runtime.Options{
		Logger:       logger,
		DataPath:     storage,
		Reg:          prometheus.DefaultRegisterer,
		MinStability: featuregate.StabilityGenerallyAvailable,
		Services:     []service.Service{livedebugging.New()},
	})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ended := make(chan struct{})
	go func() { defer close(ended); controller.Run(ctx) }()
	if err := controller.LoadSource(source, nil); err != nil {
		return err
	}
	http.Handle("/metrics", promhttp.Handler())
	http.HandleFunc("/-/ready", func(answer http.ResponseWriter, _ *http.Request) {
		if !controller.Ready() {
			answer.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	go func() { fail(http.ListenAndServe(listen, nil)) }()
	<-ended
	return nil
}
