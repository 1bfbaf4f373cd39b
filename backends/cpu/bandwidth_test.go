package cpu

import (
	"context"
	"errors"
	"testing"

	"github.com/tenon-go/tenon/buffer"
)

func TestReadBandwidth(t *testing.T) {
	d := New(Options{Threads: 2, MemoryLimit: 8 << 20})
	defer d.Close()
	rate, err := d.ReadBandwidth(t.Context(), 4<<20)
	if err != nil || !(rate > 1e6 && rate < 1e14) {
		t.Errorf("%g bytes a second, %v", rate, err)
	}
	if used := d.Memory().Used(); used != 0 {
		t.Errorf("%d bytes are still in use", used)
	}
	if _, err := d.ReadBandwidth(t.Context(), 16<<20); !errors.Is(err, buffer.ErrNoMemory) {
		t.Errorf("beyond the limit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.ReadBandwidth(ctx, 4<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func BenchmarkReadBandwidth(b *testing.B) {
	d := New(Options{})
	defer d.Close()
	for b.Loop() {
		rate, err := d.ReadBandwidth(b.Context(), 0)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(rate/1e9, "GB/s")
	}
}
