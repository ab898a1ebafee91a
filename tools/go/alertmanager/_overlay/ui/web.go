// Package ui serves one plain page: the files of the real one are not in the Go module.
package ui

import (
	_ "embed"
	"net/http"

	"github.com/prometheus/common/route"
)

//go:embed page.html
var page []byte

// Register puts the page at the root.
func Register(r *route.Router) {
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(page)
	})
}
