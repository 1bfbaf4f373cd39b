package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
)

// conformFlags are the flags of tenon conform.
type conformFlags struct {
	device, sim, filter string
	corpus              string
	chapters            []string
	maxBytes            int64
	seed                uint64

	asJSON, asMarkdown  bool
	perf, support, list bool
}

// caseFacts is what `tenon conform --list --json` prints of a case.
type caseFacts struct {
	ID      string `json:"id"`
	Chapter string `json:"chapter"`
}

func (a *app) conformCommand() *cobra.Command {
	c := &conformFlags{}
	cmd := &cobra.Command{
		Use:   "conform",
		Short: "Test whether a device computes right",
		Long: `Run the conformance suite on a device of this machine: every op and type against plain loops in double
precision, and memory, programs, whole layers, cancellation and concurrency. What a device says it cannot do is no
failure. The exit code is 1 if a case fails.

The chapters are ` + strings.Join(conformance.Chapters(), ", ") + `. Those of chapter large need
--max-bytes 12884901888 and a device that has as much, and those of chapter corpus need --corpus.`,
		Example: `  tenon conform
  tenon conform --device Vulkan0 --md > report.md
  tenon conform --filter '^MatMul/a=Q4_K,'
  tenon conform --perf
  tenon conform --support`,
		Args: wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interruptible(cmd.Context(), func(ctx context.Context) error { return a.conform(ctx, c) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.device, "device", "", "`NAME` of the device (default: the preferred one; see tenon devices)")
	_ = cmd.RegisterFlagCompletionFunc("device", completeDevices)
	f.StringVar(&c.sim, "sim", "", "test the simulated devices that `FILE` describes (-: stdin)")
	_ = cmd.MarkFlagFilename("sim")
	f.StringVar(&c.filter, "filter", "", "only cases whose id matches `REGEX`")
	f.StringSliceVar(&c.chapters, "chapter", nil, "`LIST` of chapters (default: all)")
	f.Int64Var(&c.maxBytes, "max-bytes", 0, "leave out cases that need more device memory (0: 256 MiB, with --perf 1 GiB)")
	f.Uint64Var(&c.seed, "seed", 0, "other random numbers than those that belong to each id")
	f.StringVar(&c.corpus, "corpus", "", "`FOLDER` of a reference corpus, for chapter corpus")
	_ = cmd.MarkFlagDirname("corpus")
	f.BoolVar(&c.asJSON, "json", false, "print one JSON document")
	f.BoolVar(&c.asMarkdown, "md", false, "print a report in Markdown")
	f.BoolVar(&c.perf, "perf", false, "measure speed instead")
	f.BoolVar(&c.support, "support", false, "print which ops the device supports, or all devices without --device, and run nothing")
	f.BoolVar(&c.list, "list", false, "print the ids of the cases, and run nothing")
	return cmd
}

// check finds what cannot be, and returns the regular expression of --filter or nil.
func (c *conformFlags) check() (*regexp.Regexp, error) {
	modes := 0
	for _, on := range []bool{c.perf, c.support, c.list} {
		if on {
			modes++
		}
	}
	switch {
	case modes > 1:
		return nil, usagef("--perf, --support and --list exclude each other")
	case c.asJSON && c.asMarkdown:
		return nil, usagef("--json and --md exclude each other")
	case c.list && c.asMarkdown:
		return nil, usagef("--list has no --md")
	case (c.perf || c.support) && (c.chapters != nil || c.corpus != ""):
		return nil, usagef("--chapter and --corpus are for cases that are run or listed")
	case c.perf && c.seed != 0:
		return nil, usagef("--seed is for cases that are compared, and --perf compares nothing")
	case c.maxBytes < 0:
		return nil, usagef("--max-bytes is %d, want 0 or more", c.maxBytes)
	case c.filter == "":
		return nil, nil
	}
	re, err := regexp.Compile(c.filter)
	if err != nil {
		return nil, usagef("--filter: %w", err)
	}
	return re, nil
}

func (a *app) conform(ctx context.Context, c *conformFlags) error {
	filter, err := c.check()
	if err != nil {
		return err
	}
	opt := conformance.Options{Filter: filter, Chapters: c.chapters, MaxBytes: c.maxBytes, Seed: c.seed, Corpus: c.corpus}
	if c.list {
		return a.listCases(c, opt)
	}
	devices, err := c.open(a)
	if err != nil {
		return err
	}
	switch {
	case c.support:
		return a.conformSupport(c, opt, devices)
	case c.perf:
		return a.conformPerf(ctx, c, filter, devices[0])
	}
	return a.conformRun(ctx, c, opt, devices[0])
}

// open returns the device of --device, or all, the preferred first.
func (c *conformFlags) open(a *app) ([]backends.Device, error) {
	if c.sim != "" {
		place := placeFlags{sim: c.sim}
		if _, err := place.simulate(a, 0); err != nil {
			return nil, err
		}
	}
	if c.device != "" {
		dev, err := backends.Open(c.device)
		return []backends.Device{dev}, err
	}
	var all []backends.Device
	var reasons []error
	for _, found := range backends.Probe() {
		all = append(all, found.Devices...)
		reasons = append(reasons, found.Err)
	}
	if len(all) == 0 {
		return nil, errors.Join(append([]error{backends.ErrNoDevice}, reasons...)...)
	}
	return all, nil
}

func (a *app) listCases(c *conformFlags, opt conformance.Options) error {
	cases, err := opt.Cases()
	if err != nil {
		return conformUsage(err)
	}
	facts := make([]caseFacts, len(cases))
	for i, x := range cases {
		facts[i] = caseFacts{x.ID, x.Chapter}
	}
	if c.asJSON {
		return writeJSON(a.stdout, facts)
	}
	for _, f := range facts {
		if _, err := fmt.Fprintln(a.stdout, f.ID); err != nil {
			return err
		}
	}
	return nil
}

// conformUsage makes errors about options errors of the command line.
func conformUsage(err error) error {
	if errors.Is(err, conformance.ErrOptions) {
		return &usageError{err}
	}
	return err
}
