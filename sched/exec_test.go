package sched

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

func f32bytes(x ...float32) []byte {
	p := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(p[4*i:], math.Float32bits(v))
	}
	return p
}

// relay is a graph over two devices: y = tanh(2x) * 3, where tanh runs on the second device, and z = y + x.
type relay struct {
	first, second *fakeDevice
	x, y, z       *tensor.Tensor
	plan          *Plan
}

func newRelay(t testing.TB, n int, opt Options) *relay {
	t.Helper()
	r := &relay{first: newFake("GPU0").async(), second: newFake("CPU")}
	r.first.refuses["Unary"] = "no tanh"
	t.Cleanup(func() { r.first.Close() })
	r.build(t, n, opt)
	return r
}

// build makes the graph for rows of n on the relay's devices.
func (r *relay) build(t testing.TB, n int, opt Options) {
	t.Helper()
	b := tensor.NewBuilder()
	r.x = b.Input("x", tensor.F32, tensor.MakeShape(n))
	h := b.Unary(tensor.Tanh, b.Scale(r.x, 2))
	r.y = b.Name("y", b.Scale(h, 3))
	r.z = b.Name("z", b.Add(r.y, r.x))
	g, err := b.Build(b.Slice(r.y, 0, 0, 1), r.z)
	if err != nil {
		t.Fatal(err)
	}
	if opt.Pins == nil {
		opt.Pins = []Pin{{mustPin("^[yz]$|scale"), "GPU0"}}
	}
	r.plan, err = NewPlan(g, []backends.Device{r.first, r.second}, opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.plan.Splits) != 3 {
		t.Fatalf("want three splits:\n%v", r.plan)
	}
}

func (r *relay) exec(t testing.TB, mem *Memory) *Exec {
	t.Helper()
	e, err := NewExec(r.plan, mem)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// check runs e with x and compares z.
func (r *relay) check(t testing.TB, e *Exec, x ...float32) {
	t.Helper()
	if err := e.Write(r.x, f32bytes(x...)); err != nil {
		t.Fatal(err)
	}
	if err := e.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.checkRead(t, e, x...)
}

func (r *relay) checkRead(t testing.TB, e *Exec, x ...float32) {
	t.Helper()
	got := make([]byte, 4*len(x))
	if err := e.Read(r.z, got); err != nil {
		t.Fatal(err)
	}
	want := make([]float32, len(x))
	for i, v := range x {
		want[i] = float32(math.Tanh(float64(2*v)))*3 + v
	}
	if !bytes.Equal(got, f32bytes(want...)) {
		t.Fatalf("got % x, want % x", got, f32bytes(want...))
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	r := newRelay(t, 4, Options{})
	e := r.exec(t, new(Memory))
	in, out := f32bytes(1, 2, 3, 4), make([]byte, 16)
	ctx := context.Background()
	n := testing.AllocsPerRun(200, func() {
		err := errors.Join(e.Write(r.x, in), e.Run(ctx), e.Read(r.z, out))
		if err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestInputs(t *testing.T) {
	ctx := context.Background()
	r := newRelay(t, 2, Options{})
	e := r.exec(t, new(Memory))
	if err := e.Run(ctx); !errors.Is(err, ErrInput) {
		t.Errorf("run without input: %v", err)
	}
	if err := e.Read(r.z, make([]byte, 8)); !errors.Is(err, ErrNoResult) {
		t.Errorf("read before a run: %v", err)
	}
	r.check(t, e, 1, 2)
	if err := e.Run(ctx); !errors.Is(err, ErrInput) {
		t.Errorf("second run without input: %v", err)
	}
	for _, c := range []struct{ got, want error }{
		{e.Write(r.x, make([]byte, 7)), ErrSize},
		{e.Write(r.y, make([]byte, 8)), ErrTensor},
		{e.Write(&tensor.Tensor{Role: tensor.Input}, nil), ErrTensor},
		{e.Read(r.z, make([]byte, 9)), ErrSize},
		{e.Read(r.plan.graph.Nodes[0], make([]byte, 8)), ErrTensor},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}

	k := newRelay(t, 2, Options{KeepInputs: true})
	e = k.exec(t, new(Memory))
	k.check(t, e, 1, 2)
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	k.checkRead(t, e, 1, 2)
}

func TestHostBytes(t *testing.T) {
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(3))
	y := b.Scale(x, 2)
	last := b.Slice(y, 0, 2, 3)
	g, err := b.Build(last)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(g, []backends.Device{newFake("CPU")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewExec(p, new(Memory))
	if err != nil {
		t.Fatal(err)
	}
	if e.HostBytes(last) != nil {
		t.Error("there is an output before the run")
	}
	copy(e.HostBytes(x), f32bytes(1, 2, 3))
	if err := e.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := e.HostBytes(last); !bytes.Equal(got, f32bytes(6)) {
		t.Errorf("got % x", got)
	}
	if n := testing.AllocsPerRun(50, func() { e.HostBytes(x); e.HostBytes(last) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	r := newRelay(t, 2, Options{})
	if r.exec(t, new(Memory)).HostBytes(r.x) != nil {
		t.Error("the host cannot address the memory of GPU0")
	}
}

func TestSubmitFails(t *testing.T) {
	lost := fmt.Errorf("fake: %w", backends.ErrDeviceLost)
	for _, name := range []string{"GPU0", "CPU"} {
		r := newRelay(t, 2, Options{})
		e := r.exec(t, new(Memory))
		r.check(t, e, 1, 2)
		for _, d := range []*fakeDevice{r.first, r.second} {
			if d.name == name {
				d.submit = lost
			}
		}
		if err := e.Write(r.x, f32bytes(3, 4)); err != nil {
			t.Fatal(err)
		}
		if err := e.Run(context.Background()); !errors.Is(err, backends.ErrDeviceLost) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := e.Read(r.z, make([]byte, 8)); !errors.Is(err, ErrNoResult) {
			t.Errorf("%s: read after a failure: %v", name, err)
		}
		r.check(t, e, 5, 6)
	}
}

func TestCancel(t *testing.T) {
	r := newRelay(t, 2, Options{})
	e := r.exec(t, new(Memory))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Write(r.x, f32bytes(1, 2)); err != nil {
		t.Fatal(err)
	}
	before := r.first.submits + r.second.submits
	if err := e.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if after := r.first.submits + r.second.submits; after != before {
		t.Errorf("%d splits were submitted", after-before)
	}
	r.check(t, e, 1, 2)
}

func TestMemoryIsShared(t *testing.T) {
	r := newRelay(t, 2, Options{})
	var mem Memory
	small, rs := r.exec(t, &mem), *r
	r.check(t, small, 1, 2)
	had := mem.Bytes("GPU0")
	r.build(t, 100, Options{})
	big := r.exec(t, &mem)
	if want := r.plan.Memory[0].Bytes; mem.Bytes("GPU0") != want || want <= had || r.first.typ.used.Load() != want {
		t.Errorf("GPU0 holds %d bytes, had %d, planned %d", mem.Bytes("GPU0"), had, want)
	}
	if err := rs.read(small); !errors.Is(err, ErrNoResult) {
		t.Errorf("read after the memory has been replaced: %v", err)
	}
	rs.check(t, small, 3, 4) // compiles again
	r.check(t, big, make([]float32, 100)...)
	if err := rs.read(small); !errors.Is(err, ErrNoResult) {
		t.Errorf("read after another has run: %v", err)
	}
	if err := rs.write(small); err != nil {
		t.Fatal(err)
	}
	if err := r.write(big); err != nil {
		t.Fatal(err)
	}
	if err := small.Run(context.Background()); !errors.Is(err, ErrInput) {
		t.Errorf("run after another has written: %v", err)
	}
	rs.check(t, small, 5, 6)

	grown := mem.Bytes("GPU0")
	if err := mem.Reserve(rs.plan); err != nil || mem.Bytes("GPU0") != grown {
		t.Errorf("a smaller plan changes the memory to %d: %v", mem.Bytes("GPU0"), err)
	}
	if err := errors.Join(small.Close(), big.Close(), mem.Close()); err != nil {
		t.Error(err)
	}
	for _, d := range []*fakeDevice{r.first, r.second} {
		if d.open.Load() != 0 || d.typ.used.Load() != 0 {
			t.Errorf("%s keeps %d programs, %d bytes", d.name, d.open.Load(), d.typ.used.Load())
		}
	}
	if err := small.Run(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("run after close: %v", err)
	}
}

func (r *relay) read(e *Exec) error  { return e.Read(r.z, make([]byte, r.z.Bytes())) }
func (r *relay) write(e *Exec) error { return e.Write(r.x, make([]byte, r.x.Bytes())) }

// TestNoMemory lets the larger of two plans fail; the smaller one runs on.
func TestNoMemory(t *testing.T) {
	r := newRelay(t, 2, Options{})
	var mem Memory
	small, rs := r.exec(t, &mem), *r
	r.build(t, 100, Options{})
	r.first.typ.fail = &buffer.AllocError{Type: "GPU0", Size: 1, Available: 0}
	if _, err := NewExec(r.plan, &mem); !errors.Is(err, buffer.ErrNoMemory) {
		t.Errorf("got %v", err)
	}
	rs.check(t, small, 1, 2)
	r.check(t, r.exec(t, &mem), make([]float32, 100)...)
}

// TestCompileFails closes what was compiled before the failure.
func TestCompileFails(t *testing.T) {
	r := newRelay(t, 2, Options{})
	r.second.refuses["Unary"] = "changed its mind"
	if _, err := NewExec(r.plan, new(Memory)); !errors.Is(err, backends.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	if r.first.open.Load() != 0 {
		t.Error("a program stays open")
	}
}

func TestPlacementErrorFields(t *testing.T) {
	owner := newFake("Vulkan0")
	b := tensor.NewBuilder()
	k, err := tensor.NewLeaf(tensor.Cache, "cache_k_l3", tensor.F32, tensor.MakeShape(8, 16))
	if err != nil {
		t.Fatal(err)
	}
	bindHollow(t, k, owner)
	x := b.Input("x", tensor.F32, tensor.MakeShape(8, 2))
	g, err := b.Build(b.Name("kq", b.MatMul(k, x)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewPlan(g, []backends.Device{newFake("ROCm1"), newFake("CPU")}, Options{})
	var e *PlacementError
	if !errors.As(err, &e) || !errors.Is(err, ErrPlacement) {
		t.Fatalf("got %v", err)
	}
	if e.Tensor != "cache cache_k_l3" || e.Owner.Device != "Vulkan0" || e.Op != "MatMul" || e.Node != "kq" || len(e.Reasons) != 2 ||
		e.Reasons[0].Device != "ROCm1" || e.Reasons[1].Device != "CPU" {
		t.Errorf("got %+v", e)
	}
	owner.refuses["MatMul"] = "no"
	if _, err = NewPlan(g, []backends.Device{owner}, Options{}); !errors.Is(err, backends.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
