package sim_test

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// open returns the device that c describes, until the test ends.
func open(t testing.TB, c sim.Config) *sim.Device {
	t.Helper()
	if c.Name == "" {
		c.Name = "Vulkan0"
	}
	d, err := sim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// alloc returns a buffer of a device's kind of memory, until the test ends.
func alloc(t testing.TB, typ buffer.Type, size int64) buffer.Buffer {
	t.Helper()
	b, err := typ.Alloc(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// floats returns the bytes of numbers.
func floats(x ...float32) []byte {
	p := make([]byte, 0, 4*len(x))
	for _, v := range x {
		p = binary.LittleEndian.AppendUint32(p, math.Float32bits(v))
	}
	return p
}

// counting returns the numbers from 1 to n.
func counting(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i + 1)
	}
	return x
}

// numbers reads all of b, or what fits into 1 KiB, as numbers.
func numbers(t testing.TB, b buffer.Buffer) []float32 {
	t.Helper()
	p := make([]byte, min(b.Size(), 1024)&^3)
	if _, err := b.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, len(p)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:]))
	}
	return x
}

// doubler is y = 2x on a device, over buffers of n numbers.
type doubler struct {
	dev     *sim.Device
	x, y    buffer.Buffer
	program backends.Program
}

// newDoubler compiles a doubler; x lies in memory of from, or of the device itself if that is nil.
func newDoubler(t testing.TB, d *sim.Device, n int, from buffer.Type) *doubler {
	t.Helper()
	if from == nil {
		from = d.BufferTypes()[0]
	}
	r := &doubler{dev: d, x: alloc(t, from, int64(4*n)), y: alloc(t, d.BufferTypes()[0], int64(4*n))}
	g, leaves := doublerGraph(t, n)
	var err error
	r.program, err = d.Compile(subgraph(g, map[*tensor.Tensor]buffer.Buffer{leaves: r.x, g.Nodes[0]: r.y}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.program.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func doublerGraph(t testing.TB, n int) (*tensor.Graph, *tensor.Tensor) {
	t.Helper()
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(n))
	g, err := b.Build(b.Name("y", b.Scale(x, 2)))
	if err != nil {
		t.Fatal(err)
	}
	return g, x
}

// subgraph returns g with each root at the start of its buffer.
func subgraph(g *tensor.Graph, at map[*tensor.Tensor]buffer.Buffer) *backends.Subgraph {
	return &backends.Subgraph{Nodes: g.Nodes, Place: func(t *tensor.Tensor) tensor.Storage {
		return tensor.Storage{Buffer: at[t.Root()], Offset: int64(t.Offset)}
	}}
}

// run writes x, and submits and waits.
func (r *doubler) run(t testing.TB, x ...float32) {
	t.Helper()
	if err := r.try(context.Background(), x...); err != nil {
		t.Fatal(err)
	}
}

func (r *doubler) try(ctx context.Context, x ...float32) error {
	if _, err := r.x.WriteAt(floats(x...), 0); err != nil {
		return err
	}
	if err := r.program.Submit(ctx); err != nil {
		return err
	}
	return r.program.Wait(ctx)
}

// modes are all ways of submitting.
var modes = []sim.SubmitMode{sim.Sync, sim.Async, sim.Deferred}

// picker runs the ops that pick rows.
type picker struct{ program backends.Program }

func newPicker(t testing.TB, d *sim.Device) *picker {
	t.Helper()
	b := tensor.NewBuilder()
	table := b.Input("table", tensor.F32, tensor.MakeShape(4, 100))
	idx := b.Input("idx", tensor.I32, tensor.MakeShape(2))
	rows := b.GetRows(table, idx)
	cache, err := tensor.NewLeaf(tensor.Cache, "cache", tensor.F32, tensor.MakeShape(4, 200))
	if err != nil {
		t.Fatal(err)
	}
	experts := b.Input("experts", tensor.F32, tensor.MakeShape(4, 4, 8))
	out := b.MatMulID(experts, b.Input("y", tensor.F32, tensor.MakeShape(4, 1, 1)), b.Input("ids", tensor.I32, tensor.MakeShape(1, 1)))
	g, err := b.Build(b.SetRows(cache, rows, idx), out)
	if err != nil {
		t.Fatal(err)
	}
	at := map[*tensor.Tensor]buffer.Buffer{}
	for _, n := range g.Nodes {
		for _, x := range append(n.Src, n) {
			if r := x.Root(); at[r] == nil {
				at[r] = alloc(t, d.BufferTypes()[0], int64(r.Bytes()))
			}
		}
	}
	p, err := d.Compile(subgraph(g, at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return &picker{p}
}

func (p *picker) run(t testing.TB) {
	t.Helper()
	if err := p.program.Submit(context.Background()); err != nil {
		t.Fatal(err)
	}
}
