package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance/ref"
)

// Options chooses what runs. The zero Options runs every case that needs little memory.
type Options struct {
	Filter   *regexp.Regexp // of ids; nil is all
	Chapters []string       // nil is all; see Chapters
	MaxBytes int64          // of device memory that a case may need; 0 is 256 MiB, which leaves chapter large out
	Seed     uint64         // 0 is the numbers that belong to each id; another gives others
	Corpus   string         // folder of a reference corpus, for chapter corpus
	Timeout  time.Duration  // of one case, after which the device counts as hanging; 0 is two minutes

	// Beside is the second device of the scheduler chapter. It is nil for one that computes by the
	// oracle.
	Beside backends.Device

	// Progress is called after each case if it is not nil.
	Progress func(Result)
}

// ErrOptions is what errors about Options match.
var ErrOptions = errors.New("wrong options of the conformance suite")

// ErrHang says that a device did not come back from a case. Its later cases did not run.
var ErrHang = errors.New("the device hangs")

func (o Options) withDefaults() Options {
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.Beside == nil {
		o.Beside = ref.NewDevice("Reference0")
	}
	return o
}

// Cases returns the cases that o chooses by Chapters and Filter, in the order in which they run. Errors:
// ErrOptions, for a chapter that there is not, a corpus that cannot be read, or if no case is chosen.
func (o Options) Cases() ([]Case, error) {
	for _, c := range o.Chapters {
		if !slices.Contains(Chapters(), c) {
			return nil, fmt.Errorf("conformance: %w: no chapter %q, there are %v", ErrOptions, c, Chapters())
		}
	}
	all := Cases()
	switch {
	case o.Corpus != "":
		more, err := corpusCases(o.Corpus)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	case slices.Contains(o.Chapters, ChapterCorpus):
		return nil, fmt.Errorf("conformance: %w: chapter %s without the folder of a corpus", ErrOptions, ChapterCorpus)
	}
	all = slices.DeleteFunc(all, func(c Case) bool {
		return o.Chapters != nil && !slices.Contains(o.Chapters, c.Chapter) || o.Filter != nil && !o.Filter.MatchString(c.ID)
	})
	if len(all) == 0 {
		return nil, fmt.Errorf("conformance: %w: no case is chosen", ErrOptions)
	}
	return all, nil
}

// Run runs the chosen cases on a device. What the device does wrong is in the Report; an error says why
// there is none, or, with the Report so far, why it ends early: ErrOptions, ErrHang, or that of ctx.
func Run(ctx context.Context, dev backends.Device, opt Options) (*Report, error) {
	cases, err := opt.Cases()
	if err != nil {
		return nil, err
	}
	opt = opt.withDefaults()
	s, err := newSession(dev, opt)
	if err != nil {
		return nil, err
	}
	report := newReport(dev)
	begin := time.Now()
	for i := range cases {
		if err := ctx.Err(); err != nil {
			return report, errors.Join(err, s.close())
		}
		r, err := s.run(ctx, &cases[i])
		report.add(r)
		report.Elapsed = time.Since(begin)
		if opt.Progress != nil {
			opt.Progress(r)
		}
		if err != nil { // the session's memory may still be in use
			return report, err
		}
	}
	return report, s.close()
}

// run runs one case. It returns an error if nothing can run after it.
func (s *session) run(ctx context.Context, c *Case) (Result, error) {
	r := Result{ID: c.ID, Chapter: c.Chapter, Op: c.Op, Type: c.Type, Seed: Seed(c.ID, s.opt.Seed)}
	if c.Bytes > s.opt.MaxBytes {
		r.Status = Skipped
		r.Reason = fmt.Sprintf("needs %d bytes, and %d are allowed", c.Bytes, s.opt.MaxBytes)
		return r, nil
	}
	type outcome struct {
		m   measure
		err error
	}
	done := make(chan outcome, 1)
	begin := time.Now()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		var o outcome
		if c.build != nil {
			o.m, o.err = c.runOp(inner, s)
		} else {
			o.m, o.err = c.run(inner, s)
		}
		done <- o
	}()
	timer := time.NewTimer(s.opt.Timeout)
	defer timer.Stop()
	select {
	case o := <-done:
		r.Elapsed = time.Since(begin)
		r.NMSE, r.ULP = o.m.NMSE, o.m.ULP
		r.judge(o.err)
		return r, nil
	case <-timer.C:
	}
	cancel() // a device that listens comes back now
	r.Elapsed = time.Since(begin)
	r.Status, r.Reason = Fail, fmt.Sprintf("not done after %v", s.opt.Timeout)
	select {
	case <-done:
		return r, nil
	case <-time.After(min(s.opt.Timeout, 10*time.Second)):
		r.Reason += ", and a cancelled context does not end it"
		return r, fmt.Errorf("conformance: %s: %w", c.ID, ErrHang)
	}
}

// judge sets status and reason from what a case returned.
func (r *Result) judge(err error) {
	var skip skipError
	switch {
	case err == nil:
		r.Status = Pass
	case errors.As(err, &skip):
		r.Status, r.Reason = Skipped, skip.Error()
	case errors.Is(err, backends.ErrUnsupported):
		r.Status, r.Reason = Unsupported, err.Error()
	default:
		r.Status, r.Reason = Fail, err.Error()
	}
}

// skipError says that a case has nothing to test on this device.
type skipError string

func (e skipError) Error() string { return string(e) }

// Test runs the suite in a Go test, each case as a subtest of its id, so that go test -run finds it:
// characters that -run takes for its own are to be quoted. open is called once, and the device is
// closed at the end. Of several opts the last field set counts.
//
// What the device says it does not support is no failure; compare Survey with what it must support.
func Test(t *testing.T, open func() (backends.Device, error), opts ...Options) {
	t.Helper()
	dev, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	opt := merge(opts)
	cases, err := opt.Cases()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSession(dev, opt.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	report := newReport(dev)
	begin := time.Now()
	for i := range cases {
		var hang error
		t.Run(cases[i].ID, func(t *testing.T) {
			var r Result
			r, hang = s.run(t.Context(), &cases[i])
			report.add(r)
			switch r.Status {
			case Fail:
				t.Errorf("%s (seed %#x)", r.Reason, r.Seed)
			case Unsupported, Skipped:
				t.Skip(r.Reason)
			}
		})
		if hang != nil {
			t.Fatal(hang)
		}
	}
	if err := s.close(); err != nil {
		t.Errorf("closing memory: %v", err)
	}
	report.Elapsed = time.Since(begin)
	t.Log(report.Summary())
}

// merge lays later options over earlier ones.
func merge(opts []Options) Options {
	var o Options
	for _, p := range opts {
		if p.Filter != nil {
			o.Filter = p.Filter
		}
		if p.Chapters != nil {
			o.Chapters = p.Chapters
		}
		if p.MaxBytes != 0 {
			o.MaxBytes = p.MaxBytes
		}
		if p.Seed != 0 {
			o.Seed = p.Seed
		}
		if p.Corpus != "" {
			o.Corpus = p.Corpus
		}
		if p.Timeout != 0 {
			o.Timeout = p.Timeout
		}
		if p.Beside != nil {
			o.Beside = p.Beside
		}
		if p.Progress != nil {
			o.Progress = p.Progress
		}
	}
	return o
}
