package cpu

import (
	"context"
	"time"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/internal/cast"
)

// What ReadBandwidth reads, which should be several times as large as any cache, in pieces that a worker
// takes at a time.
const (
	bandwidthBytes = 1 << 30
	bandwidthPiece = 1 << 20
	bandwidthRuns  = 5
)

// ReadBandwidth measures how many bytes a second the device's workers read from memory together, when
// they do nothing else: what a matrix product of one token cannot exceed. It reads a buffer of size bytes
// (0 stands for 1 GiB, or a quarter of what is free) a few times from its beginning to its end and takes
// the fastest. The unit is the dot product of F32, which takes in more than memory gives.
//
// Errors: *buffer.AllocError, or that of ctx.
func (d *Device) ReadBandwidth(ctx context.Context, size int64) (bytesPerSecond float64, err error) {
	if size <= 0 {
		size = bandwidthBytes
		if free := d.Info().MemoryFree; free > 0 {
			size = min(size, free/4)
		}
	}
	pieces := max(1, int(size/bandwidthPiece))
	mem, err := d.host.Alloc(int64(pieces) * bandwidthPiece)
	if err != nil {
		return 0, err
	}
	defer mem.Close()
	data := buffer.HostBytes(mem)
	sums := make([]float32, d.team.size*16) // a cache line for each worker
	each := func(do func(w *worker, piece []float32)) []step {
		return []step{func(w *worker) {
			for {
				i, _, ok := w.next(pieces, 1)
				if !ok {
					return
				}
				do(w, cast.Slice[float32](data[i*bandwidthPiece:(i+1)*bandwidthPiece]))
			}
		}}
	}
	// Memory that was never written is one page of zeros, however much of it is read.
	fill := each(func(_ *worker, piece []float32) {
		for i := range piece {
			piece[i] = 1
		}
	})
	read := each(func(w *worker, piece []float32) {
		half := len(piece) / 2
		sums[w.id*16] += d.units.dotF32(piece[:half], piece[half:])
	})
	w0 := new(worker)
	if err := d.team.submit(ctx, w0, fill, &d.closed); err != nil {
		return 0, err
	}
	for range bandwidthRuns {
		start := time.Now()
		if err := d.team.submit(ctx, w0, read, &d.closed); err != nil {
			return 0, err
		}
		took := max(time.Since(start), time.Nanosecond)
		bytesPerSecond = max(bytesPerSecond, float64(len(data))/took.Seconds())
	}
	return bytesPerSecond, nil
}
