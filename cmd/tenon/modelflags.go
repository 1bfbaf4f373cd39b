package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/models/gopher"
	"github.com/tenon-go/tenon/tensor"
)

// modelFlags are the flags of every subcommand that runs a model.
type modelFlags struct {
	path    string
	builtin bool // without a path the model that comes with the command is meant
	place   placeFlags
	context int
	batch   int
	threads int
	cacheK  dtypeFlag
	cacheV  dtypeFlag
	exact   bool
	alike   bool     // --reproducible
	unfused []string // --no-fusion
}

// newModelFlags returns flags whose defaults are those of the engine.
func newModelFlags() modelFlags {
	return modelFlags{cacheK: dtypeFlag{tensor.F16}, cacheV: dtypeFlag{tensor.F16}}
}

// addModelFile adds -m alone.
func addModelFile(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "model", "m", "", "model `FILE` in GGUF, of a split model any part")
	_ = cmd.MarkFlagFilename("model", "gguf") // completion only
}

// add adds the flags to cmd, with the defaults that m holds.
func (m *modelFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	addModelFile(cmd, &m.path)
	m.place.add(cmd)
	f.IntVarP(&m.context, "ctx-size", "c", 0, fmt.Sprintf("`TOKENS` that the cache holds (0: what the model was trained on, at most %d)", engine.DefaultContext))
	f.IntVarP(&m.batch, "batch-size", "b", 0, "`TOKENS` of a prompt to process at a time (0: 512)")
	f.IntVarP(&m.threads, "threads", "t", 0, "CPU threads (0: one for each core)")
	f.Var(&m.cacheK, "cache-type-k", "type in which keys are kept: F32, F16, BF16, Q8_0 ...")
	f.Var(&m.cacheV, "cache-type-v", "type in which values are kept")
	f.StringSliceVar(&m.unfused, "no-fusion", nil, "run node by node what devices would fuse; with =`LIST` only these fusions, such as RMSNorm+Mul")
	f.Lookup("no-fusion").NoOptDefVal = allFusions
	f.BoolVar(&m.alike, "reproducible", false, "give a token's logits the same bits in any batch and any chunking of the prompt: slower prompts")
	f.BoolVar(&m.exact, "exact", m.exact, "never round activations in products: slower, and closer to double precision")
}

// check finds what can be seen before the model is opened.
func (m *modelFlags) check() error {
	if m.path == "" && !m.builtin {
		return usagef("no model is given: -m FILE")
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"ctx-size", m.context}, {"batch-size", m.batch}, {"threads", m.threads}} {
		if f.value < 0 {
			return usagef("--%s is %d, want 0 or more", f.name, f.value)
		}
	}
	return nil
}

// options returns what the flags ask for.
func (m *modelFlags) options(a *app) ([]tenon.Option, error) {
	options, err := m.place.options(a, m.threads)
	if m.exact {
		options = append(options, tenon.WithExact())
	}
	if m.alike {
		options = append(options, tenon.WithReproducible())
	}
	if len(m.unfused) > 0 {
		fusions, err := parseFusions(m.unfused)
		if err != nil {
			return nil, err
		}
		options = append(options, tenon.WithoutFusion(fusions...))
	}
	return append(options,
		tenon.WithContext(m.context), tenon.WithBatch(m.batch), tenon.WithThreads(m.threads),
		tenon.WithCacheTypes(m.cacheK.DType, m.cacheV.DType)), err
}

// allFusions is what --no-fusion means without a list.
const allFusions = "all"

// parseFusions returns the fusions of the given names, none for all.
func parseFusions(names []string) ([]backends.Fusion, error) {
	var fusions []backends.Fusion
	for _, name := range names {
		f, ok := backends.ParseFusion(name)
		switch {
		case name == allFusions:
			return nil, nil
		case !ok:
			return nil, usagef("--no-fusion: no fusion %q, there are %v", name, backends.Fusions())
		}
		fusions = append(fusions, f)
	}
	return fusions, nil
}

// open opens the model, with a bar on a terminal, and returns how long that took.
func (m *modelFlags) open(a *app, more ...tenon.Option) (*tenon.Model, time.Duration, error) {
	options, err := m.options(a)
	if err != nil {
		return nil, 0, err
	}
	bar := newProgress(a.stderr, "loading")
	options = append(options, tenon.WithProgress(bar.set), tenon.WithCompileProgress(compileBar(a)))
	start := time.Now()
	options = append(options, more...)
	var model *tenon.Model
	if m.path == "" {
		model, err = openGopher(options, len(more) == 0)
	} else {
		model, err = tenon.Open(m.path, options...)
	}
	bar.clear()
	return model, time.Since(start), fitHint(err)
}

// compileBar returns what shows kernels being compiled. A second device shows none while the first does.
func compileBar(a *app) func(device string, done, total int) {
	var mu sync.Mutex
	var bar *progress
	owner := ""
	return func(device string, done, total int) {
		mu.Lock()
		defer mu.Unlock()
		if bar == nil {
			bar, owner = newProgress(a.stderr, "compiling for "+device), device
			bar.unit = func(n int64) string { return plural(int(n), "kernel") }
		}
		if device != owner {
			return
		}
		if bar.set(int64(done), int64(total)); done == total {
			bar.clear()
			bar = nil
		}
	}
}

// openGopher opens the model that comes with the command; drafted has its draft guess ahead, as far as
// that pays.
func openGopher(options []tenon.Option, drafted bool) (*tenon.Model, error) {
	if drafted {
		options = append(options, tenon.WithDraftData("gopher-mtp", gopher.Draft))
	}
	return tenon.OpenData("gopher", gopher.Target, options...)
}

// fitHint adds the way out to the error of a model that does not fit.
func fitHint(err error) error {
	var fit *engine.FitError
	if errors.As(err, &fit) {
		return fmt.Errorf("%w (tenon explain --fit proposes what would fit)", err)
	}
	return err
}

// fullError adds the way out to the error of a context that is full.
func fullError(err error) error {
	if errors.Is(err, kv.ErrFull) {
		return fmt.Errorf("%w: --ctx-size makes room", err)
	}
	return err
}

// dtypeFlag is a flag whose value names a tensor type, in any case.
type dtypeFlag struct{ tensor.DType }

var _ pflag.Value = (*dtypeFlag)(nil)

// Set parses a name.
func (d *dtypeFlag) Set(name string) error {
	t, ok := parseDType(name)
	if !ok {
		return fmt.Errorf("there is no such type")
	}
	d.DType = t
	return nil
}

// Type is what help calls the value.
func (*dtypeFlag) Type() string { return "TYPE" }

// parseDType returns the type of a name in any case.
func parseDType(name string) (tensor.DType, bool) { return tensor.ParseDType(strings.ToUpper(name)) }

// completeDevices completes the last name of a list.
func completeDevices(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	var names []string
	for _, found := range backends.Probe() {
		for _, d := range found.Devices {
			names = append(names, before+d.Info().Owner.Device)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
