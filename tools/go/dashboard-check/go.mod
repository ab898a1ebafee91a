module observability/tools/dashboard-check

go 1.26.0

require github.com/grafana/grafana-foundation-sdk/go v0.0.0-20260129154346-aba721fdefde
