package cpu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// indices adds I32 or I64 indices.
func (r *rig) indices(t tensor.DType, s tensor.Shape, v []int) *tensor.Tensor {
	if t == tensor.I32 {
		return r.ints(s, v)
	}
	var data []byte
	for _, i := range v {
		data = binary.LittleEndian.AppendUint64(data, uint64(i))
	}
	return r.leaf(t, s, data)
}

// picks returns n random numbers below limit.
func (r *rig) picks(n, limit int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = r.rand.IntN(limit)
	}
	return v
}

// rowLength returns a number of elements that makes several blocks of t.
func rowLength(t tensor.DType) int {
	elems, _ := t.Block()
	return max(3*elems, 5)
}

func TestGetRows(t *testing.T) {
	devs := devices(t)
	for i, typ := range quant.Types() {
		t.Run(typ.String(), func(t *testing.T) {
			for layout := range layouts {
				for _, idxTyp := range []tensor.DType{tensor.I32, tensor.I64} {
					r := newRig(t, uint64(i))
					s, k := tensor.Shape{rowLength(typ), 6, 3, 2}, 4
					x := r.strided(typ, s, layout)
					at := r.picks(2*k*s[2]*s[3], s[1])
					idx := r.indices(idxTyp, tensor.MakeShape(2*k, s[2], s[3]), at)
					idx = r.View(idx, tensor.MakeShape(k, s[2], s[3]), tensor.Strides{2 * idx.Stride[0], idx.Stride[1], idx.Stride[2], idx.Stride[3]}, 0)
					rows := r.input(x)
					var want []float64
					for j := range k * s[2] * s[3] {
						row := j/k*s[1] + at[2*j]
						want = append(want, rows[row*s[0]:][:s[0]]...)
					}
					r.expect(devs, r.GetRows(x, idx), want, 0)
				}
			}
		})
	}
	for _, id := range []int{-1, 7, math.MinInt64, 1 << 40} {
		r := newRig(t, 1)
		x := r.random(tensor.Q8_0, tensor.MakeShape(32, 7))
		idx := r.indices(tensor.I64, tensor.MakeShape(3), []int{6, id, 0})
		expectIndexError(t, r, devs, r.GetRows(x, idx), int64(id), 7)
	}
	r := newRig(t, 1) // no rows at all, of which none may be read
	x := r.random(tensor.F32, tensor.MakeShape(5, 0))
	expectIndexError(t, r, devs, r.GetRows(x, r.ints(tensor.MakeShape(1), []int{0})), 0, 0)
	r = newRig(t, 1)
	x = r.random(tensor.F32, tensor.MakeShape(5, 3))
	r.expect(devs, r.GetRows(x, r.ints(tensor.MakeShape(0), nil)), nil, 0)
}

func TestSetRows(t *testing.T) {
	devs := devices(t)
	for i, typ := range quant.Types() {
		if whole(typ) || typ == tensor.F64 {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			for layout := range layouts {
				shapes := []tensor.Shape{{rowLength(typ), 5, 2, 1}}
				switch { // some encoders search long for their scales
				case typ.Quantized() && typ != tensor.Q8_0 && layout != i%layouts:
					continue
				case !typ.Quantized() || typ == tensor.Q8_0:
					shapes = append(shapes, tensor.Shape{4096, 5, 1, 1}, tensor.Shape{1024, 5, 1, 3}, tensor.Shape{256, 4, 1, 1})
				}
				for _, s := range shapes {
					r := newRig(t, uint64(i))
					cache := r.strided(typ, s, layout)
					k := s[1] - 2
					x := r.strided(tensor.F32, tensor.Shape{s[0], k, s[2], s[3]}, (layout+1)%layouts)
					at := r.rand.Perm(s[1])[:k]
					want := r.input(cache)
					for j, v := range r.encoded(typ, x) {
						plane, row := j/s[0]/k, at[j/s[0]%k]
						want[(plane*s[1]+row)*s[0]+j%s[0]] = v
					}
					r.expect(devs, r.SetRows(cache, x, r.indices(tensor.I64, tensor.MakeShape(k), at)), want, 0)
				}
			}
		})
	}
}

// encoded returns x as type t holds it.
func (r *rig) encoded(t tensor.DType, x *tensor.Tensor) []float64 {
	v := r.input(x)
	f := make([]float32, len(v))
	for i := range v {
		f[i] = float32(v[i])
	}
	if t == tensor.F32 {
		return v
	}
	p := make([]byte, x.Shape.Rows()*t.RowBytes(x.Shape[0]))
	if err := quant.Encode(t, p, f, nil); err != nil {
		r.Fatal(err)
	}
	return elementsOf(&tensor.Tensor{Type: t, Shape: x.Shape, Stride: x.Shape.Packed(t)}, p)
}

// TestSetRowsPlanes gives each plane its own indices.
func TestSetRowsPlanes(t *testing.T) {
	devs := devices(t)
	r := newRig(t, 1)
	s, k := tensor.Shape{32, 7, 3, 2}, 4
	cache, x := r.random(tensor.F16, s), r.random(tensor.F32, tensor.Shape{32, k, 3, 2})
	var at []int
	for range s[2] * s[3] {
		at = append(at, r.rand.Perm(s[1])[:k]...)
	}
	want := r.input(cache)
	for j, v := range r.encoded(tensor.F16, x) {
		row := j / s[0]
		want[(row/k*s[1]+at[row])*s[0]+j%s[0]] = v
	}
	r.expect(devs, r.SetRows(cache, x, r.indices(tensor.I32, tensor.MakeShape(k, 3, 2), at)), want, 0)
}

// TestSetRowsTwice names one row many times: the last one stays, whole, with any number of workers.
func TestSetRowsTwice(t *testing.T) {
	devs := devices(t)
	r := newRig(t, 1)
	cache, x := r.random(tensor.Q8_0, tensor.MakeShape(2048, 3)), r.random(tensor.F32, tensor.MakeShape(2048, 64))
	at := make([]int, 64)
	want := append(r.encoded(tensor.Q8_0, r.Slice(x, 1, 63, 64)), r.input(cache)[2048:]...)
	r.expect(devs, r.SetRows(cache, x, r.indices(tensor.I64, tensor.MakeShape(64), at)), want, 0)
}

func TestSetRowsErrors(t *testing.T) {
	devs := devices(t)
	for _, id := range []int{-1, 7, math.MinInt64, 1 << 40, 1 << 62} {
		r := newRig(t, 1)
		wide := r.random(tensor.Q8_0, tensor.MakeShape(64, 9))
		cache := r.Slice(wide, 1, 1, 8) // rows before and after that must not be hit
		x := r.random(tensor.F32, tensor.MakeShape(64, 3))
		idx := r.indices(tensor.I64, tensor.MakeShape(3), []int{6, id, 0})
		out := r.SetRows(cache, x, idx)
		expectIndexError(t, r, devs, out, int64(id), 7)

		b, err := r.bind(devs[1], false, out)
		if err != nil {
			t.Fatal(err)
		}
		if b.prog.Submit(t.Context()) == nil {
			t.Fatal("no error")
		}
		n := wide.Stride[1]
		before, after := r.contents[wide], b.raw(wide)
		if !bytes.Equal(before[:n], after[:n]) || !bytes.Equal(before[8*n:], after[8*n:]) || !bytes.Equal(before[2*n:7*n], after[2*n:7*n]) {
			t.Error("a row that no valid index names has changed")
		}
	}
}

func TestCopyRowsRoundTrip(t *testing.T) { // what was set is what is got
	devs := devices(t)
	for _, typ := range []tensor.DType{tensor.F16, tensor.Q8_0} {
		t.Run(fmt.Sprint(typ), func(t *testing.T) {
			r := newRig(t, 1)
			cache, x := r.random(typ, tensor.MakeShape(64, 9)), r.random(tensor.F32, tensor.MakeShape(64, 3))
			idx := r.indices(tensor.I64, tensor.MakeShape(3), []int{8, 0, 4})
			r.expect(devs, r.GetRows(r.SetRows(cache, x, idx), idx), r.encoded(typ, x), 0)
		})
	}
}
