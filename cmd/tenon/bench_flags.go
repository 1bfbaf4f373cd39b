package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/bench"
	"github.com/tenon-go/tenon/bench/synthetic"
	"github.com/tenon-go/tenon/tensor"
)

// benchFlags are the flags of tenon bench and tenon bench sweep. Those that llama-bench has too have its
// names, short ones included: see spellOut.
type benchFlags struct {
	models       []string
	synthetic    []string
	syntheticDir string

	lists      map[string]*[]string // of numbers and ranges, by long name
	promptGens []string
	typesK     []string
	typesV     []string
	flashAttn  []string
	devices    []string
	overrides  []string

	repetitions int
	delay       float64
	minTime     float64
	noWarmup    bool
	alike       []bool // --reproducible
	noRoofline  bool
	progress    bool
	output      string
	outputErr   string
	plot        string
	kernels     string
	vs, vsName  string
	busy        int
	sim         string
	spec        specFlags
	specPrompt  string
	stopAtEOF   bool // for tenon bench report: an interrupt of a terminal reaches both, and a second one would kill

	matrix bench.Matrix // what the lists say
}

func newBenchFlags() *benchFlags { return &benchFlags{lists: map[string]*[]string{}} }

// llamaBench maps the short names of llama-bench that are longer than a letter to the long ones. Those of
// the last lines are no flags here, and an unknown long name is easier to understand than -n kvo.
var llamaBench = map[string]string{
	"-pg": "--n-prompt-gen", "-ub": "--ubatch-size", "-ctk": "--cache-type-k", "-ctv": "--cache-type-v", "-fa": "--flash-attn",
	"-ngl": "--n-gpu-layers", "-dev": "--device", "-ot": "--override-tensor", "-oe": "--output-err",

	"-nkvo": "--no-kv-offload", "-sm": "--split-mode", "-mg": "--main-gpu", "-ts": "--tensor-split", "-embd": "--embeddings", "-ncmoe": "--n-cpu-moe",
	"-nopo": "--no-op-offload", "-lm": "--load-mode", "-lzm": "--lazy-mode", "-hf": "--hf-repo", "-hfr": "--hf-repo", "-hff": "--hf-file",
	"-fitt": "--fit-target", "-fitc": "--fit-ctx", "-mmp": "--mmap",
}

// spellOut returns the arguments of tenon bench with the long names of flags that have a short one of
// several letters: to the flag parser -ub is -u and -b.
func spellOut(args []string) []string {
	if len(args) == 0 || args[0] != "bench" {
		return args
	}
	out := append([]string(nil), args...)
	for i, arg := range out {
		if arg == "--" {
			break
		}
		name, value, given := strings.Cut(arg, "=")
		long, ok := llamaBench[name]
		switch {
		case ok && given:
			out[i] = long + "=" + value
		case ok:
			out[i] = long
		}
	}
	return out
}

// add adds the flags to cmd.
func (b *benchFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&b.models, "model", "m", nil, "model `FILE` in GGUF")
	_ = cmd.MarkFlagFilename("model", "gguf") // completion only
	f.StringArrayVar(&b.synthetic, "synthetic", nil, "random weights in the shape and type of `MODEL`, such as llama-1b:Q4_K_M (see tenon bench model --help)")
	f.StringVar(&b.syntheticDir, "synthetic-dir", "", "`FOLDER` that keeps synthetic models for other runs (default: none is kept)")
	_ = cmd.MarkFlagDirname("synthetic-dir")
	list := func(name, short, usage string) {
		b.lists[name] = new([]string)
		f.StringArrayVarP(b.lists[name], name, short, nil, usage)
	}
	list("n-prompt", "p", fmt.Sprintf("`TOKENS` of a prompt (default %d; 0: none)", bench.DefaultPrompt))
	list("n-gen", "n", fmt.Sprintf("`TOKENS` to generate (default %d; 0: none)", bench.DefaultGen))
	f.StringArrayVar(&b.promptGens, "n-prompt-gen", nil, "`PP,TG` tokens of a prompt and after it, as one test (-pg)")
	list("n-depth", "d", "`TOKENS` in the cache before (default 0)")
	list("batch-size", "b", fmt.Sprintf("`TOKENS` of a batch (default %d)", bench.DefaultBatch))
	list("ubatch-size", "", fmt.Sprintf("`TOKENS` of a run (-ub; default %d)", bench.DefaultUBatch))
	list("threads", "t", "CPU `THREADS` (default: one for each core)")
	list("n-gpu-layers", "", "`LAYERS`, from the last, on the devices and not the CPU (-ngl; default -1: all)")
	f.StringArrayVar(&b.typesK, "cache-type-k", nil, "`TYPE` in which keys are kept (-ctk; default f16)")
	f.StringArrayVar(&b.typesV, "cache-type-v", nil, "`TYPE` in which values are kept (-ctv; default f16)")
	f.StringArrayVar(&b.flashAttn, "flash-attn", nil, "`on` (-fa): there is no other attention here")
	f.StringArrayVar(&b.devices, "device", nil, "`DEV0/DEV1` to run on (-dev; none: the CPU)")
	_ = cmd.RegisterFlagCompletionFunc("device", completeDevices)
	f.StringArrayVar(&b.overrides, "override-tensor", nil, "`REGEX=DEVICE;...` for single weights (-ot)")
	f.IntVarP(&b.repetitions, "repetitions", "r", bench.DefaultRepetitions, "measure each test `N` times")
	f.Float64Var(&b.minTime, "min-time", 0, "repeat a short test for at least `SECONDS` in each repetition, which is the mean then")
	f.Float64Var(&b.delay, "delay", 0, "`SECONDS` before each repetition but the first")
	f.BoolSliceVar(&b.alike, "reproducible", nil, "`true,false`: whether a token's logits have the same bits in any batch (default false)")
	f.BoolVar(&b.noWarmup, "no-warmup", false, "measure without a run before")
	f.BoolVar(&b.noRoofline, "no-roofline", false, "do not measure what the device can do at most")
	f.BoolVar(&b.progress, "progress", false, "tell what is done, a line each, where stderr is no terminal")
	f.StringVarP(&b.output, "output", "o", "md", "`FORMAT` on stdout: "+strings.Join(bench.Formats(), ", "))
	f.StringVar(&b.outputErr, "output-err", "", "`FORMAT` on stderr (-oe)")
	f.StringVar(&b.plot, "plot", "", "draw throughput over what varies to `FILE`, an svg or png")
	f.StringVar(&b.kernels, "write-kernels", "", "write what --device, an AMD card, has compiled to `FILE`, for rocm.AddKernels")
	f.StringVar(&b.vs, "vs", "", "`COMMAND` of a llama-bench that runs the same tests in turns with ours")
	f.StringVar(&b.vsName, "vs-name", "", "what it is called in records (default: the command)")
	f.IntVar(&b.busy, "busy", 0, "keep `N` cores busy with processes that do nothing else meanwhile")
	f.StringVar(&b.sim, "sim", "", "run on the simulated devices that `FILE` describes (-: stdin)")
	_ = cmd.MarkFlagFilename("sim")
	f.BoolVar(&b.stopAtEOF, "stop-at-eof", false, "stop when stdin ends, as at an interrupt")
	_ = f.MarkHidden("stop-at-eof")
	f.StringVar(&b.specPrompt, "spec-prompt", "", "`TEXT` that is continued with and without speculation")
	b.spec.add(cmd)
	for _, name := range []string{"output", "output-err"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(bench.Formats(), cobra.ShellCompDirectiveNoFileComp))
	}
}

// parse fills in b.matrix.
func (b *benchFlags) parse() error {
	var errs []error
	ints := func(name string, def ...int) []int {
		values, err := parseInts(name, *b.lists[name], def)
		errs = append(errs, err)
		return values
	}
	types := func(name string, lists []string) []tensor.DType {
		values, err := parseTypes(name, lists)
		errs = append(errs, err)
		return values
	}
	b.models = splitAll(b.models, ",")
	b.matrix = bench.Matrix{
		Prompts: ints("n-prompt", bench.DefaultPrompt), Gens: ints("n-gen", bench.DefaultGen), Depths: ints("n-depth"),
		Batches: ints("batch-size"), UBatches: ints("ubatch-size"), Threads: ints("threads"), DeviceLayers: ints("n-gpu-layers"),
		TypesK: types("cache-type-k", b.typesK), TypesV: types("cache-type-v", b.typesV), Reproducible: b.alike,
	}
	for _, s := range b.promptGens {
		pair, err := bench.ParsePair("--n-prompt-gen", s)
		errs = append(errs, err)
		b.matrix.PromptGens = append(b.matrix.PromptGens, pair)
	}
	for _, s := range splitAll(b.devices, ",") {
		if s == "none" { // what llama-bench calls the CPU
			s = cpu.Backend
		}
		b.matrix.Devices = append(b.matrix.Devices, strings.Split(s, "/"))
	}
	for _, s := range splitAll(b.overrides, ",") {
		b.matrix.Overrides = append(b.matrix.Overrides, strings.Split(s, ";"))
	}
	for _, s := range splitAll(b.flashAttn, ",") {
		switch s {
		case "1", "on", "auto", "-1":
		default:
			errs = append(errs, usagef("--flash-attn is %q, want on: there is no other attention here", s))
		}
	}
	for _, x := range []struct {
		name         string
		value, least int
	}{{"repetitions", b.repetitions, 1}, {"busy", b.busy, 0}} {
		if x.value < x.least {
			errs = append(errs, usagef("--%s is %d, want %d or more", x.name, x.value, x.least))
		}
	}
	if b.delay < 0 || b.delay > 3600 {
		errs = append(errs, usagef("--delay is %g, want 0 to 3600 seconds", b.delay))
	}
	if b.minTime < 0 || b.minTime > 3600 {
		errs = append(errs, usagef("--min-time is %g, want 0 to 3600 seconds", b.minTime))
	}
	for _, name := range b.synthetic {
		if _, err := synthetic.Parse(name); err != nil {
			errs = append(errs, &usageError{fmt.Errorf("--synthetic: %w", err)})
		}
	}
	for _, err := range errs {
		if err != nil {
			if usage := benchUsage(err); usage != nil {
				return usage
			}
			return err // the first is enough
		}
	}
	return nil
}

// parseInts reads the lists of a flag that was given any number of times.
func parseInts(name string, lists []string, def []int) ([]int, error) {
	if lists == nil {
		return def, nil
	}
	var all []int
	for _, list := range lists {
		values, err := bench.ParseInts("--"+name, list)
		if err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	return all, nil
}

func parseTypes(name string, lists []string) ([]tensor.DType, error) {
	var all []tensor.DType
	for _, s := range splitAll(lists, ",") {
		t, ok := parseDType(s)
		if !ok {
			return nil, usagef("--%s is %q, want a tensor type", name, s)
		}
		all = append(all, t)
	}
	return all, nil
}

// splitAll splits each of lists and returns all parts.
func splitAll(lists []string, sep string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, strings.Split(list, sep)...)
	}
	return all
}
