package cpu

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// fuse compiles the nodes of b as one, in the same memory.
func (b *bound) fuse(dev *Device, f backends.Fusion, nodes []*tensor.Tensor) backends.Program {
	b.rig.Helper()
	if err := dev.Fuses(f, nodes); err != nil {
		b.rig.Fatal(err)
	}
	p, err := dev.Compile(&backends.Subgraph{
		Nodes: nodes, Groups: []backends.Group{{Fusion: f, To: len(nodes)}},
		Place: func(t *tensor.Tensor) tensor.Storage {
			for i, n := range nodes {
				if t.Root() == n && f.Inner(i) {
					return tensor.Storage{}
				}
			}
			return tensor.Storage{Buffer: b.mem, Offset: int64(b.places[t.Root()] + t.Offset)}
		},
	})
	if err != nil {
		b.rig.Fatal(err)
	}
	return p
}

// fusedCase is a group to be run as one.
type fusedCase struct {
	name   string
	fusion backends.Fusion
	build  func(r *rig) []*tensor.Tensor
}

func fusedCases() []fusedCase {
	var all []fusedCase
	for _, s := range []tensor.Shape{{1, 1, 1, 1}, {37, 1, 1, 1}, {64, 5, 1, 1}, {130, 3, 2, 2}, {2048, 9, 1, 1}} {
		for layout := range layouts {
			for _, other := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
				for _, repeats := range []tensor.Shape{s, {s[0], 1, 1, 1}, {1, s[1], 1, s[3]}} {
					name := fmt.Sprintf("%v,%d,%v,%v", s, layout, other, repeats)
					norm := func(r *rig, x *tensor.Tensor) []*tensor.Tensor {
						n := r.RMSNorm(x, 1e-5)
						return []*tensor.Tensor{n, r.Mul(n, r.random(other, repeats))}
					}
					all = append(all, fusedCase{name, backends.RMSNormMul, func(r *rig) []*tensor.Tensor {
						return norm(r, r.strided(tensor.F32, s, layout))
					}}, fusedCase{name, backends.AddRMSNormMul, func(r *rig) []*tensor.Tensor {
						sum := r.Add(r.strided(tensor.F32, s, layout), r.random(other, repeats))
						return append([]*tensor.Tensor{sum}, norm(r, sum)...)
					}})
				}
			}
			all = append(all, fusedCase{fmt.Sprintf("%v,%d", s, layout), backends.SoftCap, func(r *rig) []*tensor.Tensor {
				a := r.Scale(r.strided(tensor.F32, s, layout), 1./30)
				b := r.Unary(tensor.Tanh, a)
				return []*tensor.Tensor{a, b, r.Scale(b, 30)}
			}})
		}
	}
	for _, cache := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0, tensor.Q4_0} {
		for _, head := range []int{16, 64, 80} {
			for _, mode := range []tensor.RoPEMode{tensor.RoPENormal, tensor.RoPENeoX} {
				for _, idx := range [][]int{{3}, {7, 0, 2, 5}, {1, 4, 1, 1, 0, 4}} {
					layout := len(idx) % layouts
					name := fmt.Sprintf("%v,%d,%v,%v,%d", cache, head, mode, idx, layout)
					all = append(all, fusedCase{name, backends.RoPESetRows, func(r *rig) []*tensor.Tensor {
						x := r.strided(tensor.F32, tensor.MakeShape(head, 4, len(idx)), layout)
						pos := r.ints(tensor.MakeShape(len(idx)), r.rand.Perm(5000)[:len(idx)])
						n := r.RoPE(tensor.RoPE{Dims: 16, Mode: mode, Base: 10000}, x, pos, nil)
						to := r.random(cache, tensor.MakeShape(head*4, 8))
						return []*tensor.Tensor{n, r.SetRows(to, r.Reshape(n, head*4, len(idx)), r.ints(tensor.MakeShape(len(idx)), idx))}
					}})
				}
			}
		}
	}
	return all
}

// TestFusedBits runs groups node by node and as one, on teams of all sizes: the same bytes lie everywhere, and a run
// allocates nothing. Where an index comes twice that means that the last row stays.
func TestFusedBits(t *testing.T) {
	devs := devices(t)
	for i, c := range fusedCases() {
		if testing.Short() && i%4 != 0 {
			continue
		}
		t.Run(c.fusion.String()+"/"+c.name, func(t *testing.T) {
			r := newRig(t, uint64(i))
			nodes := c.build(r)
			outs := []*tensor.Tensor{nodes[len(nodes)-1]}
			if !c.fusion.Inner(0) {
				outs = append(outs, nodes[0])
			}
			for _, dev := range devs {
				b, err := r.bind(dev, false, outs...)
				if err != nil {
					t.Fatal(err)
				}
				if err := b.prog.Submit(t.Context()); err != nil {
					t.Fatal(err)
				}
				var want [][]byte
				for _, o := range outs {
					want = append(want, bytes.Clone(b.raw(o)))
				}
				p := b.fuse(dev, c.fusion, nodes)
				b.reset()
				if err := p.Submit(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.check()
				for k, o := range outs {
					if !bytes.Equal(b.raw(o), want[k]) {
						t.Fatalf("%v differs with %d workers", o, dev.team.size)
					}
				}
				if i%10 == 0 {
					if n := testing.AllocsPerRun(5, func() { _ = p.Submit(t.Context()) }); n > 0 {
						t.Errorf("%v allocations in a run", n)
					}
				}
				if err := errors.Join(b.prog.Close(), p.Close(), b.mem.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestFusedErrors compiles groups that cannot be.
func TestFusedErrors(t *testing.T) {
	dev := New(Options{Threads: 1})
	defer dev.Close()
	r := newRig(t, 1)
	x := r.random(tensor.F32, tensor.MakeShape(8, 3))
	n := r.RMSNorm(x, 1e-6)
	y := r.Mul(n, x)
	far := r.Add(y, n)
	b, err := r.bind(dev, false, far)
	if err != nil {
		t.Fatal(err)
	}
	nodes := []*tensor.Tensor{n, y, far}
	place := func(t *tensor.Tensor) tensor.Storage {
		return tensor.Storage{Buffer: b.mem, Offset: int64(b.places[t.Root()] + t.Offset)}
	}
	for _, groups := range [][]backends.Group{
		{{Fusion: backends.RMSNormMul, From: 0, To: 3}},
		{{Fusion: backends.RMSNormMul, From: 1, To: 3}},
		{{Fusion: backends.RMSNormMul, From: 2, To: 4}},
		{{Fusion: backends.RMSNormMul, From: -1, To: 1}},
		{{Fusion: backends.RMSNormMul, From: 0, To: 2}, {Fusion: backends.RMSNormMul, From: 0, To: 2}},
		{{Fusion: 200, From: 0, To: 2}},
	} {
		if _, err := dev.Compile(&backends.Subgraph{Nodes: nodes, Groups: groups, Place: place}); !errors.Is(err, backends.ErrGroup) {
			t.Errorf("%v: have %v, want an ErrGroup", groups, err)
		}
	}
	w := r.random(tensor.F32, tensor.MakeShape(8, 8))
	p := r.MatMul(w, x)
	product := []*tensor.Tensor{p, r.Add(p, x)}
	if err := dev.Fuses(backends.MatMulAdd, product); !errors.Is(err, backends.ErrUnsupported) && err != nil {
		t.Errorf("have %v", err)
	}
	if err := dev.Fuses(200, product); !errors.Is(err, backends.ErrUnsupported) {
		t.Errorf("a fusion that there is not: have %v", err)
	}
	// A result that is stored needs a place.
	group := []backends.Group{{Fusion: backends.RMSNormMul, From: 0, To: 2}}
	nowhere := func(*tensor.Tensor) tensor.Storage { return tensor.Storage{} }
	if _, err := dev.Compile(&backends.Subgraph{Nodes: nodes[:2], Groups: group, Place: nowhere}); err == nil {
		t.Error("a group without places is compiled")
	}
}
