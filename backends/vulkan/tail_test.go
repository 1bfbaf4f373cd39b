//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// TestTail has a product whose last group normalizes the row, several times over, as it counts groups from one run to
// the next, and compares with nodes that run one by one.
func TestTail(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	if !d.integers() {
		t.Skip("the device has no fast products of integers")
	}
	const m, k = 352, 256
	var b tensor.Builder
	w := b.Input("w", tensor.F32, tensor.MakeShape(k, m))
	x := b.Input("x", tensor.F32, tensor.MakeShape(k))
	rest := b.Input("rest", tensor.F32, tensor.MakeShape(m))
	gain := b.Input("gain", tensor.F32, tensor.MakeShape(m))
	sum := b.Add(b.MatMul(b.Cast(w, tensor.Q8_0), x), rest)
	y := b.Mul(b.RMSNorm(sum, 1e-5), gain)
	r := newRig(t, d, &b, []*tensor.Tensor{w, x, rest, gain}, y)
	defer r.close()
	g, err := b.Build(y)
	if err != nil {
		t.Fatal(err)
	}
	fused := &backends.Subgraph{
		Nodes:  g.Nodes,
		Groups: []backends.Group{{Fusion: backends.MatMulAdd, From: 1, To: 3}, {Fusion: backends.RMSNormMul, From: 3, To: 5}},
		Place: func(t *tensor.Tensor) tensor.Storage {
			return tensor.Storage{Buffer: r.mem, Offset: r.at[t.Root()] + int64(t.Offset)}
		},
	}
	prog, err := d.Compile(fused)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	r.write(w, floats(m*k, func(i int) float32 { return float32(math.Sin(float64(i))) }))
	r.write(gain, floats(m, func(i int) float32 { return 1 + float32(i)/m }))
	for run := range 5 {
		r.write(x, floats(k, func(i int) float32 { return float32(math.Cos(float64(i * (run + 1)))) }))
		r.write(rest, floats(m, func(i int) float32 { return float32(i%7) - float32(run) }))
		var got [2][]byte
		for i, p := range []backends.Program{r.prog, prog} {
			if err := p.Submit(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			got[i] = r.read(y)
			if _, err := r.mem.WriteAt(make([]byte, len(got[i])), r.at[y]); err != nil {
				t.Fatal(err)
			}
		}
		for i := range m {
			a := math.Float32frombits(binary.LittleEndian.Uint32(got[0][4*i:]))
			c := math.Float32frombits(binary.LittleEndian.Uint32(got[1][4*i:]))
			if math.Abs(float64(a-c)) > 1e-5*(1+math.Abs(float64(a))) {
				t.Fatalf("run %d: element %d is %g, want %g", run, i, c, a)
			}
		}
	}
}
