// dashboard-check reads dashboards with the types that Grafana publishes of its own schema, strictly: a key that the
// schema does not have, a value of another type, or one that its constraints refuse, is printed with its place.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	failed := false
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			fmt.Printf("%s:\n%s\n", file, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !json.Valid(raw) {
		return fmt.Errorf("no JSON")
	}
	var strict, read dashboard.Dashboard
	shape := strict.UnmarshalJSONStrict(raw)
	if err := json.Unmarshal(raw, &read); err != nil {
		return errors.Join(shape, err)
	}
	return errors.Join(shape, read.Validate())
}
