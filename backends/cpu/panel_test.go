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

func eachPanelLevel(t *testing.T, f func(t *testing.T, u *panelUnits)) {
	eachLevel(t, func(t *testing.T, u *units) {
		if u.panel == nil {
			t.Skip("the level has no panel kernels")
		}
		f(t, u.panel)
	})
}

// TestPanelTiles compares tiles with the loops in Go: sums of codes are exact, and floats are added in one
// order, so that only fused products differ.
func TestPanelTiles(t *testing.T) {
	eachPanelLevel(t, func(t *testing.T, u *panelUnits) {
		r := rand.New(rand.NewPCG(11, 12))
		for shape := panel32; shape <= panelFloats; shape++ {
			for groups := 1; groups <= 2; groups++ {
				f := u.tile[shape][groups-1]
				if f == nil {
					continue
				}
				for _, n := range []int{1, 2, 3, 4, 5, 9, 63, 64, 65, 130} {
					checkTile(t, r, u, shape, groups, n, f)
				}
			}
		}
	})
}

func checkTile(t *testing.T, r *rand.Rand, u *panelUnits, shape panelShape, groups, n int, f func(*panel)) {
	t.Helper()
	rows, elem := u.rows[shape], 32
	if shape == panelFloats {
		elem = 4
	}
	qStride := n*elem + 64
	scaleStride := n*32/shape.elems()*shape.entry() + 64
	q := make([]float32, rows*qStride/4)
	scales := make([]float32, rows*scaleStride/4)
	group := n * tokenBlock
	if shape == panelFloats {
		group = 64 * n
	}
	x := make([]float32, groups*group/4+16)
	x = x[-uintptr(unsafe.Pointer(&x[0]))&63/4:]
	for i := range q {
		q[i] = float32(r.NormFloat64())
	}
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	if shape != panelFloats {
		for i := range q { // codes: any bytes
			q[i] = math.Float32frombits(r.Uint32())
		}
		if most := u.most[shape]; most != 0 {
			codes := i8s(f32Bytes(q))
			for i := range codes {
				codes[i] = int8(r.IntN(2*int(most)+1)) - most
			}
			if n == 2 { // and sums as great as they may be
				for i := range codes {
					codes[i] = most - int8(i/32%2)*2*most
				}
			}
		}
		for g := range groups {
			for b := range n {
				for i := range 128 {
					v := r.Uint32()
					if n == 2 && u.most[shape] != 0 {
						v = math.MaxUint32
					}
					x[g*group/4+b*tokenBlock/4+i] = math.Float32frombits(v)
				}
			}
		}
		per := 32 / shape.elems()
		for row := range rows {
			for e := range n * per {
				at := row*scaleStride/4 + e*shape.entry()/4
				scales[at+1], scales[at] = float32(r.NormFloat64()), 0
				if shape == panel32Least {
					scales[at+2] = float32(r.NormFloat64())
				}
				if u.flip != 0 {
					scales[at] = math.Float32frombits(uint32(-128 * codeSum(q, row*qStride+e*shape.elems(), shape.elems())))
				}
			}
		}
	}
	out, want := make([]float32, (rows+1)*groups*groupTokens), make([]float32, rows*groups*groupTokens)
	p := &panel{
		outStride: groups * groupTokens * 4, q: (*byte)(unsafe.Pointer(&q[0])), qStride: qStride,
		scales: (*byte)(unsafe.Pointer(&scales[0])), scaleStride: scaleStride,
		x: (*byte)(unsafe.Pointer(&x[0])), group: group, n: n,
	}
	p.out = &want[0]
	panelGo(p, shape, rows, groups, u.flip)
	for i := range out {
		out[i] = outside
	}
	p.out = &out[0]
	f(p)
	for i, v := range out {
		if i >= len(want) {
			if v != outside {
				t.Fatalf("shape %d, %d groups, n=%d: written behind the tile", shape, groups, n)
			}
			continue
		}
		if e := math.Abs(float64(v - want[i])); !(e <= 2e-5*(math.Abs(float64(want[i]))+3e4*b2f(shape != panelFloats)+1)) {
			t.Fatalf("shape %d, %d groups, n=%d: place %d is %g, want %g", shape, groups, n, i, v, want[i])
		}
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// TestPanelBF16 compares tiles of bfloat16, and what makes such numbers, with their loops in Go.
func TestPanelBF16(t *testing.T) {
	eachPanelLevel(t, func(t *testing.T, u *panelUnits) {
		if u.split == nil {
			t.Skip("the level has no tiles of bfloat16")
		}
		r := rand.New(rand.NewPCG(17, 18))
		for shape := panelBF16; shape <= panelBF16x3; shape++ {
			for groups := 1; groups <= 2; groups++ {
				for _, n := range []int{1, 2, 5} {
					rows, k := u.rows[shape], 32*n
					q, x := make([]uint16, rows*(2*k+32)), make([]uint16, groups*2*k*groupTokens)
					for i := range q {
						q[i] = quant.F32ToBF16(float32(r.NormFloat64()))
					}
					for i := range x {
						x[i] = quant.F32ToBF16(float32(r.NormFloat64()))
					}
					got, want := make([]float32, rows*groups*groupTokens+1), make([]float32, rows*groups*groupTokens)
					p := &panel{
						outStride: groups * groupTokens * 4, q: (*byte)(unsafe.Pointer(&q[0])), qStride: 4*k + 64, low: 2 * k,
						x: (*byte)(unsafe.Pointer(&x[0])), group: 4 * k * groupTokens, xLow: 2 * k * groupTokens, n: n, config: &u.config[0],
					}
					p.out = &want[0]
					bfloatsGo(p, shape, rows, groups)
					got[len(want)] = outside
					p.out = &got[0]
					u.tile[shape][groups-1](p)
					if got[len(want)] != outside {
						t.Fatal("written behind the tile")
					}
					for i, v := range want {
						if math.Abs(float64(got[i]-v)) > 1e-5*float64(k) {
							t.Fatalf("shape %d, %d groups, n=%d: place %d is %g, want %g", shape, groups, n, i, got[i], v)
						}
					}
				}
			}
		}
		checkBF16(t, r, u)
	})
}

func checkBF16(t *testing.T, r *rand.Rand, u *panelUnits) {
	x, got, want := randomFloats(r, 96), make([]uint16, 200), make([]uint16, 200)
	x[5] = float32(math.Inf(1))
	for _, low := range []int{0, 200} {
		p := &panel{x: (*byte)(unsafe.Pointer(&x[0])), n: 6, low: low}
		p.q = (*byte)(unsafe.Pointer(&want[0]))
		splitBF16Go(p)
		p.q = (*byte)(unsafe.Pointer(&got[0]))
		u.split(p)
		for i := range want {
			if w := quant.BF16ToF32(want[i]); got[i] != want[i] && w == w {
				t.Fatalf("split, low %d: place %d is %#x, want %#x", low, i, got[i], want[i])
			}
		}
	}
	for shape := panel32; shape <= panel16; shape++ {
		q, s := randomFloats(r, 24), randomFloats(r, 3*2*4)
		p := &panel{q: (*byte)(unsafe.Pointer(&q[0])), scales: (*byte)(unsafe.Pointer(&s[0])), n: 3}
		p.out = (*float32)(unsafe.Pointer(&want[0]))
		scaleBF16Go(p, shape)
		p.out = (*float32)(unsafe.Pointer(&got[0]))
		u.scale[shape](p)
		for i := range 96 {
			g, w := quant.BF16ToF32(got[i]), quant.BF16ToF32(want[i])
			if math.Abs(float64(g-w)) > math.Abs(float64(w))/128 { // one step, as a product may be fused
				t.Fatalf("scale of shape %d: place %d is %g, want %g", shape, i, g, w)
			}
		}
	}
}

// codeSum adds n codes from byte at of q on.
func codeSum(q []float32, at, n int) (sum int32) {
	return sum8(i8s(f32Bytes(q))[at : at+n])
}

// TestPanelMoves holds turning and spreading against their loops in Go.
func TestPanelMoves(t *testing.T) {
	eachPanelLevel(t, func(t *testing.T, u *panelUnits) {
		r := rand.New(rand.NewPCG(13, 14))
		src := make([]float32, 4096)
		for i := range src {
			src[i] = math.Float32frombits(r.Uint32())
		}
		var lanes [16]int32
		for i := range lanes {
			lanes[i] = int32(r.IntN(3000) * 4)
		}
		lanes[0] = 0
		for _, n := range []int{1, 2, 7} {
			got, want := make([]uint32, 400), make([]uint32, 400)
			p := panel{q: (*byte)(unsafe.Pointer(&src[0])), n: n, lanes: &lanes, flip: 0x80808080, outStride: 128}
			p.out = (*float32)(unsafe.Pointer(&want[0]))
			packGo(&p)
			p.out = (*float32)(unsafe.Pointer(&got[0]))
			u.pack(&p)
			if !slices.Equal(got, want) {
				t.Errorf("pack of %d differs", n)
			}
			clear(got)
			clear(want)
			for _, mask := range []uint32{0xffff, 0x1, 0x7ff} {
				p := panel{x: (*byte)(unsafe.Pointer(&src[0])), n: n, lanes: &lanes, flip: mask, outStride: 100}
				p.out = (*float32)(unsafe.Pointer(&want[0]))
				spreadGo(&p)
				p.out = (*float32)(unsafe.Pointer(&got[0]))
				u.spread(&p)
				if !slices.Equal(got, want) {
					t.Errorf("spread of %d, rows %x, differs", n, mask)
				}
			}
		}
	})
}

// TestPanelCodes holds what takes rows apart against the forms in Go, for every type.
func TestPanelCodes(t *testing.T) {
	eachPanelLevel(t, func(t *testing.T, u *panelUnits) {
		r := rand.New(rand.NewPCG(15, 16))
		for typ, f := range u.codes {
			typ := tensor.DType(typ)
			if f == nil {
				continue
			}
			const k = 768
			elems, size := typ.Block()
			w := weightsOf(r, typ, 4, k)[typ.RowBytes(k):][:typ.RowBytes(k)]
			q := make([]int8, k+1)
			q[k] = 99
			shape := codeShape(typ)
			groups := k / shape.elems()
			scales := make([]float32, groups*shape.entry()/4)
			sb := f32Bytes(scales)
			p := unpacking{w: &w[0], q: (*byte)(unsafe.Pointer(&q[0])), scales: &sb[0], entry: shape.entry(), n: k / elems}
			f(&p)
			if elems == 256 {
				superScales(typ, w, sb, shape)
			}
			p.n = k / 32
			if shape == panel16 {
				u.sums16(&p)
			} else {
				u.sums32(&p)
			}
			if q[k] != 99 {
				t.Fatalf("%s: written behind the codes", typ)
			}
			want := make([]float32, k)
			if err := quant.Decode(typ, want, w); err != nil {
				t.Fatal(err)
			}
			for i, v := range want {
				if most := u.most[u.shape(typ)]; most != 0 && (q[i] > most || q[i] < -most) {
					t.Fatalf("%s: code %d is %d, and tiles take up to %d", typ, i, q[i], most)
				}
				e := i / shape.elems() * shape.entry() / 4
				if typ == tensor.MXFP4 {
					scales[e+1] = mxfp4Half[w[i/elems*size]]
				}
				got := scales[e+1] * float32(q[i])
				if shape == panel32Least {
					got += scales[e+2]
				}
				if math.Abs(float64(got-v)) > 1e-6*math.Abs(float64(v))+1e-6*math.Abs(float64(scales[e+1])) {
					t.Fatalf("%s: element %d is %g, want %g", typ, i, got, v)
				}
				if sum := i32s(sb)[e]; i%shape.elems() == 0 && sum != -128*sum8(q[i:i+shape.elems()]) {
					t.Fatalf("%s: sum %d is %d, want %d", typ, i/shape.elems(), sum, -128*sum8(q[i:i+shape.elems()]))
				}
			}
		}
	})
}

// TestGates compares each level's gates with plain Go's, also where the exponential is no float32.
func TestGates(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(19, 20))
		g, up := make([]float32, 1003), randomFloats(r, 1003)
		for i := range g {
			g[i] = float32(r.NormFloat64() * 8)
		}
		copy(g, []float32{0, -88, 88, -89, 89, -103, -110, -1e4, 1e4, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-40})
		for act, f := range gates {
			if f.each == nil {
				continue
			}
			got, want := make([]float32, len(g)), make([]float32, len(g))
			u.gates[act](got, g, up)
			f.each(want, g, up)
			for i, v := range want {
				if v != v && got[i] != got[i] || v == got[i] {
					continue
				}
				x := math.Abs(float64(g[i])) // the argument of the exponential: three roundings of it show, in both
				if tensor.Func(act) == tensor.GELU {
					x *= 1.6 + 0.0714*x*x
				}
				if e := math.Abs(float64(got[i] - v)); !(e <= 4e-7*math.Abs(float64(v))*(1+x/2)+1e-37) {
					t.Errorf("%v of %g times %g is %g, want %g", tensor.Func(act), g[i], up[i], got[i], v)
				}
			}
			for n := range 9 { // alone or in company
				u.gates[act](want[:n], g[20:20+n], up[20:20+n])
				for i := range n {
					if math.Float32bits(want[i]) != math.Float32bits(got[20+i]) {
						t.Fatalf("%v: element %d of %d is %g, in a long row %g", tensor.Func(act), i, n, want[i], got[20+i])
					}
				}
			}
		}
	})
}

// BenchmarkPanel multiplies tiles of 2048 elements whose tokens lie in the first caches. Its figure is
// products a second.
func BenchmarkPanel(b *testing.B) {
	const k = 2048
	for _, l := range Levels() {
		u := unitsOf(l).panel
		if u == nil {
			continue
		}
		for shape := panel32; shape < panelShapes; shape++ {
			for groups := 1; groups <= 2; groups++ {
				f := u.tile[shape][groups-1]
				if f == nil {
					continue
				}
				b.Run(fmt.Sprintf("%s/shape=%d/groups=%d", l, shape, groups), func(b *testing.B) {
					rows := u.rows[shape]
					q, s, x := make([]float32, rows*(k+16)), make([]float32, rows*k), make([]float32, groups*k*20)
					out := make([]float32, rows*32)
					p := &panel{
						out: &out[0], outStride: 128, q: (*byte)(unsafe.Pointer(&q[0])), qStride: k + 64,
						scales: (*byte)(unsafe.Pointer(&s[0])), scaleStride: k / 2, x: (*byte)(unsafe.Pointer(&x[0])),
						group: k / 32 * tokenBlock, n: k / 32,
					}
					if shape == panelFloats {
						p.group, p.n, p.qStride = 64*k, k, 4*k+64
					}
					if shape.bfloats() {
						p.group, p.low, p.xLow, p.qStride, p.config = 64*k, 2*k, 32*k, 4*k+64, &u.config[0]
					}
					for b.Loop() {
						f(p)
					}
					b.ReportMetric(float64(b.N)*float64(rows*groups*groupTokens*k)/b.Elapsed().Seconds()/1e9, "Gmul/s")
				})
			}
		}
	}
}
