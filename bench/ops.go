package bench

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
)

// OpRecord is how fast a device runs one op of one type and shape.
type OpRecord struct {
	Manifest

	Device string    `json:"device"`
	Time   time.Time `json:"test_time"`

	Case   string  `json:"case"` // such as "MatMul/a=Q4_K,b=F32,m=4096,n=1,k=4096"
	Runs   int     `json:"runs"`
	NS     int64   `json:"median_ns"`
	Bytes  int64   `json:"bytes"`      // read and written at least
	Ops    int64   `json:"operations"` // that the definition asks for
	GBs    float64 `json:"gb_per_second"`
	GFLOPs float64 `json:"gflop_per_second"`

	// The shares are of what the device reads when it does nothing else, and of the best product among the
	// cases that were measured. What lies in a cache can be read faster than memory: above 1.
	Bandwidth      float64 `json:"bandwidth"`
	BandwidthShare float64 `json:"bandwidth_share"`
	Peak           float64 `json:"peak"`
	PeakShare      float64 `json:"peak_share"`

	Error string `json:"error"` // why it was not measured
}

// OpsOptions says which ops are measured.
type OpsOptions struct {
	Filter   *regexp.Regexp // of cases; nil is all
	MinTime  time.Duration  // for each; half a second if 0
	MaxBytes int64          // of device memory that a case may need; 1 GiB if 0
	Commit   string

	Progress func(doing string, done int)
	Record   func(OpRecord) error

	NoRoofline bool // leave out what the device can do at most; shares are 0 then

	line *Roofline // of tests, which do not wait for it
}

// Ops measures the ops of the conformance suite's table on dev, which are those that models spend their
// time in, at their sizes. A case that the device does not support is a record with an error.
//
// Errors: conformance.ErrOptions for a filter that leaves nothing, those of the device, that of ctx, or
// what OpsOptions.Record returned; the records so far come with it.
func Ops(ctx context.Context, dev backends.Device, opt OpsOptions) ([]OpRecord, error) {
	tell := func(doing string, done int) {
		if opt.Progress != nil {
			opt.Progress(doing, done)
		}
	}
	m := NewManifest(opt.Commit, []backends.Device{dev})
	var all []OpRecord
	var failed error
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var line *Roofline // measured when it is known that there is a case
	_, err := conformance.Perf(ctx, dev, conformance.PerfOptions{
		Filter: opt.Filter, MinTime: opt.MinTime, MaxBytes: opt.MaxBytes,
		Progress: func(x conformance.PerfResult) {
			if failed != nil {
				return
			}
			if line == nil {
				if line, failed = opt.roofline(ctx, dev, tell); failed != nil {
					cancel(failed)
					return
				}
			}
			r := newOpRecord(m, dev.Info().Owner.Device, x, *line)
			all = append(all, r)
			tell("measuring", len(all))
			if opt.Record != nil {
				if failed = opt.Record(r); failed != nil {
					cancel(failed)
				}
			}
		},
	})
	if failed != nil {
		return all, failed
	}
	return all, err
}

func (o *OpsOptions) roofline(ctx context.Context, dev backends.Device, tell func(string, int)) (*Roofline, error) {
	switch {
	case o.line != nil:
		return o.line, nil
	case o.NoRoofline:
		return new(Roofline), nil
	}
	tell("measuring the device", 0)
	line, err := MeasureRoofline(ctx, dev)
	return &line, err
}

func newOpRecord(m Manifest, device string, x conformance.PerfResult, line Roofline) OpRecord {
	r := OpRecord{
		Manifest: m, Device: device, Time: time.Now().UTC().Truncate(time.Second), Case: x.ID, Runs: x.Runs, NS: int64(x.Micros * 1e3),
		Bytes: x.Bytes, Ops: x.Ops, GBs: x.GBs, GFLOPs: x.GFLOPs, Bandwidth: line.Bandwidth, Peak: line.Peak,
		BandwidthShare: quotient(x.GBs*1e9, line.Bandwidth), PeakShare: quotient(x.GFLOPs*1e9, line.Peak),
	}
	if x.Status != conformance.Pass {
		r.Error = fmt.Sprintf("%s: %s", x.Status, x.Reason)
	}
	return r
}

// NewOpWriter is NewWriter for OpRecords.
func NewOpWriter(w io.Writer, format string) (*Writer, error) {
	return newWriter(w, format, "tenon_bench_ops", nil)
}

func (r OpRecord) cells(*tableStyle) []cell {
	all := []cell{{"device", false, 6, r.Device}, {"case", false, 48, r.Case}}
	if r.Error != "" {
		all[1].text += ": " + r.Error
	}
	micros := "-"
	if r.NS > 0 {
		micros = fmt.Sprintf("%.1f", float64(r.NS)/1e3)
	}
	return append(all,
		cell{"µs", true, 10, micros},
		cell{"GB/s", true, 8, numberOrDash(r.GBs)},
		cell{"of bandwidth", true, 12, percent(r.BandwidthShare)},
		cell{"GFLOP/s", true, 8, numberOrDash(r.GFLOPs)},
		cell{"of peak", true, 7, percent(r.PeakShare)},
	)
}

func (r OpRecord) labels() []string {
	return append(r.Manifest.goLabels(), "device: "+oneLine(r.Device))
}

func (r OpRecord) goBench(b []byte) []byte {
	if r.Error != "" {
		return b
	}
	return fmt.Appendf(b, "BenchmarkOp/case=%s %d %d ns/op %.6g GB/s %.6g GFLOP/s\n", benchName(r.Case), max(r.Runs, 1), r.NS, r.GBs, r.GFLOPs)
}
