// Command trivy-kubernetes runs Trivy's own checks of Kubernetes objects over a folder of files and prints what each
// says of each as a line of JSON. Of Trivy it has that scanner alone, with the checks that its module embeds.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/aquasecurity/trivy/pkg/iac/rego"
	"github.com/aquasecurity/trivy/pkg/iac/scan"
	"github.com/aquasecurity/trivy/pkg/iac/scanners/kubernetes"
	"github.com/aquasecurity/trivy/pkg/log"
)

type line struct {
	File     string `json:"file"`
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Passed   bool   `json:"passed"`
	Message  string `json:"message"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: trivy-kubernetes FOLDER")
		os.Exit(2)
	}
	log.SetDefault(log.New(slog.NewTextHandler(io.Discard, nil)))
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(folder string) error {
	scanner := kubernetes.NewScanner(rego.WithEmbeddedPolicies(true), rego.WithEmbeddedLibraries(true))
	results, err := scanner.ScanFS(context.Background(), os.DirFS(folder), ".")
	if err != nil {
		return err
	}
	output := json.NewEncoder(os.Stdout)
	for _, found := range results {
		said := line{
			File:     found.Range().GetFilename(),
			Check:    found.Rule().AVDID,
			Severity: string(found.Severity()),
			Passed:   found.Status() != scan.StatusFailed,
			Message:  found.Description(),
		}
		if err := output.Encode(said); err != nil {
			return err
		}
	}
	return nil
}
