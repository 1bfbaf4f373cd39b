package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
)

// document is a report that the suite can write.
type document interface {
	WriteJSON(w io.Writer) error
	WriteMarkdown(w io.Writer) error
}

// conformRun runs the cases. A failure is told when it comes: a device that hangs later has told it.
func (a *app) conformRun(ctx context.Context, c *conformFlags, opt conformance.Options, dev backends.Device) error {
	cases, err := opt.Cases()
	if err != nil {
		return conformUsage(err)
	}
	bar := a.caseBar("testing", dev)
	done := 0
	opt.Progress = func(r conformance.Result) {
		done++
		if r.Status == conformance.Fail && !c.asJSON && !c.asMarkdown {
			bar.clear()
			fmt.Fprintf(a.stdout, "FAIL %s: %s\n", r.ID, oneLine(errors.New(r.Reason)))
		}
		bar.set(int64(done), int64(len(cases)))
	}
	report, err := conformance.Run(ctx, dev, opt)
	bar.clear()
	if report == nil {
		return err
	}
	err = errors.Join(err, c.write(a.stdout, report, func() error {
		_, err := fmt.Fprintln(a.stdout, report.Summary())
		return err
	}))
	bad := report.Failures()
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("%s fails %d of %s, such as %s", report.Device, len(bad), plural(len(report.Results), "case"), bad[0].ID)
	}
	return err
}

// write writes a report in the format of the flags; plain is for none.
func (c *conformFlags) write(w io.Writer, d document, plain func() error) error {
	switch {
	case c.asJSON:
		return d.WriteJSON(w)
	case c.asMarkdown:
		return d.WriteMarkdown(w)
	}
	return plain()
}

// caseBar returns a bar that counts cases.
func (a *app) caseBar(doing string, dev backends.Device) *progress {
	bar := newProgress(a.stderr, doing+" "+dev.Info().Owner.Device)
	bar.unit = func(n int64) string { return plural(int(n), "case") }
	return bar
}

// conformPerf measures. Each case takes long enough that its line is shown at once.
func (a *app) conformPerf(ctx context.Context, c *conformFlags, filter *regexp.Regexp, dev backends.Device) error {
	opt := conformance.PerfOptions{Filter: filter, MaxBytes: c.maxBytes}
	if !c.asJSON && !c.asMarkdown {
		fmt.Fprintf(a.stdout, "%12s %10s %10s  %s\n", "us", "GB/s", "GFLOP/s", "case")
		opt.Progress = func(r conformance.PerfResult) {
			if r.Status == conformance.Pass {
				fmt.Fprintf(a.stdout, "%12.1f %10.2f %10.2f  %s\n", r.Micros, r.GBs, r.GFLOPs, r.ID)
			} else {
				fmt.Fprintf(a.stdout, "%12s %10s %10s  %s: %s\n", r.Status, "-", "-", r.ID, oneLine(errors.New(r.Reason)))
			}
		}
	}
	report, err := conformance.Perf(ctx, dev, opt)
	if report == nil {
		return conformUsage(err)
	}
	err = errors.Join(err, c.write(a.stdout, report, func() error { return nil }))
	for _, r := range report.Results {
		if err == nil && r.Status == conformance.Fail {
			err = fmt.Errorf("%s fails %s: %s", report.Device, r.ID, r.Reason)
		}
	}
	return err
}

// conformSupport prints a table with a column for each device; with --json, an array of them.
func (a *app) conformSupport(c *conformFlags, opt conformance.Options, devices []backends.Device) error {
	var all []*conformance.Support
	for _, dev := range devices {
		s, err := conformance.Survey(dev, opt)
		if err != nil {
			return conformUsage(err)
		}
		all = append(all, s)
	}
	if c.asJSON {
		return writeJSON(a.stdout, all)
	}
	return conformance.WriteSupport(a.stdout, all...)
}
