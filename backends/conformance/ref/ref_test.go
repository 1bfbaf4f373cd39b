package ref_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// world builds graphs over leaves of known content.
type world struct {
	*testing.T
	*tensor.Builder
	m *ref.Memory
}

func newWorld(t *testing.T) *world { return &world{t, tensor.NewBuilder(), ref.NewMemory()} }

func (w *world) leaf(role tensor.Role, typ tensor.DType, s tensor.Shape, v ...float32) *tensor.Tensor {
	w.Helper()
	x, err := tensor.NewLeaf(role, "leaf", typ, s)
	if err != nil {
		w.Fatal(err)
	}
	raw := make([]byte, x.Bytes())
	if err := quant.Encode(typ, raw, v, nil); err != nil {
		w.Fatal(err)
	}
	if err := w.m.Set(x, raw); err != nil {
		w.Fatal(err)
	}
	return x
}

func (w *world) f32(s tensor.Shape, v ...float32) *tensor.Tensor {
	w.Helper()
	return w.leaf(tensor.Input, tensor.F32, s, v...)
}

func (w *world) i32(v ...float32) *tensor.Tensor {
	w.Helper()
	return w.leaf(tensor.Input, tensor.I32, tensor.MakeShape(len(v)), v...)
}

func (w *world) run(out *tensor.Tensor) (ref.Value, error) {
	w.Helper()
	g, err := w.Build(out)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.m.Run(g.Nodes); err != nil {
		return ref.Value{}, err
	}
	v, ok := w.m.Result(out)
	if !ok {
		v, err = w.m.Get(out)
	}
	return v, err
}

// want compares out with numbers worked out by hand.
func (w *world) want(out *tensor.Tensor, want ...float64) {
	w.Helper()
	v, err := w.run(out)
	if err != nil {
		w.Fatal(err)
	}
	have := v.F
	for _, i := range v.I {
		have = append(have, float64(i))
	}
	if len(have) != len(want) {
		w.Fatalf("%v: %v, want %v", out, have, want)
	}
	for i, x := range want {
		if h := have[i]; math.Abs(h-x) > 1e-12*math.Max(1, math.Abs(x)) || math.IsNaN(h) != math.IsNaN(x) {
			w.Fatalf("%v: %v, want %v", out, have, want)
		}
	}
}

var inf, nan = float32(math.Inf(1)), float32(math.NaN())

func TestByHand(t *testing.T) {
	shape := tensor.MakeShape
	for name, f := range map[string]func(w *world){
		"Sub repeats b": func(w *world) {
			w.want(w.Sub(w.f32(shape(4, 2), 1, 2, 3, 4, 5, 6, 7, 8), w.f32(shape(2), 1, 10)), 0, -8, 2, -6, 4, -4, 6, -2)
		},
		"AddID": func(w *world) {
			ids := w.leaf(tensor.Input, tensor.I32, shape(2, 1), 1, 0)
			w.want(w.AddID(w.f32(shape(2, 2), 1, 2, 3, 4), w.f32(shape(2, 2), 10, 20, 30, 40), ids), 31, 42, 13, 24)
		},
		"Clamp keeps NaN": func(w *world) { w.want(w.Clamp(w.f32(shape(3), nan, -5, 5), -1, 2), math.NaN(), -1, 2) },
		"MatMul repeats a": func(w *world) { // plane j of b meets plane j/2 of a
			a := w.f32(shape(2, 1, 2), 1, 2, 3, 4)
			w.want(w.MatMul(a, w.f32(shape(2, 1, 4), 1, 1, 1, 0, 1, 1, 1, 0)), 3, 1, 7, 3)
		},
		"MatMulID": func(w *world) {
			a := w.f32(shape(2, 1, 2), 1, 2, 3, 4)
			ids := w.leaf(tensor.Input, tensor.I32, shape(2, 1), 1, 1)
			w.want(w.MatMulID(a, w.f32(shape(2, 1, 1), 1, 10), ids), 43, 43)
		},
		"RMSNorm":   func(w *world) { w.want(w.RMSNorm(w.f32(shape(2), 3, 4), 0), 3/math.Sqrt(12.5), 4/math.Sqrt(12.5)) },
		"LayerNorm": func(w *world) { w.want(w.LayerNorm(w.f32(shape(2), 3, 5), 0), -1, 1) },
		"L2Norm":    func(w *world) { w.want(w.L2Norm(w.f32(shape(2, 2), 3, 4, 0, 0), 1), 0.6, 0.8, 0, 0) },
		"SumRows":   func(w *world) { w.want(w.SumRows(w.f32(shape(2, 2), 1, 2, 3, 4)), 3, 7) },
		"TopK takes the lower index": func(w *world) {
			w.want(w.TopK(w.f32(shape(5), 2, nan, 3, 2, 3), 5), 2, 4, 0, 3, 1)
		},
		"ArgMax of NaN": func(w *world) { w.want(w.ArgMax(w.f32(shape(2, 2), nan, -1, nan, nan)), 1, 0) },
		"SoftMax of a hidden row": func(w *world) {
			w.want(w.SoftMax(w.f32(shape(2, 2), 1, 1, 2, 2), w.f32(shape(2, 2), -inf, -inf, 0, -inf), 1), 0, 0, 1, 0)
		},
		"SoftMax with a sink": func(w *world) {
			w.want(w.Apply(tensor.SoftMax{Scale: 1}, w.f32(shape(2), 0, 0), nil, w.f32(shape(1), 0)), 1./3, 1./3)
		},
		"SoftMax with ALiBi over three heads": func(w *world) { // slopes 2^-4, 2^-8, 2^-2
			mask := w.f32(shape(2, 1), 0, 256)
			e := func(s float64) (float64, float64) { p := 1 / (1 + math.Exp(256*s)); return p, 1 - p }
			a0, a1 := e(1. / 16)
			b0, b1 := e(1. / 256)
			c0, c1 := e(1. / 4)
			w.want(w.Apply(tensor.SoftMax{Scale: 1, MaxBias: 8}, w.f32(shape(2, 1, 3), 0, 0, 0, 0, 0, 0), mask, nil), a0, a1, b0, b1, c0, c1)
		},
		"FlashAttn": func(w *world) { // two heads share a key plane; the second cell is hidden from the first token
			q := w.f32(shape(1, 2, 2), 0, 0, 0, 0)
			k, v := w.f32(shape(1, 1, 2), 5, 7), w.f32(shape(1, 1, 2), 10, 20)
			w.want(w.FlashAttn(tensor.FlashAttn{Scale: 1}, q, k, v, w.f32(shape(2, 2), 0, -inf, 0, 0), nil), 10, 10, 15, 15)
		},
		"RoPE by a right angle": func(w *world) {
			op := tensor.RoPE{Dims: 2, Base: 10000}
			quarter := w.f32(shape(1), float32(2/math.Pi))
			f := float64(float32(2 / math.Pi))
			w.want(w.RoPE(op, w.f32(shape(3), 1, 0, 9), w.i32(1), quarter), math.Cos(1/f), math.Sin(1/f), 9)
		},
		"RoPE NeoX turns back": func(w *world) {
			op := tensor.RoPE{Dims: 4, Mode: tensor.RoPENeoX, Base: 100}
			s1, c1 := math.Sincos(3)
			s2, c2 := math.Sincos(0.3)
			x := w.f32(shape(4), 1, 2, 0, 0)
			op.Inverse = true
			w.want(w.RoPE(op, x, w.i32(3), nil), c1, 2*c2, -s1, -2*s2)
		},
		"Repeat": func(w *world) { w.want(w.Repeat(w.f32(shape(2), 1, 2), 4, 2), 1, 2, 1, 2, 1, 2, 1, 2) },
		"Concat": func(w *world) {
			w.want(w.Concat(w.f32(shape(1, 2), 1, 2), w.f32(shape(2, 2), 3, 4, 5, 6), 0), 1, 3, 4, 2, 5, 6)
		},
		"GetRows": func(w *world) { w.want(w.GetRows(w.f32(shape(2, 3), 1, 2, 3, 4, 5, 6), w.i32(2, 0)), 5, 6, 1, 2) },
		"a view of a view": func(w *world) {
			x := w.Permute(w.Slice(w.f32(shape(3, 2), 1, 2, 3, 4, 5, 6), 0, 1, 3), 1, 0, 2, 3)
			w.want(w.Scale(x, 2), 4, 10, 6, 12)
		},
		"halves are rounded to even": func(w *world) { w.want(w.Cast(w.f32(shape(4), 0.5, 1.5, -2.5, 300), tensor.I8), 0, 2, -2, 127) },
		"SSMConv": func(w *world) {
			w.want(w.SSMConv(w.f32(shape(3, 2), 1, 2, 3, 10, 20, 30), w.f32(shape(2, 2), 1, 1, 0, 2)), 3, 40, 5, 60)
		},
		"GatedDeltaNet": func(w *world) { // S = 3 * 1/2 = 1.5, then 1.5 + 1/4 * (5 - 3) * 2 = 2.5, then 2.5 * 4
			one := shape(1)
			g := w.f32(one, float32(math.Log(0.5)))
			out, _ := w.GatedDeltaNet(w.f32(one, 4), w.f32(one, 2), w.f32(one, 5), g, w.f32(one, 0.25), w.f32(one, 3), 1)
			half := math.Exp(float64(float32(math.Log(0.5))))
			s := 3*half + 0.25*(5-6*half)*2
			w.want(w.Contiguous(w.Reshape(out, 1)), float64(float32(4*s)))
		},
	} {
		t.Run(name, func(t *testing.T) { f(newWorld(t)) })
	}
}

func TestSetRows(t *testing.T) {
	w := newWorld(t)
	cache := w.leaf(tensor.Cache, tensor.F16, tensor.MakeShape(2, 3), 1, 2, 3, 4, 5, 6)
	rows := w.f32(tensor.MakeShape(2, 2), 7, 8, 9, 10)
	out := w.SetRows(cache, rows, w.i32(2, 2))
	v, err := w.run(out)
	if err != nil {
		t.Fatal(err)
	}
	if v.Or == nil || v.F[4] != 9 || v.Or.F[4] != 7 || v.F[0] != 1 {
		t.Errorf("two rows for one place: %v or %+v", v.F, v.Or)
	}
	after, err := w.m.Get(cache)
	if err != nil || after.F[5] != 10 {
		t.Errorf("the cache holds %v, %v", after.F, err)
	}
}

func TestIndexErrors(t *testing.T) {
	for name, f := range map[string]func(w *world) *tensor.Tensor{
		"GetRows": func(w *world) *tensor.Tensor {
			return w.GetRows(w.f32(tensor.MakeShape(2, 3), 1, 2, 3, 4, 5, 6), w.i32(3))
		},
		"SetRows": func(w *world) *tensor.Tensor {
			cache := w.leaf(tensor.Cache, tensor.F32, tensor.MakeShape(1, 2), 1, 2)
			return w.SetRows(cache, w.f32(tensor.MakeShape(1), 1), w.i32(-1))
		},
	} {
		w := newWorld(t)
		_, err := w.run(f(w))
		var e *backends.IndexError
		if !errors.As(err, &e) || e.Op.String() != name {
			t.Errorf("%s: %v, want an IndexError", name, err)
		}
	}
}

// TestDevice runs a graph on the reference device, over memory with gaps.
func TestDevice(t *testing.T) {
	dev := ref.NewDevice("Reference0")
	mem, err := dev.BufferTypes()[0].Alloc(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(3, 2))
	y := b.Scale(b.Permute(x, 1, 0, 2, 3), 2)
	g, err := b.Build(y)
	if err != nil {
		t.Fatal(err)
	}
	p, err := dev.Compile(&backends.Subgraph{Nodes: g.Nodes, Place: func(t *tensor.Tensor) tensor.Storage {
		at := int64(0)
		if t.Root() == y {
			at = 1024
		}
		return tensor.Storage{Buffer: mem, Offset: at + int64(t.Offset)}
	}})
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 24)
	if err := quant.Encode(tensor.F32, raw, []float32{1, 2, 3, 4, 5, 6}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := mem.WriteAt(raw, 0); err != nil {
		t.Fatal(err)
	}
	if err := p.Submit(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 24)
	if err := quant.Encode(tensor.F32, want, []float32{2, 8, 4, 10, 6, 12}, nil); err != nil {
		t.Fatal(err)
	}
	have := make([]byte, 24)
	if _, err := mem.ReadAt(have, 1024); err != nil || !bytes.Equal(have, want) {
		t.Errorf("% x, %v, want % x", have, err, want)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Submit(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
