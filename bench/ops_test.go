package bench

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/backends/cpu"
)

func TestOps(t *testing.T) {
	dev := cpu.New(cpu.Options{Threads: 1})
	defer dev.Close()
	opt := OpsOptions{Filter: regexp.MustCompile(`^(RMSNorm|TopK)/`), MinTime: time.Millisecond, Commit: "abc", line: &Roofline{Bandwidth: 1e9, Peak: 2e9}}
	seen := 0
	opt.Record = func(OpRecord) error { seen++; return nil }
	records, err := Ops(t.Context(), dev, opt)
	if err != nil || len(records) != 2 || seen != 2 {
		t.Fatalf("%d records, %d seen, %v", len(records), seen, err)
	}
	for _, r := range records {
		if r.Error != "" || r.NS <= 0 || r.Bytes <= 0 || r.Device != "CPU" || r.BuildCommit != "abc" || r.BandwidthShare != r.GBs || r.PeakShare != r.GFLOPs/2 {
			t.Errorf("%+v", r)
		}
	}
	records[1].Error = "unsupported: no kernel"
	for _, format := range Formats() {
		var b strings.Builder
		w, err := NewOpWriter(&b, format)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if err := w.Write(r); err != nil {
				t.Error(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		name := "RMSNorm/"
		if format == "go" {
			name = "BenchmarkOp/case=RMSNorm_"
		}
		if !strings.Contains(b.String(), name) {
			t.Errorf("%s: no %q in\n%s", format, name, b.String())
		}
	}

	opt.Filter = regexp.MustCompile("^nothing$")
	if _, err := Ops(t.Context(), dev, opt); !errors.Is(err, conformance.ErrOptions) {
		t.Errorf("no case: %v", err)
	}
	opt.Filter = regexp.MustCompile(`^(RMSNorm|TopK|ArgMax)/`)
	full := errors.New("disk full")
	opt.Record = func(OpRecord) error { return full }
	if records, err := Ops(t.Context(), dev, opt); !errors.Is(err, full) || len(records) != 1 {
		t.Errorf("a record that cannot be written: %d records, %v", len(records), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	opt.Record = func(OpRecord) error { cancel(); return nil }
	if records, err := Ops(ctx, dev, opt); !errors.Is(err, context.Canceled) || len(records) != 1 {
		t.Errorf("cancelled: %d records, %v", len(records), err)
	}
}
