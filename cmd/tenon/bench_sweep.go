package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/bench"
)

func (a *app) benchSweepCommand() *cobra.Command {
	b := newBenchFlags()
	cmd := &cobra.Command{
		Use:   "sweep [-m FILE | --synthetic MODEL]",
		Short: "Find the settings with which a model runs fastest",
		Long: `Run a product of settings, such as threads and tokens of a run, and name those with which each test is fastest.
The flags are those of tenon bench. Unless they are given, threads are 1, 2, 4 and so on up to the number of cores, and
the tokens of a run 128, 256 and 512.`,
		Example: `  tenon bench sweep -m model.gguf
  tenon bench sweep -m model.gguf -t 4-16+4 -ub 64-1024*2 -d 0,4096 -r 3`,
		Args: wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("threads") {
				*b.lists["threads"] = sweepThreads(runtime.GOMAXPROCS(0))
			}
			if !cmd.Flags().Changed("ubatch-size") {
				*b.lists["ubatch-size"] = []string{"128", "256", "512"}
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error {
				return a.bench(ctx, b, func(records []bench.Record) error { return a.printBest(b, records) })
			})
		},
	}
	b.add(cmd)
	return cmd
}

// sweepThreads returns the powers of two up to n, and n.
func sweepThreads(n int) []string {
	var all []string
	for t := 1; t < n; t *= 2 {
		all = append(all, fmt.Sprint(t))
	}
	return append(all, fmt.Sprint(n))
}

// printBest names the fastest settings of each test, below the table or, with another format, on stderr.
func (a *app) printBest(b *benchFlags, records []bench.Record) error {
	out := a.stdout
	if b.output != "md" {
		out = a.stderr
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	for _, r := range bench.Best(records) {
		flags := []string{fmt.Sprintf("-t %d -b %d -ub %d -ctk %s -ctv %s", r.Threads, r.Batch, r.UBatch, r.TypeK, r.TypeV)}
		if r.GPULayers >= 0 {
			flags = append(flags, fmt.Sprintf("-ngl %d", r.GPULayers))
		}
		if r.Devices != "auto" {
			flags = append(flags, "-dev "+r.Devices)
		}
		if r.Overrides != "none" {
			flags = append(flags, "-ot '"+r.Overrides+"'")
		}
		_, err := fmt.Fprintf(out, "best for %s, %s: %s (%.2f t/s)\n", printable(r.ModelType), r.Test(), strings.Join(flags, " "), bench.Median(r.SamplesTS))
		if err != nil {
			return err
		}
	}
	return nil
}
