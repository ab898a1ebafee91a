# Every target sets up what it needs. `make help` lists them.
STACK ?= dev
YES ?=
TIERS ?= tests
BASE ?= main
URL ?= http://127.0.0.1:9090
WEEKS ?= 1
PYTHON := .venv/bin/python
.DEFAULT_GOAL := help

## help: this list
.PHONY: help
help:
	@echo "make TARGET [STACK=dev]    STACK names the file Pulumi.<STACK>.yaml; one stack is one cluster."
	@echo "A stack whose cluster.distribution is local goes onto a cluster that is made on this machine;"
	@echo "any other onto the cluster of its kubeconfig and context, after a confirmation (YES=1 answers it)."
	@echo
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | awk '{name = $$1; sub(/:$$/, "", name); sub(/^[^ ]+ /, ""); printf "  make %-14s %s\n", name, $$0}'

## setup: the Python environment in .venv
.PHONY: setup
setup: .venv/installed
.venv/installed: requirements.txt requirements-dev.txt
	@test -x $(PYTHON) || python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: python3 is older than 3.11; install Python 3.11 or later" >&2; exit 1; }
	@test -x $(PYTHON) || python3 -m venv .venv || \
	  { echo "error: cannot make .venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the Python packages into .venv ..."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

## up: the main job: deploy STACK (a local cluster is started first, where that is its cluster)
.PHONY: up
up: setup
	@$(PYTHON) -m tools.up up --stack $(STACK) $(if $(YES),--yes)

## preview: what up would change (needs the Pulumi engine)
.PHONY: preview
preview: setup
	@$(PYTHON) -m tools.up preview --stack $(STACK)

## down: stop the local cluster and leave nothing; elsewhere destroy the stack after a confirmation
.PHONY: down
down: setup
	@$(PYTHON) -m tools.up down --stack $(STACK) $(if $(YES),--yes)

## render: every object of STACK as a file under out/STACK/manifests, without engine and cluster
.PHONY: render
render: setup
	@$(PYTHON) -m tools.render --stack $(STACK)

## rules: what STACK ships of the alerts, what it leaves out, and why
.PHONY: rules
rules: setup
	@$(PYTHON) -m tools.rules --stack $(STACK)

## routes: the routes of STACK, and where each of its alerts goes
.PHONY: routes
routes: setup
	@$(PYTHON) -m tools.routes --stack $(STACK)

## silences: the silences of STACK
.PHONY: silences
silences: setup
	@$(PYTHON) -m tools.silences --stack $(STACK)

## silences-check: fail for a lapsed silence of STACK (for pull requests)
.PHONY: silences-check
silences-check: setup
	@$(PYTHON) -m tools.silences --stack $(STACK) --check

## noise: how often each alert fired and went away by itself, from the Prometheus at URL, over WEEKS
.PHONY: noise
noise: setup
	@$(PYTHON) -m tools.noise --url $(URL) --weeks $(WEEKS)

## mutate: change every rule in small ways; a change that no case catches is listed
.PHONY: mutate
mutate: setup
	@$(PYTHON) -m tools.mutate

## diff: what the work tree changes on each cluster against BASE (main); MARKDOWN=file, FAIL_ON=lost-alert
.PHONY: diff
diff: setup
	@$(PYTHON) -m tools.diff --base $(BASE) $(if $(MARKDOWN),--markdown $(MARKDOWN)) $(addprefix --fail-on ,$(FAIL_ON))

## clusters: render every stack file, and one table of what each cluster runs
.PHONY: clusters
clusters: setup
	@$(PYTHON) -m tools.clusters

## new-cluster: write the stack file of a further cluster (NAME, DISTRIBUTION, CONTEXT, ENVIRONMENT; asks for what is missing)
.PHONY: new-cluster
new-cluster: setup
	@$(PYTHON) -m tools.new_cluster $(if $(NAME),--name $(NAME)) $(if $(DISTRIBUTION),--distribution $(DISTRIBUTION)) \
	  $(if $(CONTEXT),--context '$(CONTEXT)') $(if $(ENVIRONMENT),--environment $(ENVIRONMENT))

## sizing: volumes and requests for NODES, PODS and LOGS (MiB/s), as a piece of a stack file; CENTRAL_LOGS=yes for a spoke
.PHONY: sizing
sizing: setup
	@$(PYTHON) -m tools.sizing --nodes $(NODES) --pods $(PODS) --logs $(LOGS) $(if $(DAYS),--days $(DAYS)) \
	  $(if $(LOG_DAYS),--log-days $(LOG_DAYS)) $(if $(filter yes,$(CENTRAL_LOGS)),--central-logs)

## verify: is the deployed STACK whole: log agents, a line, rules, targets, dashboards, heartbeat
.PHONY: verify
verify: setup
	@$(PYTHON) -m tools.verify --stack $(STACK)

## backtest: how often ALERT would have fired on STACK over DAYS, as it is and at SET ("threshold=90% threshold=95%,for=15m")
.PHONY: backtest
backtest: setup
	@$(PYTHON) -m tools.backtest --stack $(STACK) --alert '$(ALERT)' $(if $(SET),--set '$(SET)') $(if $(DAYS),--days $(DAYS)) \
	  $(if $(filter command line,$(origin URL)),--url '$(URL)')

## logs: log lines of the local stack by QUERY, read through Loki's gateway
.PHONY: logs
logs: setup
	@$(PYTHON) -m tools.logs --stack $(STACK) $(if $(QUERY),--query '$(QUERY)')

## inbox: every message that the local stack delivers, as it comes; also a page to open
.PHONY: inbox
inbox: setup
	@$(PYTHON) -m tools.inbox --stack $(STACK)

## fire: cause ALERT on the local stack by the real thing and follow it to the inbox; without ALERT, what can be caused
.PHONY: fire
fire: setup
	@$(PYTHON) -m tools.fire --stack $(STACK) $(ALERT)

## faults: kill and starve the log pipeline, and count what is lost (FULL=1: the long form; AGENT=alloy)
.PHONY: faults
faults: setup
	@$(PYTHON) -m tools.faults $(if $(FULL),--full) $(if $(AGENT),--agent $(AGENT))

## test: fast tests: settings, components, every alert by promtool
.PHONY: test
test: setup
	@$(PYTHON) -m pytest -q -n 2 --dist loadgroup tests/unit tests/rules tests/state

## test-all: every tier; what the machine lacks is said aloud
.PHONY: test-all
test-all: setup
	@$(PYTHON) -m pytest $(TIERS)

## fuzz: 10,000 generated stack files
.PHONY: fuzz
fuzz: setup
	@OBSERVABILITY_FUZZ_EXAMPLES=10000 $(PYTHON) -m pytest -q tests/security/test_fuzz.py

## bench-rules: each rule group's share of its interval, on a real Prometheus with 50000 series
.PHONY: bench-rules
bench-rules: setup
	@$(PYTHON) -m bench.rule_cost

## bench-logs: MiB/s and lag of the log pipeline with all rules loaded, and a search of a word (OPTIONS="--minutes 2")
.PHONY: bench-logs
bench-logs: setup
	@$(PYTHON) -m bench.log_pipeline $(OPTIONS)

## pin-images: ask the registries for the digest of each image, and write images.lock (MOVED=1: take moved tags)
.PHONY: pin-images
pin-images: setup
	@$(PYTHON) -m tools.pin_images $(if $(MOVED),--moved)

## resources: write the list of every resource of the tracked stacks, for a release (tests/state compares with it)
.PHONY: resources
resources: setup
	@$(PYTHON) -m tools.resources

## backup: the data of STACK into the new folder TO, while everything runs (BUCKET=no: without Loki's bucket)
.PHONY: backup
backup: setup
	@$(PYTHON) -m tools.backup save --stack $(STACK) --folder '$(TO)' $(if $(filter no,$(BUCKET)),--no-bucket)

## restore: put the backup in FROM in the place of the data of STACK, after a confirmation (OTHER=1: of another cluster)
.PHONY: restore
restore: setup
	@$(PYTHON) -m tools.backup restore --stack $(STACK) --folder '$(FROM)' $(if $(YES),--yes) \
	  $(if $(OTHER),--other) $(if $(filter no,$(BUCKET)),--no-bucket)

## docs: write docs/settings.md and settings.schema.json from the settings models, docs/routes.md from the rules
.PHONY: docs
docs: setup
	@$(PYTHON) -m tools.settings_docs
	@$(PYTHON) -m tools.routes --page

## lint: ruff and mypy
.PHONY: lint
lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy .
