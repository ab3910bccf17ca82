# The commands of this repository; `make` alone lists them. `make run` and
# `make test` are all the set-up there is: each installs what it needs.

# One compiler for every C part: another CC would be another build cache entry,
# and gcc takes 17 minutes for the GTK binding where clang takes 4.
export CC := clang
export CGO_ENABLED := 1

GO ?= go
FUZZTIME ?= 10m
RUNS ?= 20
SEEDS ?= 200
HOURS ?= 24
SOAK ?= 300

.DEFAULT_GOAL := help
.PHONY: help run test build desktop desktop-install setup-run setup-test lint unit race desktop-test bench-test bench measure fuzz flood rendezvous-figures natlab natlab-matrix natlab-figures rivals relay-figures client-figures crash sim mutants soak journeys natlab-skipped clean FORCE

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup-run bin/sremp ## show it: a server and two clients meet and chat; on a terminal you chat with the second
	@bin/sremp demo $(ARGS)

test: setup-test ## run all tests, installing first what they need
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory race
	@$(MAKE) --no-print-directory desktop-test
	@$(MAKE) --no-print-directory bench-test
	@$(MAKE) --no-print-directory natlab-skipped

natlab-skipped:
	@$(GO) test ./internal/natlab -run '^TestNetworkChange$$' -count 1 -v | grep -E '^(NO|THE) NAT LABORATORY' || true
	@cmp -s internal/interop/package-lock.json internal/interop/node_modules/.installed || echo 'NO DECODER ON THIS MACHINE: docs/spec was not proven by its independent decoder; install nodejs and npm'
	@command -v promtool >/dev/null || echo 'NO PROMTOOL ON THIS MACHINE: alerts and dashboard were not read by it; install prometheus'
	@test -x /usr/sbin/miniupnpd || echo 'NO GATEWAY DAEMON ON THIS MACHINE: tests of port mapping were skipped; install miniupnpd-nftables'

build: setup-run bin/sremp ## build bin/sremp

.PHONY: dist dist-server dist-check dist-speed package-test fleet

dist: setup-test ## static program, Debian packages of server and desktop, checksums: dist/ (SREMP_MAINTAINER, SREMP_SOURCE: yours)
	@GO="$(GO)" scripts/dist.sh dist server desktop
	@cat dist/SHA256SUMS

dist-server: setup-run ## the same without the desktop
	@GO="$(GO)" scripts/dist.sh dist server
	@cat dist/SHA256SUMS

dist-check: setup-run ## two builds in different directories give the same bytes
	@GO="$(GO)" scripts/dist-check.sh

dist-speed: setup-run ## how fast the static program's database is against the dynamic one's: figures
	@GO="$(GO)" scripts/dist-speed.sh

package-test: dist-server ## as root: install, upgrade from the version before, remove; versions talk to each other
	@GO="$(GO)" scripts/package-test.sh

fleet: setup-test ## three relays, two rendezvous, PostgreSQL with a standby: all killed under load, ROUNDS (3) times: figures
	SREMP_FLEET=$(or $(ROUNDS),3) $(GO) test ./internal/fleet -run '^TestFleet$$' -count 1 -v -timeout 30m

desktop: setup-test ## build bin/sremp-desktop, the GTK program
	$(GO) build -tags gtk -o bin/sremp-desktop ./cmd/sremp-desktop

PREFIX ?= $(HOME)/.local
APP := io.github.sremp.Desktop
DATA := cmd/sremp-desktop/data

desktop-install: desktop ## put it under PREFIX (~/.local), with its icon and as what opens sremp: links
	install -D -m 755 bin/sremp-desktop "$(DESTDIR)$(PREFIX)/bin/sremp-desktop"
	install -D -m 644 $(DATA)/$(APP).desktop "$(DESTDIR)$(PREFIX)/share/applications/$(APP).desktop"
	install -D -m 644 $(DATA)/$(APP).svg "$(DESTDIR)$(PREFIX)/share/icons/hicolor/scalable/apps/$(APP).svg"
	install -D -m 644 $(DATA)/$(APP).metainfo.xml "$(DESTDIR)$(PREFIX)/share/metainfo/$(APP).metainfo.xml"
	-command -v update-desktop-database >/dev/null && update-desktop-database "$(DESTDIR)$(PREFIX)/share/applications"

bin/sremp: FORCE
	@$(GO) build -o $@ ./cmd/sremp

setup-run:
	@GO="$(GO)" scripts/setup.sh run

setup-test:
	@GO="$(GO)" scripts/setup.sh test
	@scripts/decoder.sh

lint: ## gofmt, go vet, staticcheck, go mod tidy -diff
	@scripts/gofmt.sh
	$(GO) vet -tags gtk ./...
	$(GO) tool staticcheck -tags gtk ./...
	$(GO) mod tidy -diff
	scripts/datafiles.sh

unit: ## the tests of every package, processes and scripts included
	$(GO) test -timeout 20m ./...

race: ## the same under the race detector, the long ones shortened
	$(GO) test -race -short -timeout 20m ./...

desktop-test: ## the desktop's tests under a virtual screen; screenshots go to artifacts/
	@mkdir -p artifacts
	SREMP_ARTIFACTS="$(CURDIR)/artifacts" xvfb-run -a -s '-screen 0 1280x1024x24' \
		dbus-run-session -- $(GO) test -tags gtk -timeout 20m ./desktop/... ./cmd/sremp-desktop/...

bench-test: ## every benchmark once, as a test that it works
	$(GO) test ./bench -run . -bench . -benchtime 1x

bench: ## the ratchet's benchmarks, in turns with other ratchets: docs/measurements.md, section ratchet
	$(GO) run ./internal/measure -only ratchet,ratchet-peers

measure: ## run what gives figures and write docs/measurements.md with its plots; ARGS='-only ratchet' runs a part
	$(GO) run ./internal/measure $(ARGS)

fuzz: ## every fuzz target, for FUZZTIME (10m) in all; ARGS=client/FuzzPayload for one
	@GO="$(GO)" scripts/fuzz.sh $(FUZZTIME) $(ARGS)

flood: ## 10 000 messages each way between two processes, with figures
	SREMP_FLOOD=10000 $(GO) test ./cmd/sremp -run '^TestFlood$$' -count 1 -v

rendezvous-figures: ## load on a rendezvous, with figures: a million records, thousands of connections (minutes)
	SREMP_LAB=1 $(GO) test ./bench/rendezvous -count 1 -v -timeout 30m

natlab: natlab-matrix natlab-figures ## every pair of networks behind real kernel NATs, and the figures of paths; twenty minutes

natlab-matrix: ## every pair once with real clients: natlab.json, docs/natlab.md, figures; six minutes
	@$(MAKE) --no-print-directory build
	$(GO) build -o bin/natlab ./internal/natlab/matrix
	bin/natlab -sremp bin/sremp -json natlab.json -table docs/natlab.md $(ARGS)

natlab-figures: ## every pair RUNS times (20), also with loss and skew, changes and failures of paths: figures
	SREMP_NATLAB_RUNS=$(RUNS) $(GO) test ./internal/natlab -run '^Test(Pairs|Rebinding|BlackHole|SilenceBehindShortMappings)$$' -count 1 -parallel 4 -timeout 1h -v

rivals: ## the same for go-libp2p and pion/ice with coturn (apt-get install coturn), the telling pairs: figures
	$(GO) run ./internal/natlab/rivals $(ARGS)

relay-figures: ## the relay's figures: data plane, stores, kills and power cuts (as root), a crowd; ten minutes
	$(GO) run ./internal/measure -only relay

crash: ## a client dies, or its disk fails, at 600 points of conversations; two minutes
	SREMP_CRASH_POINTS=600 $(GO) test ./client -run '^Test(CrashPoints|PowerFailsAtEveryWrite)$$' -count 1 -parallel 50 -v

client-figures: ## the client's figures: one message, searching 100 k and 1 M messages, restoring them, idling; thirteen minutes
	$(GO) test ./client -run '^$$' -bench '^BenchmarkSend$$' -benchtime 3s -count 1 -v
	$(GO) test ./client -run '^$$' -bench '^BenchmarkHistory$$' -benchtime 1x -count 1 -v
	SREMP_BENCH_MESSAGES=1000000 $(GO) test ./client -run '^$$' -bench '^BenchmarkHistory$$' -benchtime 1x -count 1 -v -timeout 20m
	$(GO) test ./client -run '^$$' -bench '^BenchmarkIdle$$' -benchtime 1x -count 1 -v

sim: ## SEEDS (200) worlds of HOURS (24) each in virtual time, on all cores; goes on with TALLY (a file) if interrupted
	SREMP_SIM_SEEDS=$(SEEDS) SREMP_SIM_HOURS=$(HOURS) SREMP_SIM_TALLY=$(abspath $(TALLY)) $(GO) test ./internal/sim -run '^TestMany$$' -count 1 -v -timeout 24h

mutants: ## plants bugs, one after the other, and runs worlds until each is found: figures; half an hour
	SREMP_SIM_MUTANTS=all $(GO) test ./internal/sim -run '^TestMutants$$' -count 1 -v -timeout 6h

soak: setup-run ## real programs behind real NATs, killed, moved and upgraded for SOAK (300) seconds; as root
	@rm -rf bin/previous && git worktree prune && git worktree add -q --detach bin/previous HEAD~1
	SREMP_SOAK_SECONDS=$(SOAK) SREMP_SOAK_OLD=$(CURDIR)/bin/previous SREMP_SOAK_NEW=$(CURDIR) \
		$(GO) test ./internal/sim -run '^TestSoak$$' -count 1 -v -timeout 6h; \
		e=$$?; git worktree remove --force bin/previous; exit $$e

journeys: setup-run ## a file of 2 GB through a closed lid and three networks; an upgrade in a chat with a database of 1 GB: figures; as root, twenty minutes
	@GO="$(GO)" scripts/journeys.sh

clean: ## remove what was built here
	rm -rf bin artifacts dist

FORCE:
