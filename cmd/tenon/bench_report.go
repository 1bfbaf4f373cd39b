package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/bench"
	"github.com/tenon-go/tenon/bench/synthetic"
)

// reportFlags are the flags of tenon bench report.
type reportFlags struct {
	shape, types, some  string
	prompt, gen         int
	batches, parts      string
	context, contextRep int
	repetitions         int
	threads             int
	vs, vsAVX2, vsName  string
	dir, output         string
	save, from          string
	noRoofline          bool
}

func (a *app) benchReportCommand() *cobra.Command {
	r := &reportFlags{}
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write the report that BENCHMARKS.md is",
		Long: `Measure synthetic models of several types and write a report in Markdown: prompts and generation of each type beside
a peer, what a few tokens at a time cost, time to first token of a long prompt, the same with AVX2 alone and with a core
that another process keeps busy. make benchmarks runs it. Each part runs tenon bench as a process of its own, and the
report shows the command.`,
		Example: `  tenon bench report --vs llama-bench -o BENCHMARKS.md
  tenon bench report --shape llama-tiny --types Q8_0 -p 32 -n 8 --context 256`,
		Args: wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interruptible(cmd.Context(), func(ctx context.Context) error { return a.benchReport(ctx, r) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.shape, "shape", "llama-1b", "`SHAPE` of the models (see tenon bench model --help)")
	f.StringVar(&r.types, "types", "Q8_0,Q4_0,Q4_K_M,Q5_K_M,Q6_K,F16,BF16", "`LIST` of types of weights")
	f.StringVar(&r.some, "some-types", "Q8_0,Q4_K_M", "`LIST` of those for the other parts: a long prompt, AVX2 alone, a busy core")
	f.IntVarP(&r.prompt, "n-prompt", "p", bench.DefaultPrompt, "`TOKENS` of a prompt")
	f.IntVarP(&r.gen, "n-gen", "n", bench.DefaultGen, "`TOKENS` to generate")
	f.StringVar(&r.batches, "batches", "1,2,4,8", "`TOKENS` at a time that are compared with one")
	f.StringVar(&r.parts, "parts", strings.Join(allParts, ","), "`LIST` of the parts to measure")
	f.IntVar(&r.context, "context", 8192, "`TOKENS` of the long prompt (0: none)")
	f.IntVar(&r.contextRep, "context-repetitions", 2, "measure the long prompt `N` times")
	f.IntVarP(&r.repetitions, "repetitions", "r", bench.DefaultRepetitions, "measure each test `N` times")
	f.IntVarP(&r.threads, "threads", "t", 0, "CPU threads (0: one for each core)")
	f.StringVar(&r.vs, "vs", "", "`COMMAND` of the peer's llama-bench")
	f.StringVar(&r.vsAVX2, "vs-avx2", "", "`COMMAND` of it when it is held to AVX2")
	f.StringVar(&r.vsName, "vs-name", "llama-bench", "what the report calls it")
	f.StringVar(&r.dir, "dir", "", "`FOLDER` that keeps the models (default: each is removed when it is done)")
	_ = cmd.MarkFlagDirname("dir")
	f.StringVarP(&r.output, "output", "o", "", "`FILE` to write (default: stdout)")
	f.BoolVar(&r.noRoofline, "no-roofline", false, "do not measure what the machine can do at most")
	f.StringVar(&r.save, "save", "", "write all records to `FILE`, too")
	f.StringVar(&r.from, "from", "", "measure nothing, and write the report of the records in `FILE`")
	return cmd
}

// reportRun is one part of a report for one type: a run of tenon bench.
type reportRun struct {
	Part    string         `json:"part"`
	Type    string         `json:"type"`
	Command string         `json:"command"` // as readers would type it
	Records []bench.Record `json:"records"`
}

// The parts of a report.
const (
	partTypes   = "types"
	partBatches = "batches"
	partContext = "context"
	partAVX2    = "avx2"
	partBusy    = "busy"
	partAlike   = "reproducible"
)

// batchTime is for how many seconds a few tokens are run again and again: a single run is too short to be compared.
const batchTime = "0.5"

// allParts is the default of --parts, in the order in which they run.
var allParts = []string{partTypes, partBatches, partAVX2, partBusy, partAlike, partContext}

// part is what is run for a type.
type part struct {
	name string
	some bool     // only for --some-types
	env  []string // of the process
	vs   string
	args []string
}

func (a *app) benchReport(ctx context.Context, r *reportFlags) error {
	if r.from != "" {
		b, err := os.ReadFile(r.from)
		if err != nil {
			return err
		}
		var runs []reportRun
		if err := json.Unmarshal(b, &runs); err != nil {
			return fmt.Errorf("%s: %w", printable(r.from), err)
		}
		return r.write(a, runs)
	}
	models, err := r.models()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, remove := r.dir, false
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tenon-bench-"); err != nil {
			return err
		}
		remove = true
		defer os.RemoveAll(dir)
	}
	status := newStatusLine(a.stderr, true)
	defer status.clear()
	var runs []reportRun
	for _, m := range models {
		var path string
		if path, err = writeSynthetic(ctx, dir, m.String(), 0, status); err != nil {
			break
		}
		var some []reportRun
		some, err = a.reportModel(ctx, r, self, path, m)
		runs = append(runs, some...)
		if remove {
			err = errors.Join(err, os.Remove(path))
		}
		if err != nil {
			break
		}
	}
	if len(runs) == 0 {
		return err
	}
	return errors.Join(err, r.write(a, runs)) // what there is
}

// models returns the models of --types.
func (r *reportFlags) models() ([]synthetic.Model, error) {
	switch {
	case r.prompt < 1 || r.gen < 1 || r.repetitions < 1 || r.contextRep < 1:
		return nil, usagef("--n-prompt, --n-gen, --repetitions and --context-repetitions are 1 or more")
	case r.context < 0 || r.threads < 0:
		return nil, usagef("--context and --threads are 0 or more")
	}
	if _, err := bench.ParseInts("--batches", r.batches); err != nil {
		return nil, benchUsage(err)
	}
	for _, name := range strings.Split(r.parts, ",") {
		if !slices.Contains(allParts, name) {
			return nil, usagef("--parts has %q, want some of %s", name, strings.Join(allParts, ", "))
		}
	}
	var all []synthetic.Model
	for _, typ := range strings.Split(r.types, ",") {
		m, err := synthetic.Parse(r.shape + ":" + typ)
		if err != nil {
			return nil, &usageError{err}
		}
		all = append(all, m)
	}
	return all, nil
}

// chosen lists what is run for each model.
func (r *reportFlags) chosen() []part {
	p, n, rep := fmt.Sprint(r.prompt), fmt.Sprint(r.gen), fmt.Sprint(r.repetitions)
	all := []part{
		{name: partTypes, vs: r.vs, args: []string{"-p", p, "-n", n, "-r", rep}},
		{name: partBatches, vs: r.vs, args: []string{"-p", r.batches, "-n", "0", "-r", rep, "--min-time", batchTime}},
		{name: partAVX2, some: true, vs: r.vsAVX2, env: []string{cpu.LevelEnv + "=avx2"}, args: []string{"-p", p, "-n", n, "-r", rep}},
		{name: partBusy, some: true, vs: r.vs, args: []string{"-p", p, "-n", n, "-r", rep, "--busy", "1"}},
		{name: partAlike, some: true, args: []string{"-p", p, "-n", n, "-r", rep, "--reproducible", "false,true"}},
	}
	if r.context > 0 {
		for _, typ := range []string{"f16", "q8_0"} {
			all = append(all, part{name: partContext, some: true, vs: r.vs, args: []string{
				// The peer would warm up by the whole prompt, each time.
				"-p", fmt.Sprint(r.context), "-n", "0", "-r", fmt.Sprint(r.contextRep), "--no-warmup", "-ctk", typ, "-ctv", typ,
			}})
		}
	}
	return slices.DeleteFunc(all, func(p part) bool { return !slices.Contains(strings.Split(r.parts, ","), p.name) })
}

// reportModel runs the parts of one model.
func (a *app) reportModel(ctx context.Context, r *reportFlags, self, path string, m synthetic.Model) ([]reportRun, error) {
	some := slices.ContainsFunc(strings.Split(r.some, ","), func(s string) bool { return strings.EqualFold(s, m.Type) })
	var runs []reportRun
	for _, p := range r.chosen() {
		if p.some && !some {
			continue
		}
		args := p.args
		if r.threads > 0 {
			args = append(slices.Clone(args), "-t", fmt.Sprint(r.threads))
		}
		shown := append(slices.Clone(p.env), "tenon bench -m "+filepath.Base(path), strings.Join(args, " "))
		args = append([]string{"bench", "-m", path, "-o", "json", "--progress", "--stop-at-eof"}, args...)
		if r.noRoofline {
			args = append(args, "--no-roofline")
		}
		if p.vs != "" {
			args = append(args, "--vs", p.vs, "--vs-name", r.vsName)
			shown = append(shown, "--vs "+r.vsName)
		}
		records, err := a.reportChild(ctx, self, p.env, args)
		if len(records) > 0 {
			runs = append(runs, reportRun{p.name, m.Type, strings.Join(shown, " "), records})
		}
		if err != nil {
			return runs, fmt.Errorf("%s: %w", strings.Join(shown, " "), err)
		}
	}
	return runs, nil
}

// reportChild runs tenon bench as another process and reads its records. When ctx is cancelled the stdin of
// that ends, and it prints what it has.
func (a *app) reportChild(ctx context.Context, self string, env, args []string) ([]bench.Record, error) {
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel = stdin.Close
	cmd.WaitDelay = 30 * time.Second
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, a.stderr
	err = cmd.Run()
	records, readErr := bench.ReadJSON(&stdout)
	if err == nil {
		err = readErr
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return records, err
}

// write writes the report, and the records if they are to be kept.
func (r *reportFlags) write(a *app, runs []reportRun) error {
	if r.save != "" {
		b, err := json.MarshalIndent(runs, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.save, append(b, '\n'), 0o666); err != nil {
			return err
		}
	}
	text := renderReport(runs)
	if r.output == "" {
		_, err := a.stdout.Write([]byte(text))
		return err
	}
	return os.WriteFile(r.output, []byte(text), 0o666)
}
