package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/bench"
	"github.com/tenon-go/tenon/models/gopher"
)

// commit is the commit that the command was built from, where the linker was told:
// -ldflags "-X main.commit=...".
var commit string

func (a *app) benchCommand() *cobra.Command {
	b := newBenchFlags()
	cmd := &cobra.Command{
		Use:   "bench [-m FILE | --synthetic MODEL]",
		Short: "Measure how fast models run",
		Long: `Measure how fast models run: tokens a second of a prompt (pp) and of generation (tg), the share of what the
memory gives and the processor computes, time to first token, memory, and with a draft what speculation gains.

The flags are those of llama-bench: every one takes several values, separated by commas or by giving it again, and
ranges such as 1-8, 128-512+128 or 1-64*2; each combination is run. A synthetic model needs no download, and --vs runs
another program's llama-bench in turns with ours and prints the ratios. Ctrl-C ends the run and keeps what there is.

Without a model it is gopher, the one that comes with the command, with its draft.`,
		Example: `  tenon bench -m model.gguf
  tenon bench --synthetic llama-1b:Q4_K_M -p 512 -n 128 -d 0,4096 -t 1-8*2 --plot depth.svg
  tenon bench -m model.gguf --vs "llama-bench" -o json > ratios.json
  tenon bench -m model.gguf -o go > new.txt && benchstat old.txt new.txt`,
		Args: wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interruptible(cmd.Context(), func(ctx context.Context) error { return a.bench(ctx, b, nil) })
		},
	}
	b.add(cmd)
	cmd.AddCommand(a.benchOpsCommand(), a.benchSweepCommand(), a.benchModelCommand(), a.benchReportCommand(), a.benchBusyCommand())
	return cmd
}

// bench runs the tests of b and writes the records as they come. atEnd, if not nil, sees all of them.
func (a *app) bench(ctx context.Context, b *benchFlags, atEnd func([]bench.Record) error) (err error) {
	opt, err := b.options(a)
	if err != nil {
		return err
	}
	if b.stopAtEOF {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		defer stop()
		go func() {
			_, _ = io.Copy(io.Discard, a.stdin) // an error is an end, too
			stop()
		}()
	}
	draw, err := b.plotter()
	if err != nil {
		return err
	}
	keep, err := b.kernelKeeper()
	if err != nil {
		return err
	}
	status := newStatusLine(a.stderr, b.progress)
	defer status.clear()
	sources, cleanup, err := a.benchSources(ctx, b, status)
	defer func() { err = errors.Join(err, cleanup()) }()
	if err != nil {
		return err
	}
	matrix := b.matrix
	matrix.Models = sources
	opt.Tests = matrix.Params()
	out, err := b.writers(a, opt)
	if err != nil {
		return err
	}
	idle, err := keepBusy(b.busy)
	defer func() { err = errors.Join(err, idle()) }()
	if err != nil {
		return err
	}
	opt.Progress = status.event
	opt.Record = func(r bench.Record) error {
		status.clear()
		return out.write(r)
	}
	records, err := bench.Run(ctx, opt)
	status.clear()
	if usage := benchUsage(err); usage != nil && records == nil {
		return usage
	}
	err = errors.Join(err, out.close(records))
	if len(records) > 0 {
		err = errors.Join(err, draw(records), keep())
	}
	if atEnd != nil && len(records) > 0 {
		err = errors.Join(err, atEnd(records))
	}
	return err
}

// benchUsage makes an error about settings one of the command line, and returns nil for others.
func benchUsage(err error) error {
	var option *bench.OptionError
	if errors.As(err, &option) {
		return usagef("%s is %v, want %v", option.Name, option.Have, option.Wants)
	}
	return nil
}

// benchSources returns the models of b, and what removes those that were written for this run.
func (a *app) benchSources(ctx context.Context, b *benchFlags, status *statusLine) (all []bench.Source, cleanup func() error, err error) {
	cleanup = func() error { return nil }
	for _, path := range b.models {
		all = append(all, bench.Source{Path: path})
	}
	needFile := b.vs != ""
	dir := b.syntheticDir
	if dir == "" && (len(b.synthetic) > 0 || needFile && len(all) == 0) {
		if dir, err = os.MkdirTemp("", "tenon-bench-"); err != nil {
			return nil, cleanup, err
		}
		cleanup = func() error { return os.RemoveAll(dir) }
	}
	for _, name := range b.synthetic {
		path, err := writeSynthetic(ctx, dir, name, 0, status)
		if err != nil {
			return nil, cleanup, err
		}
		all = append(all, bench.Source{Path: path})
	}
	if all != nil {
		return all, cleanup, nil
	}
	if !needFile {
		return []bench.Source{{Name: "gopher", Data: gopher.Target}}, cleanup, nil
	}
	path := dir + string(os.PathSeparator) + "gopher.gguf"
	return []bench.Source{{Path: path}}, cleanup, os.WriteFile(path, gopher.Target, 0o600)
}

// recordWriters are the outputs of a run.
type recordWriters struct {
	all    []*bench.Writer
	footer func(records []bench.Record) error
}

// writers opens the outputs of b.
func (b *benchFlags) writers(a *app, opt bench.Options) (*recordWriters, error) {
	w := &recordWriters{footer: func([]bench.Record) error { return nil }}
	for _, x := range []struct {
		flag, format string
		out          func() *bench.Writer
	}{{"output", b.output, nil}, {"output-err", b.outputErr, nil}} {
		if x.format == "" || x.format == "none" {
			continue
		}
		to := a.stdout
		if x.flag == "output-err" {
			to = a.stderr
		}
		one, err := bench.NewWriter(to, x.format, opt.Tests)
		if err != nil {
			return nil, usagef("--%s is %q, want %s", x.flag, x.format, strings.Join(bench.Formats(), ", "))
		}
		if opt.Peer != nil {
			one.Compares()
		}
		w.all = append(w.all, one)
		if x.flag == "output" && x.format == "md" {
			w.footer = func(records []bench.Record) error {
				_, err := fmt.Fprint(to, benchFooter(records))
				return err
			}
		}
	}
	return w, nil
}

func (w *recordWriters) write(r bench.Record) error {
	var errs []error
	for _, x := range w.all {
		errs = append(errs, x.Write(r))
	}
	return errors.Join(errs...)
}

func (w *recordWriters) close(records []bench.Record) error {
	var errs []error
	for _, x := range w.all {
		errs = append(errs, x.Close())
	}
	return errors.Join(append(errs, w.footer(records))...)
}

// benchFooter says below a table where it was measured.
func benchFooter(records []bench.Record) string {
	if len(records) == 0 {
		return ""
	}
	r := records[len(records)-1]
	var s strings.Builder
	fmt.Fprintf(&s, "\nbuild: tenon %s, %s %s\n", or(r.BuildCommit, "of an unknown commit"), r.GoVersion, r.Platform)
	machine := []string{r.CPUInfo, plural(r.CPUs, "core")}
	machine = append(machine, r.Features...)
	if r.GPUInfo != "" {
		machine = append(machine, r.GPUInfo)
	}
	if r.Governor != "" {
		machine = append(machine, "governor "+r.Governor)
	}
	fmt.Fprintf(&s, "machine: %s\n", strings.Join(machine, ", "))
	if r.Bandwidth > 0 {
		fmt.Fprintf(&s, "measured: %.2f GB/s read, %.1f GFLOP/s of the best product\n", r.Bandwidth/1e9, r.Peak/1e9)
	}
	most := 0.0
	for _, x := range records {
		most = max(most, x.OtherLoad)
	}
	fmt.Fprintf(&s, "other load: up to %.2f cores", most)
	if r.Busy > 0 {
		fmt.Fprintf(&s, ", %s kept busy on purpose", plural(r.Busy, "core"))
	}
	s.WriteString("\n")
	if len(r.VsSamplesTS) > 0 {
		fmt.Fprintf(&s, "peer: %s, build %s, on %s\n", r.VsCommand, or(r.VsBuild, "unknown"), r.VsBackends)
	}
	if r.EnergyJ == 0 {
		for _, x := range r.Absent {
			if strings.HasPrefix(x, "energy: ") {
				fmt.Fprintf(&s, "no %s\n", x)
			}
		}
	}
	return s.String()
}

// options makes sense of the flags that do not vary.
func (b *benchFlags) options(a *app) (opt bench.Options, err error) {
	if err := b.parse(); err != nil {
		return opt, err
	}
	if b.sim != "" {
		place := placeFlags{sim: b.sim}
		names, err := place.simulate(a, 0)
		if err != nil {
			return opt, err
		}
		if b.matrix.Devices == nil && names != nil {
			b.matrix.Devices = [][]string{names}
		}
	}
	opt = bench.Options{
		Repetitions: b.repetitions, MinTime: time.Duration(b.minTime * float64(time.Second)), Delay: time.Duration(b.delay * float64(time.Second)), NoWarmup: b.noWarmup, NoRoofline: b.noRoofline,
		Commit: commit, Busy: b.busy,
	}
	if b.vs != "" {
		words, err := bench.SplitCommand(b.vs)
		if err != nil {
			return opt, usagef("--vs is %q, want a program and its arguments", b.vs)
		}
		opt.Peer = &bench.Peer{Command: words, Name: b.vsName, NoWarmup: b.noWarmup}
	}
	speculation, err := b.spec.options(a.stderr)
	if err != nil {
		return opt, err
	}
	drafters := b.spec.types
	if speculation == nil && len(b.models)+len(b.synthetic) == 0 {
		speculation = []tenon.Option{tenon.WithDraftData("gopher-mtp", gopher.Draft)}
		drafters = []string{tenon.DraftMTP}
	}
	if speculation != nil {
		b.matrix.Spec = true
		opt.Speculation = &bench.Speculation{Options: speculation, Prompt: b.specPrompt, Drafters: drafters}
	}
	return opt, nil
}
