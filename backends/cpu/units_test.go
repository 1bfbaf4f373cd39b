package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

func randomFloats(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// eachLevel runs f for each level, and says of the others why they are not there.
func eachLevel(t *testing.T, f func(t *testing.T, u *units)) {
	for l := range levels {
		t.Run(l.String(), func(t *testing.T) {
			if why := Missing(l); why != "" {
				t.Skip(why)
			}
			f(t, unitsOf(l))
		})
	}
}

// weightsOf returns rows of a type with every code in them, and scales that are finite: rows of random
// bytes between rows of encoded numbers.
func weightsOf(r *rand.Rand, typ tensor.DType, rows, k int) []byte {
	n := typ.RowBytes(k)
	w := make([]byte, rows*n)
	v := make([]float32, k)
	for i := range rows {
		row := w[i*n : (i+1)*n]
		for j := range v {
			v[j] = float32(r.NormFloat64())
		}
		encode(typ, row, v)
		if i%2 == 0 || !typ.Quantized() {
			continue
		}
		_, size := typ.Block()
		old := slices.Clone(row)
		for j := range row {
			row[j] = byte(r.Uint32())
		}
		for b := 0; b < n; b += size { // the scales stay
			for _, at := range scaleBytes[typ] {
				copy(row[b+at:b+at+2], old[b+at:b+at+2])
			}
			if typ == tensor.MXFP4 {
				row[b] = old[b]
			}
		}
	}
	return w
}

// scaleBytes says where a block's binary16 scales are.
var scaleBytes = map[tensor.DType][]int{
	tensor.Q8_0: {0}, tensor.Q4_0: {0}, tensor.Q4_1: {0, 2}, tensor.Q5_0: {0}, tensor.Q5_1: {0, 2}, tensor.IQ4_NL: {0},
	tensor.Q2_K: {80, 82}, tensor.Q3_K: {108}, tensor.Q4_K: {0, 2}, tensor.Q5_K: {0, 2}, tensor.Q6_K: {208}, tensor.IQ4_XS: {0},
}

// products holds operands of a product, and the guard that surrounds its results.
type products struct {
	product
	out   []float32
	ld    int
	w     []byte
	x     []byte
	exact [][]float64 // of each token and row, from the twin's inputs in float64
	size  [][]float64 // and the sum of the magnitudes of its terms
}

const outside = 3.5e30

// newProducts prepares rows of typ times tokens, with records rounded by u.
func newProducts(r *rand.Rand, u *units, typ tensor.DType, rows, tokens, k int) *products {
	p := &products{ld: rows + 3, w: weightsOf(r, typ, rows, k)}
	f := u.rows[typ].form
	p.x = make([]byte, tokens*f.stride(k)+64)
	p.x = p.x[-uintptr(unsafe.Pointer(&p.x[0]))&63:]
	decoded := make([]float32, k)
	for t := range tokens {
		x := randomFloats(r, k)
		if k > 40 {
			x[7] = 30 // an outlier, and half a block of zeros
			clear(x[16:32])
		}
		rec := p.x[t*f.stride(k):][:f.bytes(k)]
		u.round[f](rec, x)
		v := recordValues(f, rec, k)
		p.exact, p.size = append(p.exact, make([]float64, rows)), append(p.size, make([]float64, rows))
		for i := range rows {
			row := p.w[i*typ.RowBytes(k) : (i+1)*typ.RowBytes(k)]
			if typ == tensor.F32 {
				copy(decoded, f32s(row))
			} else if err := quant.Decode(typ, decoded, row); err != nil {
				panic(err)
			}
			for j, w := range decoded {
				p.exact[t][i] += float64(w) * v[j]
				p.size[t][i] += math.Abs(float64(w) * v[j])
			}
			if c, ok := offsetSize(typ, row, rec, k); ok {
				p.size[t][i] += c
			}
		}
	}
	p.product = product{w: &p.w[0], wStride: typ.RowBytes(k), rows: rows, x: &p.x[0], xStride: f.stride(k), k: k, dstStride: 4 * p.ld}
	return p
}

// offsetSize returns how large the parts of a result are that cancel: codes times scales, and offsets.
func offsetSize(typ tensor.DType, row, rec []byte, k int) (sum float64, ok bool) {
	_, size := typ.Block()
	switch {
	case unpack32[typ] != nil:
		var c codes32
		q, d, _ := record32(rec, k)
		for i, v := range q {
			if i%32 == 0 {
				unpack32[typ](&c, row[i/32*size:])
			}
			sum += math.Abs(float64(v)) * float64(d[i/32]) * 16 * (math.Abs(float64(c.d)) + math.Abs(float64(c.m))/16)
		}
	case unpack256[typ] != nil:
		var c codes256
		q, d, _ := record256(rec, k)
		for i, v := range q {
			if i%256 == 0 {
				unpack256[typ](&c, row[i/256*size:])
			}
			g := i % 256 / 16
			sum += math.Abs(float64(v)) * float64(d[i/256]) * (math.Abs(float64(c.d)*float64(c.scale[g])*32) + math.Abs(float64(c.dmin)*float64(c.least[g])))
		}
	}
	return sum, true
}

// recordValues returns the elements that a record stands for.
func recordValues(f form, rec []byte, k int) []float64 {
	v := make([]float64, k)
	switch f {
	case floats:
		for i, x := range f32s(rec[:4*k]) {
			v[i] = float64(x)
		}
	case blocks32:
		q, d, _ := record32(rec, k)
		for i := range v {
			v[i] = float64(q[i]) * float64(d[i/32])
		}
	case blocks256:
		q, d, _ := record256(rec, k)
		for i := range v {
			v[i] = float64(q[i]) * float64(d[i/256])
		}
	}
	return v
}

// run computes n tokens from token t on, and checks what lies around the results.
func (p *products) run(t *testing.T, dot func(*product), from, n int) []float32 {
	t.Helper()
	p.out = make([]float32, n*p.ld)
	for i := range p.out {
		p.out[i] = outside
	}
	q := p.product
	q.dst = &p.out[0]
	q.x = &p.x[from*p.xStride]
	dot(&q)
	for i, v := range p.out {
		if (v == outside) != (i%p.ld >= p.rows) {
			t.Fatalf("place %d of %d rows in strides of %d holds %g", i, p.rows, p.ld, v)
		}
	}
	return p.out
}

// TestRowUnits compares each level's units with a float64 product of the same rounded operands, and
// holds that a token's result has the same bits whatever tokens are beside it.
func TestRowUnits(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(5, 6))
		for typ, ru := range u.rows {
			typ := tensor.DType(typ)
			if ru.form == noForm {
				continue
			}
			ks := map[form][]int{floats: {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 256, 1000}, blocks32: {32, 64, 96, 128, 160, 256, 1056, 2048}, blocks256: {256, 512, 768, 2048}}[ru.form]
			for _, k := range ks {
				for _, rows := range []int{1, 2, 3, 5, 16, 17} {
					p := newProducts(r, u, typ, rows, mostTokens, k)
					alone := make([][]float32, mostTokens)
					for i := range alone {
						alone[i] = slices.Clone(p.run(t, ru.dot[0], i, 1)[:rows])
						for j, got := range alone[i] {
							if e := math.Abs(float64(got) - p.exact[i][j]); !(e <= 4e-6*p.size[i][j]) {
								t.Fatalf("%s k=%d rows=%d: row %d is %g, want %g", typ, k, rows, j, got, p.exact[i][j])
							}
						}
					}
					for n := 2; n <= mostTokens; n++ {
						if ru.dot[n-1] == nil {
							continue
						}
						out := p.run(t, ru.dot[n-1], 0, n)
						for i := range n {
							for j, want := range alone[i] {
								if got := out[i*p.ld+j]; math.Float32bits(got) != math.Float32bits(want) {
									t.Fatalf("%s k=%d rows=%d: token %d of %d, row %d is %g, alone %g", typ, k, rows, i, n, j, got, want)
								}
							}
						}
					}
				}
			}
		}
	})
}

// TestRoundForms holds that each level rounds as plain Go does: to the same bits.
func TestRoundForms(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, f := range []form{blocks32, blocks256} {
			for _, k := range []int{256, 512, 2048, 2048 + 256} {
				x := randomFloats(r, k)
				for i := range 64 { // halves of a step, which are rounded away from zero
					x[i] = float32(i-32) + 0.5
				}
				x[0], x[40] = 127, -127
				clear(x[96:128])
				x[130] = 1e-42 // a block too small for an inverse
				if k == 512 {
					clear(x[256:])
					x[300] = 1e-40
				}
				got, want := make([]byte, f.bytes(k)), make([]byte, f.bytes(k))
				u.round[f](got, x)
				scalar := unitsOf(Scalar)
				scalar.round[f](want, x)
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("form %d, k=%d: byte %d is %d, want %d", f, k, i, got[i], want[i])
					}
				}
			}
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				x := make([]float32, 512)
				x[3], x[300] = bad, 1
				rec := make([]byte, f.bytes(len(x)))
				u.round[f](rec, x)
				at := map[form]int{blocks32: 4 * (300 / 32), blocks256: 4}[f]
				d := f32s(rec[512:])
				if good := d[at/4]; d[0] == d[0] || good != 1.0/127 || i8s(rec)[300] != 127 {
					t.Errorf("form %d, %g: scales %g and %g, code %d", f, bad, d[0], good, i8s(rec)[300])
				}
			}
		}
	})
}

// TestFloatForms compares each level's loops over floats with plain Go's, over lengths that no vector
// divides. Sums are rounded in another order, so they may differ by the rounding of the greatest partial
// sum.
func TestFloatForms(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(3, 4))
		for n := range 131 {
			a, b := randomFloats(r, n), randomFloats(r, n)
			var size float64
			for i := range a {
				size += math.Abs(float64(a[i]) * float64(b[i]))
			}
			if got, want := u.dotF32(a, b), dotF32Go(a, b); math.Abs(float64(got-want)) > size*1e-6 {
				t.Errorf("dotF32 of %d: %g, in Go %g", n, got, want)
			}
			got, want := append([]float32(nil), a...), append([]float32(nil), a...)
			u.addScaledF32(got, b, 0.3)
			addScaledF32Go(want, b, 0.3)
			for i := range got {
				if math.Abs(float64(got[i]-want[i])) > 1e-6*(1+math.Abs(float64(want[i]))) {
					t.Errorf("addScaledF32 of %d, element %d: %g, in Go %g", n, i, got[i], want[i])
				}
			}
		}
	})
}

// TestUnpack holds the codes and scales of each type against package quant's values.
func TestUnpack(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, typ := range quant.Types() {
		if unpack32[typ] == nil && unpack256[typ] == nil {
			continue
		}
		elems, size := typ.Block()
		w := weightsOf(r, typ, 8, 1024)
		want := make([]float32, 8*1024)
		if err := quant.Decode(typ, want, w); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			var got float32
			b := w[i/elems*size:]
			if f := unpack32[typ]; f != nil {
				var c codes32
				f(&c, b)
				got = float32(c.d*float32(c.q[i%32])) + c.m
			} else {
				var c codes256
				unpack256[typ](&c, b)
				g := i % 256 / 16
				got = float32(float32(c.d*float32(c.scale[g]))*float32(c.q[i%256])) - float32(c.dmin*float32(c.least[g]))
			}
			if got != want[i] {
				t.Fatalf("%s: element %d is %g, want %g", typ, i, got, want[i])
			}
		}
	}
}

// BenchmarkRowUnits multiplies 64 rows of 2048 weights, in the first cache and out of memory, with one
// to eight tokens. The bytes are the weights'.
func BenchmarkRowUnits(b *testing.B) {
	const k, rows = 2048, 64
	r := rand.New(rand.NewPCG(1, 2))
	for _, l := range Levels() {
		u := unitsOf(l)
		for typ, ru := range u.rows {
			typ := tensor.DType(typ)
			if ru.form == noForm {
				continue
			}
			p := newProducts(r, u, typ, rows, mostTokens, k)
			p.out = make([]float32, mostTokens*p.ld)
			for n := range mostTokens {
				dot := ru.dot[n]
				if dot == nil {
					continue
				}
				b.Run(fmt.Sprintf("%s/%s/tokens=%d", l, typ, n+1), func(b *testing.B) {
					b.SetBytes(int64(len(p.w)))
					q := p.product
					q.dst = &p.out[0]
					for b.Loop() {
						dot(&q)
					}
				})
			}
		}
	}
}

// TestDecodeF16Forms compares the form in use with package quant's, over every F16 value and lengths
// that no vector divides.
func TestDecodeF16Forms(t *testing.T) {
	src := make([]byte, 2*(1<<16))
	for i := range 1 << 16 {
		src[2*i], src[2*i+1] = byte(i), byte(i>>8)
	}
	for _, n := range []int{0, 1, 7, 8, 9, 31, 1 << 16} {
		got, want := make([]float32, n), make([]float32, n)
		quant.DecodeF16(want, src[:2*n])
		eachLevel(t, func(t *testing.T, u *units) {
			u.decode[tensor.F16](got, src[:2*n])
			for i := range got {
				g, w := got[i], want[i]
				if math.Float32bits(g) != math.Float32bits(w) && !(g != g && w != w) {
					t.Fatalf("%d of %d: %g, want %g", i, n, g, w)
				}
			}
		})
	}
}
