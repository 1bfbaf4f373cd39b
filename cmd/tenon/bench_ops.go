package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/bench"
)

// benchOpsFlags are the flags of tenon bench ops.
type benchOpsFlags struct {
	device, sim, filter, output string
	threads                     int
	minTime                     time.Duration
	maxBytes                    int64
	noRoofline                  bool
}

func (a *app) benchOpsCommand() *cobra.Command {
	o := &benchOpsFlags{}
	cmd := &cobra.Command{
		Use:   "ops",
		Short: "Measure the ops that models spend their time in",
		Long: `Measure each op, type and shape of the conformance suite's table of speed on a device: time, bytes and operations
a second, and their share of what the device reads when it does nothing else and of its best product.`,
		Example: `  tenon bench ops --filter '^MatMul/a=Q4_K,'
  tenon bench ops --device Vulkan0 -o csv > ops.csv`,
		Args: wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interruptible(cmd.Context(), func(ctx context.Context) error { return a.benchOps(ctx, o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.device, "device", "", "`NAME` of the device (-dev; default: the preferred one)")
	_ = cmd.RegisterFlagCompletionFunc("device", completeDevices)
	f.StringVar(&o.sim, "sim", "", "measure the simulated devices that `FILE` describes (-: stdin)")
	_ = cmd.MarkFlagFilename("sim")
	f.StringVar(&o.filter, "filter", "", "only cases whose id matches `REGEX`")
	f.IntVarP(&o.threads, "threads", "t", 0, "CPU threads (0: one for each core)")
	f.DurationVar(&o.minTime, "min-time", 0, "run each case for this `TIME` at least (default 500ms)")
	f.Int64Var(&o.maxBytes, "max-bytes", 0, "leave out cases that need more device memory (0: 1 GiB)")
	f.BoolVar(&o.noRoofline, "no-roofline", false, "do not measure what the device can do at most")
	f.StringVarP(&o.output, "output", "o", "md", "`FORMAT` on stdout: "+strings.Join(bench.Formats(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(bench.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) benchOps(ctx context.Context, o *benchOpsFlags) (err error) {
	if o.threads < 0 || o.maxBytes < 0 || o.minTime < 0 {
		return usagef("--threads, --max-bytes and --min-time are 0 or more")
	}
	opt := bench.OpsOptions{MinTime: o.minTime, MaxBytes: o.maxBytes, NoRoofline: o.noRoofline, Commit: commit}
	if o.filter != "" {
		if opt.Filter, err = regexp.Compile(o.filter); err != nil {
			return usagef("--filter: %w", err)
		}
	}
	out, err := bench.NewOpWriter(a.stdout, o.output)
	if err != nil {
		return usagef("--output is %q, want %s", o.output, strings.Join(bench.Formats(), ", "))
	}
	devices, err := (&conformFlags{device: o.device, sim: o.sim}).open(a)
	if err != nil {
		return err
	}
	dev := devices[0]
	if o.threads > 0 {
		if dev.Info().Kind != backends.CPU || o.sim != "" {
			return usagef("--threads is for the CPU, not for %s", dev.Info().Owner.Device)
		}
		dev = cpu.New(cpu.Options{Threads: o.threads})
		defer func() { err = errors.Join(err, dev.Close()) }()
	}
	status := newStatusLine(a.stderr, false)
	opt.Progress = func(doing string, done int) {
		status.show(fmt.Sprintf("%s: %s, case %d", dev.Info().Owner.Device, doing, done+1))
	}
	opt.Record = func(r bench.OpRecord) error {
		status.clear()
		return out.Write(r)
	}
	records, err := bench.Ops(ctx, dev, opt)
	status.clear()
	if errors.Is(err, conformance.ErrOptions) && records == nil {
		return &usageError{err}
	}
	return errors.Join(err, out.Close())
}
