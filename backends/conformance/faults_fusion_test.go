package conformance

import (
	"context"
	"errors"
	"math"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/tensor"
)

// What fused kernels are known to get wrong. Each is right where the nodes run one by one.

// grouped makes a rewrite of nodes one of those in groups alone: f gets each with its place in the group.
func grouped(m *mutant, f func(fusion backends.Fusion, i int, n *tensor.Tensor) *tensor.Tensor) {
	at := map[*tensor.Tensor]int{}
	of := map[*tensor.Tensor]backends.Fusion{}
	m.compile = func(g *backends.Subgraph) error {
		clear(at)
		for _, x := range g.Groups {
			for i, n := range g.Nodes[x.From:x.To] {
				at[n], of[n] = i, x.Fusion
			}
		}
		return nil
	}
	m.rewrite = func(n *tensor.Tensor) *tensor.Tensor {
		if i, ok := at[n]; ok {
			return f(of[n], i, n)
		}
		return n
	}
}

// inGroups calls f after each run for each group, with its nodes.
func inGroups(m *mutant, f func(p *mutantProgram, fusion backends.Fusion, nodes []*tensor.Tensor)) {
	m.after = func(p *mutantProgram) {
		for _, x := range p.g.Groups {
			f(p, x.Fusion, p.g.Nodes[x.From:x.To])
		}
	}
}

// f32Of looks at memory as numbers.
func f32Of(mem []byte) []float32 { return cast.Slice[float32](mem) }

// lastTail spoils what no vector of 8 takes of the last result of a group.
func lastTail(p *mutantProgram, _ backends.Fusion, nodes []*tensor.Tensor) {
	last := nodes[len(nodes)-1]
	if last.Type != tensor.F32 || last.Base != nil {
		return
	}
	mem := f32Of(p.bytes(last, 0))
	for i := range mem {
		if n := last.Shape[0]; i%n >= n/8*8 {
			mem[i] = float32(math.NaN())
		}
	}
}

var fusionFaults = []planted{
	{"a gain forgotten", "^fusion/RMSNorm.Mul/ne=(33|1000)", "last places", func(m *mutant) {
		inGroups(m, func(p *mutantProgram, _ backends.Fusion, nodes []*tensor.Tensor) {
			y, gain := f32Of(p.bytes(nodes[1], 0)), f32Of(p.bytes(nodes[1].Src[1], 0))
			for i := range y {
				y[i] /= gain[i%len(gain)]
			}
		})
	}},
	{"another eps", "^fusion/(Add.)?RMSNorm.Mul/ne=33x2", "last places", func(m *mutant) {
		grouped(m, func(_ backends.Fusion, _ int, n *tensor.Tensor) *tensor.Tensor {
			if op, ok := n.Op.(tensor.RMSNorm); ok {
				return replaced(n, tensor.RMSNorm{Eps: op.Eps * 1.5})
			}
			return n
		})
	}},
	{"the sum not stored", "^fusion/Add.RMSNorm.Mul/ne=33x2x2x1,b=", "NaN comes from nowhere", func(m *mutant) {
		inGroups(m, func(p *mutantProgram, _ backends.Fusion, nodes []*tensor.Tensor) {
			copy(p.bytes(nodes[0], 0), poison(nodes[0].Bytes()))
		})
	}},
	{"the tail of a fused row", "^fusion/(RMSNorm.Mul/ne=33|MatMul.Add/.*m=37)", "NaN comes from nowhere", func(m *mutant) {
		inGroups(m, lastTail)
	}},
	{"a write behind the end of a fused result", "^fusion/Scale.Tanh.Scale/x=F32", "behind", func(m *mutant) {
		inGroups(m, func(p *mutantProgram, _ backends.Fusion, nodes []*tensor.Tensor) {
			n := nodes[len(nodes)-1]
			p.bytes(n, 4)[n.Bytes()] ^= 1
		})
	}},
	{"a result over its source is read too late", "^fusion/Add.RMSNorm.Mul/.*over$", "", func(m *mutant) {
		m.before = func(p *mutantProgram) {
			for _, x := range p.g.Groups {
				mem := p.bytes(p.g.Nodes[x.To-1], 0)
				copy(mem, poison(len(mem)))
			}
		}
	}},
	{"frequency factors ignored", "^fusion/RoPE.SetRows/.*freq=true", "NMSE", func(m *mutant) {
		grouped(m, func(_ backends.Fusion, i int, n *tensor.Tensor) *tensor.Tensor {
			if i == 0 {
				return absent(2)(n)
			}
			return n
		})
	}},
	{"pairs of the other mode", "^fusion/RoPE.SetRows/mode=NeoX,p=full", "NMSE", func(m *mutant) {
		grouped(m, func(_ backends.Fusion, _ int, n *tensor.Tensor) *tensor.Tensor {
			if op, ok := n.Op.(tensor.RoPE); ok {
				op.Mode = tensor.RoPENormal
				return replaced(n, op)
			}
			return n
		})
	}},
	{"the rows of the first token for all", "^fusion/RoPE.SetRows/.*cache=F16,idx=I64,head=64,heads=2,tok=5", "NMSE", func(m *mutant) {
		inGroups(m, func(p *mutantProgram, _ backends.Fusion, nodes []*tensor.Tensor) {
			cache, idx := p.bytes(nodes[1], 0), p.bytes(nodes[1].Src[2], 0)
			row := nodes[1].Stride[1]
			for k := 8; k < len(idx); k += 8 {
				copy(cache[int(idx[k])*row:][:row], cache[int(idx[0])*row:])
			}
		})
	}},
	{"an index outside passed over", "^fusion/RoPE.SetRows/bad=", "ErrIndex", func(m *mutant) {
		m.submit = func(p *mutantProgram, ctx context.Context, real func(context.Context) error) error {
			if err := real(ctx); len(p.g.Groups) == 0 || !errors.Is(err, backends.ErrIndex) {
				return err
			}
			return nil
		}
	}},
	{"a bias of the wrong column", "^fusion/MatMul.Add/with=bias,a=(F32|Q4_K)", "NMSE", func(m *mutant) {
		inGroups(m, func(p *mutantProgram, _ backends.Fusion, nodes []*tensor.Tensor) {
			y, b := f32Of(p.bytes(nodes[1], 0)), f32Of(p.bytes(nodes[1].Src[1], 0))
			for i := range y {
				y[i] += b[(i+1)%len(b)] - b[i%len(b)]
			}
		})
	}},
	{"gate and up exchanged", "^fusion/MatMul(ID)?.MatMul(ID)?.GLU/a=F32", "NMSE", func(m *mutant) {
		exchange := func(p *mutantProgram) { // the weights, while the group runs
			for _, x := range p.g.Groups {
				nodes := p.g.Nodes[x.From:x.To]
				gate, up := p.bytes(nodes[0].Src[0], 0), p.bytes(nodes[1].Src[0], 0)
				for i := range gate {
					gate[i], up[i] = up[i], gate[i]
				}
			}
		}
		m.before, m.after = exchange, exchange
	}},
	{"another gate", "^fusion/MatMul.MatMul.GLU/act=", "NMSE", func(m *mutant) {
		grouped(m, func(_ backends.Fusion, i int, n *tensor.Tensor) *tensor.Tensor {
			if i == 2 {
				return replaced(n, tensor.GLU{Act: tensor.SiLU})
			}
			return n
		})
	}},
	{"a cap without its second product", "^fusion/Scale.Tanh.Scale/x=F32,ne=33", "last places", func(m *mutant) {
		grouped(m, func(_ backends.Fusion, i int, n *tensor.Tensor) *tensor.Tensor {
			if i == 2 {
				return replaced(n, tensor.Scale{Scale: 1})
			}
			return n
		})
	}},
	{"Fuses says yes, Compile fails", "^fusion/RMSNorm.Mul/ne=33", "and Compile fails", func(m *mutant) {
		m.compile = func(g *backends.Subgraph) error {
			if len(g.Groups) > 0 {
				return &backends.UnsupportedError{Device: "CPU", Fusion: g.Groups[0].Fusion.String(), Reason: "no kernel after all"}
			}
			return nil
		}
	}},
	{"Fuses gives another error", "^fusion/MatMul.Add/with=bias,a=F32", "ErrUnsupported", func(m *mutant) {
		m.fuses = func(backends.Fusion) error { return errors.New("no") }
	}},
	{"a fused kernel allocates", "^fusion/RMSNorm.Mul/ne=(33|64|255)", "allocations on the Go heap", func(m *mutant) {
		m.before = func(p *mutantProgram) {
			if len(p.g.Groups) > 0 {
				p.kept = make([]byte, 100+p.runs)
			}
		}
	}},
	{"other bytes in the second run", "^fusion/RMSNorm.Mul/ne=33", "the second run", func(m *mutant) {
		inGroups(m, func(p *mutantProgram, _ backends.Fusion, nodes []*tensor.Tensor) {
			if p.runs%2 == 1 {
				p.bytes(nodes[1], 0)[0] ^= 1 // within the tolerance
			}
		})
	}},
}
