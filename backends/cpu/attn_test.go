package cpu

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// TestFlashAttnBits computes a prompt's attention at once, in parts of several sizes and token by token, with
// as many cells as each part needs or more, on teams of several sizes: a token's result has the same bits.
func TestFlashAttnBits(t *testing.T) {
	const tokens, heads, planes, before, most = 70, 6, 2, 560, 768
	eachLevel(t, func(t *testing.T, u *units) {
		var devs []*Device
		for _, n := range teams {
			dev := newAt(u.level, Options{Threads: n})
			defer dev.Close()
			devs = append(devs, dev)
		}
		for _, c := range []struct {
			k, v   tensor.DType
			dk, dv int
			op     tensor.FlashAttn
		}{
			{tensor.F16, tensor.F16, 64, 64, tensor.FlashAttn{Scale: 0.1}},
			{tensor.Q8_0, tensor.Q8_0, 96, 32, tensor.FlashAttn{Scale: 0.1, SoftCap: 5}},
			{tensor.F32, tensor.BF16, 40, 72, tensor.FlashAttn{Scale: 0.1, MaxBias: 8}},
		} {
			src := newRig(t, 1)
			q := src.contents[src.random(tensor.F32, tensor.MakeShape(c.dk, heads, tokens))]
			k := src.contents[src.random(c.k, tensor.MakeShape(c.dk, planes, most))]
			v := src.contents[src.random(c.v, tensor.MakeShape(c.dv, planes, most))]
			// part computes tokens from t0 on over some cells; token i sees before+i+1, but for a few.
			part := func(dev *Device, t0, n, cells int) []byte {
				r := newRig(t, 1)
				mask := make([]float32, n*cells)
				for i := range mask {
					tok, cell := t0+i/cells, i%cells
					if cell > before+tok || cell/64 == tok%5+1 {
						mask[i] = negInf
					}
				}
				kv := func(typ tensor.DType, d int, data []byte) *tensor.Tensor {
					return r.leaf(typ, tensor.MakeShape(d, planes, cells), data[:planes*cells*typ.RowBytes(d)])
				}
				out := r.FlashAttn(c.op, r.leaf(tensor.F32, tensor.MakeShape(c.dk, heads, n), q[4*c.dk*heads*t0:][:4*c.dk*heads*n]),
					kv(c.k, c.dk, k), kv(c.v, c.dv, v), r.values(tensor.F16, tensor.MakeShape(cells, n), mask), nil)
				b, err := r.bind(dev, false, out)
				if err != nil {
					t.Fatal(err)
				}
				defer b.mem.Close()
				if err := b.prog.Submit(t.Context()); err != nil {
					t.Fatal(err)
				}
				return bytes.Clone(b.raw(out))
			}
			want := part(devs[0], 0, tokens, most)
			row := len(want) / tokens
			for _, dev := range devs {
				for _, size := range []int{1, 5, 64, tokens} {
					for t0 := 0; t0 < tokens; t0 += size {
						if size < 8 && t0%10 != 0 { // some are enough
							continue
						}
						n := min(size, tokens-t0)
						if !bytes.Equal(part(dev, t0, n, before+t0+n), want[row*t0:row*(t0+n)]) {
							t.Fatalf("%s, %s: tokens %d to %d differ, by %d workers", c.k, c.v, t0, t0+n, dev.team.size)
						}
					}
				}
			}
		}
	})
}

// TestFlashAttnStrange hides cells that hold what is no number.
func TestFlashAttnStrange(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		dev := newAt(u.level, Options{Threads: 2})
		defer dev.Close()
		const d, cells, tokens = 64, 100, 3
		run := func(strange float32) []byte {
			r := newRig(t, 1)
			q, k, v := r.random(tensor.F32, tensor.MakeShape(d, 2, tokens)), r.normal(d*cells, 1), r.normal(d*cells, 1)
			mask := make([]float32, cells*tokens)
			for c := range cells {
				if c%3 != 0 {
					continue
				}
				for i := range d {
					k[c*d+i], v[c*d+i] = strange, strange
				}
				for tok := range tokens {
					mask[tok*cells+c] = negInf
				}
			}
			kv := tensor.MakeShape(d, 1, cells)
			out := r.FlashAttn(tensor.FlashAttn{Scale: 0.1}, q, r.values(tensor.F16, kv, k), r.values(tensor.F16, kv, v),
				r.values(tensor.F32, tensor.MakeShape(cells, tokens), mask), nil)
			b, err := r.bind(dev, false, out)
			if err != nil {
				t.Fatal(err)
			}
			defer b.mem.Close()
			if err := b.prog.Submit(t.Context()); err != nil {
				t.Fatal(err)
			}
			return bytes.Clone(b.raw(out))
		}
		want := run(0)
		for i, have := range f32s(run(float32(math.NaN()))) {
			if w := f32s(want)[i]; math.Abs(float64(have-w)) > 1e-6 {
				t.Fatalf("element %d is %g, want %g", i, have, w)
			}
		}
	})
}

// TestAttnTile compares each tile with a sum in float64, and all with each other.
func TestAttnTile(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(3, 3))
		const k, aRow, cRow, bStep = 37, 45, 80, 70 // floats
		a, b := randomFloats(r, attnTileRows*aRow), randomFloats(r, k*bStep)
		c0, scale := randomFloats(r, attnTileRows*cRow), randomFloats(r, attnTileRows)
		var first []float32 // what the first unit of a way made of the first register of a row
		for _, scaled := range []bool{false, true} {
			first = nil
			for w := range u.attn.tile {
				for rows, f := range u.attn.tile[w] {
					if f == nil {
						continue
					}
					name := fmt.Sprintf("%d rows, %d registers, scaled: %v", rows, w+1, scaled)
					c := append([]float32(nil), c0...)
					p := attnTile{c: &c[0], cRow: 4 * cRow, a: &a[0], aRow: 4 * aRow, aStep: 4, b: &b[0], bStep: 4 * bStep, k: k}
					if scaled {
						p.scale = &scale[0]
					}
					f(&p)
					n := (w + 1) * u.attn.lanes
					for i := range c {
						row, col := i/cRow, i%cRow
						if row >= rows || col >= n {
							if c[i] != c0[i] {
								t.Fatalf("%s: row %d, column %d was written", name, row, col)
							}
							continue
						}
						var sum float64
						if scaled {
							sum = float64(c0[i]) * float64(scale[row])
						}
						for j := range k {
							sum += float64(a[row*aRow+j]) * float64(b[j*bStep+col])
						}
						if d := math.Abs(sum - float64(c[i])); d > 1e-5 {
							t.Fatalf("%s: row %d, column %d is off by %g", name, row, col, d)
						}
					}
					if first == nil {
						first = append(first, c[:u.attn.lanes]...)
					}
					for i, v := range first {
						if c[i] != v {
							t.Fatalf("%s: other bits than the first unit's", name)
						}
					}
				}
			}
		}
	})
}

// TestAttnSoft takes blocks of scores step by step and compares with float64.
func TestAttnSoft(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(4, 4))
		for registers := 1; registers <= 4; registers++ {
			n := registers * u.attn.lanes
			maximum, total, down := make([]float32, n), make([]float32, n), make([]float32, n)
			want, most := make([]float64, n), make([]float64, n)
			for q := range n {
				maximum[q], most[q] = negInf, math.Inf(-1)
			}
			for step, cells := range []int{64, 1, 5, 64} {
				s := randomFloats(r, cells*(n+3))
				for i := range s {
					s[i] *= 30
					if i%(n+3) == 1 && step < 2 || r.IntN(5) == 0 { // query 1 sees nothing at first
						s[i] = negInf
					}
				}
				if step == 3 {
					s[2] = float32(math.NaN())
				}
				scores := append([]float32(nil), s...)
				old := append([]float32(nil), maximum...)
				u.attn.soft(&softBlock{&s[0], 4 * (n + 3), cells, registers, &maximum[0], &total[0], &down[0]})
				for q := range n {
					before := most[q]
					for c := range cells {
						most[q] = max(most[q], float64(scores[c*(n+3)+q]))
					}
					if step == 3 && q == 2 {
						if total[q] == total[q] {
							t.Error("a score that is no number is lost")
						}
						continue
					}
					if float64(maximum[q]) != most[q] {
						t.Fatalf("step %d, query %d: maximum %g, want %g", step, q, maximum[q], most[q])
					}
					var sum float64
					for c := range cells {
						w := math.Exp(float64(scores[c*(n+3)+q] - maximum[q])) // of the rounded difference
						if math.IsInf(most[q], -1) {
							w = 0
						}
						if have := float64(s[c*(n+3)+q]); math.Abs(have-w) > 4e-7*w+1e-37 || scores[c*(n+3)+q] == negInf && have != 0 {
							t.Fatalf("step %d, query %d, cell %d: weight %g, want %g", step, q, c, have, w)
						}
						sum += w
					}
					f := math.Exp(float64(float32(before) - maximum[q]))
					if math.IsInf(before, -1) {
						f = 0
					}
					if old[q] == maximum[q] && old[q] != negInf && down[q] != 1 {
						t.Fatalf("step %d, query %d: the maximum stays and down is %g", step, q, down[q])
					}
					want[q] = want[q]*f + sum
					if math.Abs(float64(total[q])-want[q]) > 1e-5*want[q] || math.Abs(float64(down[q])-f) > 4e-7*f+1e-37 {
						t.Fatalf("step %d, query %d: total %g, want %g; down %g, want %g", step, q, total[q], want[q], down[q], f)
					}
				}
			}
		}
	})
}

// TestAttnCells compares decoded rows with those of package quant, bit for bit.
func TestAttnCells(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(5, 5))
		for typ, unit := range u.attn.cells {
			if unit == nil {
				continue
			}
			typ := tensor.DType(typ)
			for _, n := range []int{32, 64, 160} {
				const rows, gap, dstRow = 5, 6, 170
				row := typ.RowBytes(n)
				src := make([]byte, rows*(row+gap)-gap)
				for i := range rows {
					copy(src[i*(row+gap):], weightsOf(r, typ, 1, n))
				}
				have, want := make([]float32, rows*dstRow), make([]float32, rows*dstRow)
				unit(&cellRows{&have[0], 4 * dstRow, &src[0], row + gap, rows, n})
				for i := range rows {
					decoders[typ](want[i*dstRow:][:n], src[i*(row+gap):][:row])
				}
				for i, w := range want {
					if have[i] != w && (have[i] == have[i] || w == w) {
						t.Fatalf("%s, %d elements: row %d, element %d is %g, want %g", typ, n, i/dstRow, i%dstRow, have[i], w)
					}
				}
			}
		}
	})
}

// TestAttnGenerated notices assembly that is not what its generator writes.
func TestAttnGenerated(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil || testing.Short() {
		t.Skip("the generator is not run: ", err)
	}
	dir := t.TempDir()
	cmd := exec.Command("go", "run", ".", dir)
	cmd.Dir = filepath.Join("_asm", "attn")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"attn512_amd64.s", "attn2_amd64.s"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(name); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is stale (%v): run go generate", name, err)
		}
	}
}
