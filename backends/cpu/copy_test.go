package cpu

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// converts reports whether Copy has a conversion between two types.
func converts(from, to tensor.DType) bool {
	x := &tensor.Tensor{Type: from, Shape: tensor.MakeShape(256)}
	_, _, err := tensor.Copy{Type: to}.Infer([]*tensor.Tensor{x})
	return err == nil
}

// TestCopy converts every type to every other that it converts to.
func TestCopy(t *testing.T) {
	devs := devices(t)
	pairs := 0
	for i, from := range quant.Types() {
		for j, to := range quant.Types() {
			if !converts(from, to) {
				continue
			}
			pairs++
			s := tensor.Shape{max(rowLength(from), rowLength(to)), 2, 3, 2}
			for layout := range layouts {
				devs := devs
				if to.Quantized() { // some encoders search long for their scales
					if layout != (i+j)%layouts {
						continue
					}
					s, devs = tensor.Shape{s[0], 1, 2, 1}, devs[1:2]
				}
				r := newRig(t, uint64(i*100+j))
				x := r.strided(from, s, layout)
				want := r.input(x)
				if !whole(from) && from != to {
					want = r.encoded(to, x)
				}
				if whole(from) && whole(to) {
					_, size := to.Block()
					most := math.Ldexp(1, 8*size-1)
					want = mapped(want, func(v float64) float64 { return math.Min(math.Max(v, -most), most-1) })
				}
				r.expect(devs, r.Cast(x, to), want, 0)
			}
		}
	}
	if pairs < 100 {
		t.Errorf("%d pairs of types", pairs)
	}
}

// TestCopyBytes looks at the bytes: what is copied to its own type may be no number at all.
func TestCopyBytes(t *testing.T) {
	dev := New(Options{Threads: 2})
	defer dev.Close()
	for _, typ := range quant.Types() {
		elems, size := typ.Block()
		r := newRig(t, 1)
		data := make([]byte, 6*4*3*size)
		for i := range data {
			data[i] = byte(r.rand.Uint32())
		}
		x := r.leaf(typ, tensor.MakeShape(6*elems, 4, 3), data)
		turned := r.Permute(x, 0, 2, 1, 3)
		b, err := r.bind(dev, false, r.Cast(turned, typ))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.prog.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.check()
		var want []byte
		for i1 := range 4 {
			for i2 := range 3 {
				want = append(want, data[(i2*4+i1)*6*size:][:6*size]...)
			}
		}
		for n := range b.places {
			if n.Op != nil && !bytes.Equal(b.raw(n), want) {
				t.Errorf("%s: other bytes", typ)
			}
		}
	}
}

// TestCopyTurned copies under strides in every order, with sizes around those of tiles.
func TestCopyTurned(t *testing.T) {
	devs := devices(t)
	for _, typ := range []tensor.DType{tensor.I8, tensor.F16, tensor.F32, tensor.F64} {
		for _, s := range []tensor.Shape{{33, 17, 3, 2}, {16, 1, 16, 1}, {1, 40, 1, 2}, {300, 2, 1, 1}, {0, 3, 2, 1}, {3, 0, 2, 1}} {
			for a := range 24 {
				p := permutation(a)
				r := newRig(t, uint64(a))
				x := r.Permute(r.random(typ, s), p[0], p[1], p[2], p[3])
				r.expect(devs[1:2], r.Cast(x, typ), r.input(x), 0)
			}
		}
	}
}

// TestCopyLong copies rows that more than one worker shares.
func TestCopyLong(t *testing.T) {
	devs := devices(t)
	for layout := range 3 {
		r := newRig(t, 1)
		x := r.strided(tensor.F32, tensor.MakeShape(40000, 3), layout)
		r.expect(devs, r.Cast(x, tensor.F32), r.input(x), 0)
	}
}

// permutation returns the i-th of the 24 orders of four.
func permutation(i int) (p [4]int) {
	left := []int{0, 1, 2, 3}
	for d := range p {
		n := len(left)
		p[d] = left[i%n]
		left = append(left[:i%n:i%n], left[i%n+1:]...)
		i /= n
	}
	return p
}

// TestCopyIntegers holds what is wider than a float32 can be.
func TestCopyIntegers(t *testing.T) {
	devs := devices(t)
	values := []int{math.MaxInt64, math.MinInt64, 1<<53 + 1, 1 << 31, -1 << 31, -1<<31 - 1, 1<<31 - 1, 40000, -40000, 200, -200, 127, -128, 0}
	r := newRig(t, 1)
	x := r.indices(tensor.I64, tensor.MakeShape(len(values)), values)
	for _, to := range []tensor.DType{tensor.I8, tensor.I16, tensor.I32, tensor.I64} {
		_, size := to.Block()
		out := r.Cast(x, to)
		b, err := r.bind(devs[0], false, out)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.prog.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			most := math.MaxInt64 >> (64 - 8*size)
			want := min(max(v, -most-1), most)
			var p [8]byte
			copy(p[:], b.raw(out)[i*size:][:size])
			have := int(int64(binary.LittleEndian.Uint64(p[:])<<(64-8*size)) >> (64 - 8*size))
			if have != want {
				t.Errorf("%d as %s is %d, want %d", v, to, have, want)
			}
		}
	}
}

func TestConcat(t *testing.T) {
	devs := devices(t)
	for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.I8, tensor.I64} {
		for dim := range 4 {
			for _, more := range []int{0, 1, 5} {
				for layout := range layouts {
					r := newRig(t, uint64(dim))
					s, u := tensor.Shape{5, 4, 3, 2}, tensor.Shape{5, 4, 3, 2}
					u[dim] = more
					a, b := r.strided(typ, s, layout), r.strided(typ, u, (layout+1)%layouts)
					x, y := r.input(a), r.input(b)
					rows := 1 // elements that stay together
					for _, n := range s[:dim] {
						rows *= n
					}
					var want []float64
					for len(x) > 0 {
						want = append(want, x[:rows*s[dim]]...)
						want = append(want, y[:rows*more]...)
						x, y = x[rows*s[dim]:], y[rows*more:]
					}
					r.expect(devs, r.Concat(a, b, dim), want, 0)
				}
			}
		}
	}
}

func TestRepeat(t *testing.T) {
	devs := devices(t)
	for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.I8, tensor.I64} {
		for i, s := range []tensor.Shape{{3, 2, 2, 1}, {1, 5, 1, 1}, {1, 1, 1, 1}, {7, 1, 3, 2}} {
			for _, times := range []tensor.Shape{{1, 1, 1, 1}, {2, 1, 3, 1}, {5, 3, 1, 2}, {700, 1, 1, 1}, {0, 1, 1, 1}} {
				for layout := range layouts {
					r := newRig(t, uint64(i))
					x := r.strided(typ, s, layout)
					to := s
					for d := range to {
						to[d] *= times[d]
					}
					r.expect(devs, r.Repeat(x, to[:]...), spread(r.input(x), s, to), 0)
				}
			}
		}
	}
	t.Run("nothing", func(t *testing.T) {
		r := newRig(t, 1)
		r.expect(devs, r.Repeat(r.random(tensor.F32, tensor.MakeShape(0, 2)), 0, 4), nil, 0)
	})
}
