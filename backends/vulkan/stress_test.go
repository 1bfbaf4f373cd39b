//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// rig is a graph in one buffer of a device.
type rig struct {
	tb     testing.TB
	dev    *Device
	mem    buffer.Buffer
	at     map[*tensor.Tensor]int64
	prog   backends.Program
	inputs []*tensor.Tensor
}

// newRig places the graph of out, and compiles it.
func newRig(tb testing.TB, d *Device, b *tensor.Builder, inputs []*tensor.Tensor, out *tensor.Tensor) *rig {
	tb.Helper()
	g, err := b.Build(out)
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{tb: tb, dev: d, at: map[*tensor.Tensor]int64{}, inputs: inputs}
	size := int64(0)
	for _, t := range append(append([]*tensor.Tensor{}, inputs...), g.Nodes...) {
		if t.Base == nil {
			r.at[t] = size
			size += (int64(t.Bytes()) + alignment - 1) &^ (alignment - 1)
		}
	}
	if r.mem, err = d.local.Alloc(size); err != nil {
		tb.Fatal(err)
	}
	r.prog, err = d.Compile(&backends.Subgraph{Nodes: g.Nodes, Place: func(t *tensor.Tensor) tensor.Storage {
		return tensor.Storage{Buffer: r.mem, Offset: r.at[t.Root()] + int64(t.Offset)}
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func (r *rig) close() {
	r.tb.Helper()
	if err := r.prog.Close(); err != nil {
		r.tb.Error(err)
	}
	if err := r.mem.Close(); err != nil {
		r.tb.Error(err)
	}
}

func (r *rig) write(t *tensor.Tensor, p []byte) {
	r.tb.Helper()
	if _, err := r.mem.WriteAt(p, r.at[t]); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) read(t *tensor.Tensor) []byte {
	r.tb.Helper()
	p := make([]byte, t.Bytes())
	if _, err := r.mem.ReadAt(p, r.at[t.Root()]+int64(t.Offset)); err != nil {
		r.tb.Fatal(err)
	}
	return p
}

func floats(n int, f func(i int) float32) []byte {
	p := make([]byte, 0, 4*n)
	for i := range n {
		p = binary.LittleEndian.AppendUint32(p, math.Float32bits(f(i)))
	}
	return p
}

// TestSubmitsUnderCollection submits 10,000 times, with inputs that change, while collections follow each other and memory is made
// and freed: not one byte is wrong. It is what the binding alone does not pass.
func TestSubmitsUnderCollection(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	submits := 10_000
	if testing.Short() {
		submits = 1000
	}
	var b tensor.Builder
	x := b.Input("x", tensor.F32, tensor.MakeShape(64, 4))
	y := b.Scale(b.Add(b.Scale(x, 2), x), 0.5)
	r := newRig(t, d, &b, []*tensor.Tensor{x}, y)
	defer r.close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	wg.Go(func() { // what a collection may free, and give to others
		var keep [64][]byte
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				keep[i%len(keep)] = bytes.Repeat([]byte{0xa5}, 1+rand.IntN(4096))
			}
		}
	})
	for i := range submits {
		base := float32(i)
		r.write(x, floats(256, func(k int) float32 { return base + float32(k) }))
		if err := r.prog.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := floats(256, func(k int) float32 { return (base + float32(k)) * 1.5 }); !bytes.Equal(r.read(y), want) {
			t.Fatalf("submit %d gives wrong bytes", i)
		}
		if i%500 == 499 { // set-up calls of the binding, too
			var b2 tensor.Builder
			z := b2.Input("z", tensor.F32, tensor.MakeShape(8))
			other := newRig(t, d, &b2, []*tensor.Tensor{z}, b2.Scale(z, float32(i)))
			if err := other.prog.Submit(t.Context()); err != nil {
				t.Fatal(err)
			}
			other.close()
		}
	}
	close(stop)
	wg.Wait()
}

// TestBeyondBindings computes over tensors that no binding of a driver with the usual limit of 128 MiB could hold.
func TestBeyondBindings(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 340 MB")
	}
	d := open(t, Options{})
	defer d.Close()
	var b tensor.Builder
	const n = 42 << 20
	x := b.Input("x", tensor.F32, tensor.MakeShape(n))
	y := b.Scale(x, 3)
	r := newRig(t, d, &b, []*tensor.Tensor{x}, y)
	defer r.close()
	if max := d.phys.Limits.MaxStorageRange; int64(x.Bytes()) <= max {
		t.Logf("this driver's bindings hold %d bytes, more than the tensor", max)
	}
	for _, at := range []int64{0, n/2 + 1, n - 1} {
		if _, err := r.mem.WriteAt(floats(1, func(int) float32 { return float32(at%1000) + 1 }), r.at[x]+4*at); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.prog.Submit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.prog.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, n/2 + 1, n - 1} {
		p := make([]byte, 4)
		if _, err := r.mem.ReadAt(p, r.at[y]+4*at); err != nil {
			t.Fatal(err)
		}
		if have, want := math.Float32frombits(binary.LittleEndian.Uint32(p)), 3*(float32(at%1000)+1); have != want {
			t.Errorf("element %d is %g, want %g", at, have, want)
		}
	}
}

// TestSubmitAllocatesNothing counts on the Go heap, with and without a context that can be cancelled.
func TestSubmitAllocatesNothing(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	var b tensor.Builder
	x := b.Input("x", tensor.F32, tensor.MakeShape(64))
	idx := b.Input("idx", tensor.I32, tensor.MakeShape(1))
	y := b.GetRows(b.Reshape(b.Scale(x, 2), 16, 4), idx)
	r := newRig(t, d, &b, []*tensor.Tensor{x, idx}, y)
	defer r.close()
	cancellable, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, ctx := range []context.Context{context.Background(), cancellable} {
		n := testing.AllocsPerRun(100, func() {
			if err := r.prog.Submit(ctx); err != nil {
				t.Error(err)
			}
			if err := r.prog.Wait(ctx); err != nil {
				t.Error(err)
			}
		})
		if n != 0 && !raceEnabled {
			t.Errorf("a submit allocates %g times", n)
		}
	}
}
