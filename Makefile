# `make check` is everything that CI runs; each of its steps is a target of its own.
#
#	make test                    the tests of both modules, without the reference corpus
#	make vulkan                  the Vulkan backend with checks of what Go and C share
#	make card                    proves and measures this machine's cards: see .ci/card
#	make rocm                    the ROCm backend without cgo, on an emulated card; HIPRTC=1 compiles its kernels with hiprtc, too
#	make examples                the modules in examples/, each as if in a repository of its own
#	make corpus TENON_CORPUS=DIR the tests that compare with the reference corpus in DIR
#	make fmt                     formats the code
#	make generate                makes the generated files again
#	make picture                 records the terminal at the top of README.md
#	make benchmarks PEER=COMMAND measures, beside a llama-bench, and writes BENCHMARKS.md

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0

# The library and the command are two modules, joined by go.work.
ALL := ./... ./cmd/...

# Cross-compiled, linked and vetted. Nothing here needs a C compiler but the race detector and the Vulkan backend.
PLATFORMS := linux/amd64 linux/arm64 windows/amd64 darwin/amd64 darwin/arm64

# Under the race detector everything is many times slower, so it gets what has goroutines or hands memory
# from one to the other.
RACE := . backends backends/cpu backends/sim backends/vulkan buffer engine kv sample sched spec tensor tokenizer

STEPS    := lint vet cross test arm64 vulkan rocm invariants examples corpus race fuzz
FUZZTIME ?= 5s

# Versions are stamped by releases; a build in a copied or foreign checkout must not depend on git.
export GOFLAGS += -buildvcs=false

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: check card rocm-kernels rocm-rest $(STEPS) fmt generate benchmarks picture

check:
	@.ci/steps $(STEPS)

# Tools run by version: Go keeps what it has downloaded and built, and builds again for a new Go.
lint:
	@bad=$$(go run $(GOFUMPT) -l .); if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi
	go run $(STATICCHECK) $(ALL)

fmt:
	go run $(GOFUMPT) -l -w .

vet:
	@for p in $(PLATFORMS); do echo "vet $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 go vet $(ALL) || exit 1; done

cross:
	@mkdir -p bin
	@for p in $(PLATFORMS); do \
		out=bin/tenon-$${p%/*}-$${p#*/}; if [ $${p%/*} = windows ]; then out=$$out.exe; fi; \
		echo "build $$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 go build $(ALL) || exit 1; \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 go build -trimpath -o $$out ./cmd/tenon || exit 1; \
	done
	@go version -m bin/tenon-linux-amd64 | grep -q 'CGO_ENABLED=0' || { echo "bin/tenon-linux-amd64 is not static"; exit 1; }
	@! go version -m bin/tenon-linux-amd64 | grep -q purego || { echo "bin/tenon-linux-amd64 opens libraries, so it is not static"; exit 1; }

test:
	TENON_CORPUS= go test $(ALL)

# What a C compiler adds: the Vulkan backend vetted, and run with what watches over memory that Go and C share. Its tests skip without a
# device, unless TENON_DEMAND_VULKAN is set.
vulkan:
	CGO_ENABLED=1 go vet ./backends/vulkan/...
	CGO_ENABLED=1 GOEXPERIMENT=cgocheck2 MALLOC_PERTURB_=165 GOGC=1 go test -short ./backends/vulkan/...

# What the tag adds to a build without cgo: the ROCm backend, vetted, linked into the command, and tested in an emulator, which needs g++: see
# backends/rocm/testdata/emulator. HIPEMU=all leaves nothing out, and an empty HIPEMU goes without. Where HIPRTC is set there must be a HIP
# runtime, whose compiler then compiles every kernel; HIPRTC=all is for every architecture.
HIPEMU ?= 1
HIPRTC ?=

rocm: export CGO_ENABLED := 0
rocm: export TENON_DEMAND_HIPEMU := $(HIPEMU)
rocm: export TENON_DEMAND_HIPRTC := $(HIPRTC)
rocm:
	@for p in linux/amd64 linux/arm64; do \
		echo "build $$p with ROCm"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} go vet -tags rocm ./backends/rocm/... ./internal/hipemu . ./models/gopher ./cmd/tenon || exit 1; \
		GOOS=$${p%/*} GOARCH=$${p#*/} go build -tags rocm -o /dev/null ./cmd/tenon || exit 1; \
	done
	@$(MAKE) --no-print-directory -j2 --output-sync=target rocm-kernels rocm-rest
	@case "$(HIPEMU)" in \
	all) ;; \
	'') echo "nothing was run: HIPEMU is empty" ;; \
	*) echo "left out (HIPEMU=all runs it): with waves of 64 what does not depend on them and some types, three quarters of the corpus models" \
		"on each kind of card, products on gfx900, gfx908 and gfx950" ;; \
	esac

# The two halves of it take about as long, and most of either runs on one processor.
rocm-kernels:
	go test -tags rocm -skip 'TestEmulated$$/wave_64|TestKernelsCompile' ./backends/rocm/...
rocm-rest:
	go test -tags rocm -run 'TestEmulated$$/wave_64|TestKernelsCompile' ./backends/rocm
	go test -tags rocm -run ROCm . ./models/gopher ./cmd/tenon

# The tests of what depends on the processor, as arm64 runs them, in qemu-user where this is another one.
arm64:
	@.ci/arm64

card:
	@.ci/card

# Each example is a module of its own, outside the workspace, as a user's would be: internal packages are
# out of its reach.
examples:
	@for d in examples/*/; do echo "test $$d"; (cd $$d && export GOWORK=off && go mod tidy -diff && go vet ./... && go test ./...) || exit 1; done

# Freed memory is filled with what is no number, so that a use after it shows.
invariants:
	TENON_CORPUS= go vet -tags invariants ./internal/mmap
	TENON_CORPUS= go test -short -tags invariants $(foreach p,internal/mmap $(RACE),$(if $(wildcard $(p)/*.go),./$(p)))

corpus:
	@.ci/corpus $(ALL)

race:
	TENON_CORPUS= CGO_ENABLED=1 go test -timeout 30m -race -short $(foreach p,$(RACE),$(if $(wildcard $(p)/*.go),./$(p)))

fuzz:
	@.ci/fuzz $(FUZZTIME) $(ALL)

generate:
	go generate $(ALL)

picture:
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/tenon ./cmd/tenon
	go run ./cmd/internal/picture -o docs/gopher.svg bin/tenon run --temp 0 -n 33 'func (b *Buffer) WriteString('

# PEER is the command of a llama-bench, PEER_AVX2 that of one that is held to AVX2, and BENCH more flags of
# tenon bench report, such as --shape llama-7b. Both are optional. The machine should be quiet.
PEER      ?=
PEER_AVX2 ?=
BENCH     ?=
BENCHMARKS ?= BENCHMARKS.md

benchmarks:
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.commit=$$(git describe --always --dirty 2>/dev/null || true)" -o bin/tenon ./cmd/tenon
	bin/tenon bench report --vs '$(PEER)' --vs-avx2 '$(PEER_AVX2)' -o $(BENCHMARKS) $(BENCH)
