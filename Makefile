# make test   installs the system packages the tests use (where it can), runs all tests
# make lint   gofmt, go vet, staticcheck, govulncheck
# make race   the packages with goroutines of their own, under the race detector
# make fuzz   every fuzz target for FUZZTIME each: inputs (2000x) or a time (30m)
# make soak   50 rounds of kill -9 and the long random tests
# make bench  the ledger's speed on this machine, with the baseline

GO         ?= go
FUZZTIME   ?= 2000x
SOAK       ?= 50
BENCHTIME  ?= 20s
TESTFLAGS  ?=

.PHONY: all build test packages lint race fuzz soak bench clean

all: build

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

packages:
	@bash internal/ci/packages.sh

test: packages
	@bash internal/ci/test.sh $(TESTFLAGS)

lint:
	@bash internal/ci/lint.sh

race:
	@bash internal/ci/race.sh

fuzz:
	@FUZZTIME=$(FUZZTIME) bash internal/ci/fuzz.sh

soak: build
	MTM_MODEL_RUNS=2000 $(GO) test -count=1 -timeout 60m -run '^TestModel$$' ./ledger/state
	MTM_SOAK=$(SOAK) $(GO) test -count=1 -timeout 120m -run 'TestKill|TestFourValidators' -v ./testnet/...

bench: build
	@BENCHTIME=$(BENCHTIME) bash internal/ci/bench.sh

clean:
	rm -rf bin dist
