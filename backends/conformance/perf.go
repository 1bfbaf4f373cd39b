package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// PerfOptions chooses what Perf measures.
type PerfOptions struct {
	Filter   *regexp.Regexp // of ids; nil is all
	MinTime  time.Duration  // that each case is run for at least; 0 is half a second
	MaxBytes int64          // of device memory that a case may need; 0 is 1 GiB
	Progress func(PerfResult)
}

// PerfResult is how fast one case runs.
type PerfResult struct {
	ID     string  `json:"id"`
	Runs   int     `json:"runs"`
	Micros float64 `json:"us"`         // of the median run, submit to end
	Bytes  int64   `json:"bytes"`      // read and written at least, each tensor once
	Ops    int64   `json:"operations"` // multiplications and additions that the definition asks for
	GBs    float64 `json:"gbPerSecond"`
	GFLOPs float64 `json:"gflopPerSecond"`
	// MemoryShare and ComputeShare are GBs and GFLOPs over the greatest of the same report: that of a
	// large copy or product, usually, and so the machine's measured peak.
	MemoryShare  float64 `json:"memoryShare"`
	ComputeShare float64 `json:"computeShare"`
	Status       Status  `json:"status"`
	Reason       string  `json:"reason,omitempty"`
}

// PerfReport is what Perf measured.
type PerfReport struct {
	Device      string       `json:"device"`
	Description string       `json:"description"`
	Driver      string       `json:"driver,omitempty"`
	Features    []string     `json:"features,omitempty"`
	Results     []PerfResult `json:"results"`
}

// perfCase is one thing to measure.
type perfCase struct {
	id    string
	ops   func(n *tensor.Tensor) int64
	build build
}

// Perf measures how fast a device runs the ops that models spend their time in, at sizes of models of 1 to
// 8 billion weights. Results are not compared: that is what Run is for. Errors: ErrOptions,
// or that of ctx.
func Perf(ctx context.Context, dev backends.Device, opt PerfOptions) (*PerfReport, error) {
	if opt.MinTime == 0 {
		opt.MinTime = time.Second / 2
	}
	if opt.MaxBytes == 0 {
		opt.MaxBytes = 1 << 30
	}
	cases := slices.DeleteFunc(perfCases(), func(c perfCase) bool { return opt.Filter != nil && !opt.Filter.MatchString(c.id) })
	if len(cases) == 0 {
		return nil, fmt.Errorf("conformance: %w: no case is chosen", ErrOptions)
	}
	i := dev.Info()
	report := &PerfReport{Device: i.Owner.Device, Description: i.Description, Driver: i.Driver, Features: i.Features}
	for _, c := range cases {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		s, err := newSession(dev, Options{}.withDefaults())
		if err != nil {
			return report, err
		}
		r, err := s.measure(ctx, c, opt)
		r.ID = c.id
		switch {
		case errors.Is(err, backends.ErrUnsupported):
			r.Status, r.Reason = Unsupported, err.Error()
		case err != nil:
			r.Status, r.Reason = Fail, err.Error()
		}
		if err := s.close(); err != nil {
			return report, err
		}
		report.Results = append(report.Results, r)
		if opt.Progress != nil {
			opt.Progress(r)
		}
	}
	report.shares()
	return report, nil
}

// measure runs c for a while.
func (s *session) measure(ctx context.Context, c perfCase, opt PerfOptions) (r PerfResult, err error) {
	g := newGen(newRand(c.id, 0))
	out := c.build(g)
	b, err := s.bind(g, false, out)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if b.size > opt.MaxBytes {
		r.Status, r.Reason = Skipped, fmt.Sprintf("needs %d bytes, and %d are allowed", b.size, opt.MaxBytes)
		return r, nil
	}
	if err := b.reset(); err != nil {
		return r, err
	}
	if err := b.submit(ctx, true); err != nil { // the first run is slower
		return r, err
	}
	var times []time.Duration
	for begin := time.Now(); len(times) < 3 || time.Since(begin) < opt.MinTime; {
		t := time.Now()
		if err := b.submit(ctx, true); err != nil {
			return r, err
		}
		times = append(times, time.Since(t))
	}
	slices.Sort(times)
	median := times[len(times)/2]
	r.Runs, r.Micros, r.Ops = len(times), float64(median.Nanoseconds())/1e3, c.ops(out)
	r.Bytes = traffic(out)
	seconds := max(median.Seconds(), 1e-9)
	r.GBs, r.GFLOPs = float64(r.Bytes)/seconds/1e9, float64(r.Ops)/seconds/1e9
	return r, nil
}

// traffic returns how many bytes n must at least read and write.
func traffic(n *tensor.Tensor) int64 {
	packed := func(t *tensor.Tensor) int64 { return int64(t.Shape.Rows()) * int64(t.Type.RowBytes(t.Shape[0])) }
	switch n.Op.(type) {
	case tensor.GetRows: // only the rows that are named
		return packed(n) + int64(n.Shape.Rows()*n.Src[0].Type.RowBytes(n.Shape[0])) + packed(n.Src[1])
	case tensor.SetRows:
		x := n.Src[1]
		return packed(x) + int64(x.Shape.Rows()*n.Type.RowBytes(n.Shape[0])) + packed(n.Src[2])
	case tensor.MatMulID:
		a, used := n.Src[0], min(n.Src[2].Shape.Elems(), n.Src[0].Shape[2])
		return packed(n) + packed(n.Src[1]) + packed(n.Src[2]) + packed(a)/int64(a.Shape[2])*int64(used)
	}
	sum := packed(n)
	for _, s := range n.Src {
		if s != nil {
			sum += packed(s)
		}
	}
	return sum
}

// shares fills in how near each result comes to the best.
func (r *PerfReport) shares() {
	var bytes, flops float64
	for _, x := range r.Results {
		bytes, flops = max(bytes, x.GBs), max(flops, x.GFLOPs)
	}
	for i := range r.Results {
		x := &r.Results[i]
		if bytes > 0 {
			x.MemoryShare = x.GBs / bytes
		}
		if flops > 0 {
			x.ComputeShare = x.GFLOPs / flops
		}
	}
}

// WriteJSON writes the report as one JSON object.
func (r *PerfReport) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// WriteMarkdown writes the report as a table.
func (r *PerfReport) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Speed of %s\n\n%s\n\n", r.Device, cell(r.Description))
	b.WriteString("| case | runs | µs | GB/s | of the best | GFLOP/s | of the best |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for _, x := range r.Results {
		if x.Status != Pass {
			fmt.Fprintf(&b, "| `%s` | %s: %s | | | | | |\n", x.ID, x.Status, cell(x.Reason))
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %d | %.1f | %.2f | %.0f %% | %.2f | %.0f %% |\n", x.ID, x.Runs, x.Micros, x.GBs, 100*x.MemoryShare, x.GFLOPs, 100*x.ComputeShare)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
