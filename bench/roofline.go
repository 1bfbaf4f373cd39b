package bench

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
)

// Roofline is what a device can do at most, as measured: how many bytes a second it reads from its
// memory, and how many operations a second its best matrix product makes.
type Roofline struct {
	Bandwidth float64 `json:"bandwidth"` // bytes a second
	Peak      float64 `json:"peak"`      // multiplications and additions a second
}

// bandwidthReader is a device that measures its own memory.
type bandwidthReader interface {
	ReadBandwidth(ctx context.Context, size int64) (bytesPerSecond float64, err error)
}

// What is run to find the peaks: products of many tokens, which compute, and of one, which read.
var (
	peakCases   = regexp.MustCompile(`^MatMul/a=(F32|BF16|F16|Q8_0),.*n=512,`)
	memoryCases = regexp.MustCompile(`^(Copy/x=F32,to=F32|Add/|MatMul/a=(F32|F16),.*n=1,)`)
)

// peakTime is how long each case runs.
const peakTime = 150 * time.Millisecond

// MeasureRoofline measures dev. A device with a method ReadBandwidth, as the CPU, is asked for its
// bandwidth; of another it is that of the best among large copies, sums and products of one token.
//
// Errors: that of ctx, those of the device.
func MeasureRoofline(ctx context.Context, dev backends.Device) (r Roofline, err error) {
	return measureRoofline(ctx, dev, 0, peakCases)
}

// measureRoofline is MeasureRoofline with a buffer of another size and other products.
func measureRoofline(ctx context.Context, dev backends.Device, size int64, peakCases *regexp.Regexp) (r Roofline, err error) {
	if m, ok := dev.(bandwidthReader); ok {
		r.Bandwidth, err = m.ReadBandwidth(ctx, size)
	} else {
		r.Bandwidth, err = bestOf(ctx, dev, memoryCases, func(x conformance.PerfResult) float64 { return x.GBs })
	}
	if err != nil {
		return r, err
	}
	r.Peak, err = bestOf(ctx, dev, peakCases, func(x conformance.PerfResult) float64 { return x.GFLOPs })
	return r, err
}

// bestOf returns the greatest value of the cases, in units instead of billions of them.
func bestOf(ctx context.Context, dev backends.Device, cases *regexp.Regexp, value func(conformance.PerfResult) float64) (float64, error) {
	report, err := conformance.Perf(ctx, dev, conformance.PerfOptions{Filter: cases, MinTime: peakTime})
	if err != nil {
		return 0, err
	}
	best := 0.0
	for _, x := range report.Results {
		if x.Status == conformance.Pass {
			best = max(best, value(x))
		}
	}
	return best * 1e9, nil
}

// rooflines keeps what was measured: of each device once for each number of threads.
type rooflines map[string]Roofline

// of returns what measure says of dev, which is asked once.
func (r rooflines) of(ctx context.Context, dev backends.Device, measure func(context.Context, backends.Device) (Roofline, error)) (Roofline, error) {
	info := dev.Info()
	key := info.Owner.Device
	for _, f := range slices.Sorted(slices.Values(info.Features)) {
		key += "\n" + f
	}
	if have, ok := r[key]; ok {
		return have, nil
	}
	line, err := measure(ctx, dev)
	if err == nil {
		r[key] = line
	}
	return line, err
}
