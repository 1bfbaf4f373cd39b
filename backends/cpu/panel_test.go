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
		for shape := panel32; shape < panelShapes; shape++ {
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
		for g := range groups {
			for b := range n {
				for i := range 128 {
					x[g*group/4+b*tokenBlock/4+i] = math.Float32frombits(r.Uint32())
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
	tiles := make([]byte, 2*tileSpace)
	out, want := make([]float32, (rows+1)*groups*groupTokens), make([]float32, rows*groups*groupTokens)
	p := &panel{
		outStride: groups * groupTokens * 4, q: (*byte)(unsafe.Pointer(&q[0])), qStride: qStride,
		scales: (*byte)(unsafe.Pointer(&scales[0])), scaleStride: scaleStride,
		x: (*byte)(unsafe.Pointer(&x[0])), group: group, n: n,
		tiles: &tiles[-uintptr(unsafe.Pointer(&tiles[0]))&(tileSpace-1)],
	}
	if c := u.config[shape]; c != nil {
		p.config = &c[0]
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
			shape := panelShapeOf(typ)
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
					q, s, x := make([]float32, rows*(k+16)), make([]float32, rows*k), make([]float32, groups*k*16)
					tiles, out := make([]byte, 2*tileSpace), make([]float32, rows*32)
					p := &panel{
						out: &out[0], outStride: 128, q: (*byte)(unsafe.Pointer(&q[0])), qStride: k + 64,
						scales: (*byte)(unsafe.Pointer(&s[0])), scaleStride: k / 2, x: (*byte)(unsafe.Pointer(&x[0])),
						group: k / 32 * tokenBlock, n: k / 32, tiles: &tiles[-uintptr(unsafe.Pointer(&tiles[0]))&(tileSpace-1)],
					}
					if shape == panelFloats {
						p.group, p.n, p.qStride = 64*k, k, 4*k+64
					}
					if c := u.config[shape]; c != nil {
						p.config = &c[0]
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
