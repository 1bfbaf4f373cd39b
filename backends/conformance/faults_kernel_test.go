package conformance

import (
	"encoding/binary"
	"math"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// What kernels are known to get wrong.

// sameOp makes a rewrite of the nodes of one type of op.
func sameOp[T tensor.Op](f func(op T) tensor.Op) func(n *tensor.Tensor) *tensor.Tensor {
	return func(n *tensor.Tensor) *tensor.Tensor {
		if op, ok := n.Op.(T); ok {
			return replaced(n, f(op))
		}
		return n
	}
}

// absent drops source i.
func absent(i int) func(n *tensor.Tensor) *tensor.Tensor {
	return func(n *tensor.Tensor) *tensor.Tensor {
		if len(n.Src) <= i {
			return n
		}
		c := *n
		c.Src = append([]*tensor.Tensor(nil), n.Src...)
		c.Src[i] = nil
		return &c
	}
}

var kernelFaults = []planted{
	{"wrong scale", "^MatMul/a=(F16|F32)", "NMSE", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			p.eachF32(func(_ *tensor.Tensor, _ int, v float32) float32 { return v * 1.002 })
		}
	}},
	{"wrong scale of a quantized weight", "^MatMul/a=Q4_K,b=F32,m=16", "NMSE", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			p.eachF32(func(_ *tensor.Tensor, _ int, v float32) float32 { return v * 1.02 })
		}
	}},
	{"wrong stride", "^(Add|Scale|Copy|RMSNorm|MatMul)/.*(permuted|transposed)", "want", func(m *mutant) {
		m.rewrite = func(n *tensor.Tensor) *tensor.Tensor {
			c := *n
			c.Src = append([]*tensor.Tensor(nil), n.Src...)
			for i, s := range c.Src {
				if s == nil || s.Contiguous() {
					continue
				}
				t := *s
				if t.Stride = s.Shape.Packed(s.Type); t.Bytes() <= s.Bytes() {
					c.Src[i] = &t
				}
			}
			return &c
		}
	}},
	{"missed tail", "^(Add|RMSNorm|SoftMax)/", "NaN comes from nowhere", func(m *mutant) {
		m.after = func(p *mutantProgram) { // the last elements that no vector of 8 takes are not written
			p.eachF32(func(n *tensor.Tensor, i int, v float32) float32 {
				if col := i % n.Shape[0]; col >= n.Shape[0]/8*8 {
					return float32(math.NaN())
				}
				return v
			})
		}
	}},
	{"missed term", "^MatMul/a=.*,k=(1000|1031|416|768)", "NMSE", func(m *mutant) {
		m.rewrite = func(n *tensor.Tensor) *tensor.Tensor { // the last block of a row is not summed
			c := *n
			c.Src = nil
			block := 32
			for _, s := range n.Src {
				if b, _ := s.Type.Block(); b > block {
					block = b
				}
			}
			for _, s := range n.Src {
				t := *s
				if t.Shape[0] > block {
					t.Shape[0] -= block
				}
				c.Src = append(c.Src, &t)
			}
			return &c
		}
	}},
	{"off by one in a mask", "^(SoftMax|FlashAttn)/.*(mne|tok=5)", "", func(m *mutant) {
		m.rewrite = func(n *tensor.Tensor) *tensor.Tensor {
			i := map[string]int{"SoftMax": 1, "FlashAttn": 3}[n.Op.Kind().String()]
			c := *n
			c.Src = append([]*tensor.Tensor(nil), n.Src...)
			if i > 0 && len(c.Src) > i && c.Src[i] != nil {
				t := *c.Src[i]
				t.Name = "shifted"
				c.Src[i] = &t
			}
			return &c
		}
		m.place = func(t *tensor.Tensor, at tensor.Storage) tensor.Storage {
			if _, size := t.Type.Block(); t.Name == "shifted" {
				at.Offset -= int64(size)
			}
			return at
		}
	}},
	{"sinks ignored", "^(FlashAttn|SoftMax)/.*sinks=true", "", func(m *mutant) {
		m.rewrite = func(n *tensor.Tensor) *tensor.Tensor {
			if n.Op.Kind() == (tensor.SoftMax{}).Kind() {
				return absent(2)(n)
			}
			return absent(4)(n)
		}
	}},
	{"cap ignored", "^FlashAttn/.*cap=(2|5)", "NMSE", func(m *mutant) {
		m.rewrite = sameOp(func(op tensor.FlashAttn) tensor.Op { op.SoftCap = 0; return op })
	}},
	{"ALiBi ignored", "^(FlashAttn|SoftMax)/.*bias=8", "", func(m *mutant) {
		soft := sameOp(func(op tensor.SoftMax) tensor.Op { op.MaxBias = 0; return op })
		flash := sameOp(func(op tensor.FlashAttn) tensor.Op { op.MaxBias = 0; return op })
		m.rewrite = func(n *tensor.Tensor) *tensor.Tensor { return soft(flash(n)) }
	}},
	{"frequency factors ignored", "^RoPE/.*freq=true", "last places", func(m *mutant) { m.rewrite = absent(2) }},
	{"YaRN ignored", "^RoPE/.*p=yarn", "last places", func(m *mutant) {
		m.rewrite = sameOp(func(op tensor.RoPE) tensor.Op { op.YaRN = tensor.YaRN{}; return op })
	}},
	{"wrong pairs", "^RoPE/mode=Normal", "last places", func(m *mutant) {
		m.rewrite = sameOp(func(op tensor.RoPE) tensor.Op { op.Mode = tensor.RoPENeoX; return op })
	}},
	{"wrong eps", "^RMSNorm/", "last places", func(m *mutant) {
		m.rewrite = sameOp(func(op tensor.RMSNorm) tensor.Op { op.Eps *= 1.5; return op })
	}},
	{"rows of a cache one too far", "^kv/sequences/type=F16", "NMSE", func(m *mutant) {
		m.before = func(p *mutantProgram) {
			for _, n := range p.g.Nodes {
				if n.Op.Kind() != (tensor.SetRows{}).Kind() {
					continue
				}
				idx := p.bytes(n.Src[2], 0)
				for i := 0; i+8 <= len(idx); i += 8 {
					if v := binary.LittleEndian.Uint64(idx[i:]); v == 3 {
						binary.LittleEndian.PutUint64(idx[i:], 4)
					}
				}
			}
		}
	}},
	{"conversion cut off", "^Copy/x=F32,to=F16", "last places", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			p.eachResult(0, func(n *tensor.Tensor, mem []byte) {
				x := p.bytes(n.Src[0], 0)
				for i := 0; n.Type == tensor.F16 && n.Src[0].Contiguous() && i < len(mem); i += 2 {
					v := math.Float32frombits(binary.LittleEndian.Uint32(x[2*i:]))
					h := binary.LittleEndian.Uint16(mem[i:])
					if math.Abs(float64(quant.F16ToF32(h))) > math.Abs(float64(v)) {
						h--
					}
					binary.LittleEndian.PutUint16(mem[i:], h)
				}
			})
		}
	}},
	{"repeated experts skipped", "^MatMulID/.*ids=one", "", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			p.eachF32(func(n *tensor.Tensor, i int, v float32) float32 {
				if n.Op.Kind() == (tensor.MatMulID{}).Kind() && i/n.Shape[0]%n.Shape[1] > 0 {
					return 0
				}
				return v
			})
		}
	}},
	{"result cleared first", "inplace$", "", func(m *mutant) {
		m.before = func(p *mutantProgram) {
			p.eachResult(0, func(n *tensor.Tensor, mem []byte) {
				if n.Base == nil {
					clear(mem)
				}
			})
		}
	}},
	{"write beyond the end", "^(Add|GetRows)/.*F16", "behind", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			p.eachResult(4, func(n *tensor.Tensor, mem []byte) { mem[n.Bytes()] ^= 1 })
		}
	}},
	{"write to an input", "^(Add|GetRows)/.*F16", "source", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			for _, n := range p.g.Nodes {
				if mem := p.bytes(n.Src[0], 0); len(mem) > 0 {
					mem[len(mem)/2] ^= 1
				}
			}
		}
	}},
	{"NaN lost", "special=true|=NaN|=nan", "NaN is lost", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			p.eachF32(func(_ *tensor.Tensor, _ int, v float32) float32 {
				if v != v {
					return 0
				}
				return v
			})
		}
	}},
	{"infinity with the wrong sign", "^(Unary|Mul|Div|Scale)/.*special=true", "wrong sign", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			p.eachF32(func(_ *tensor.Tensor, _ int, v float32) float32 {
				if math.IsInf(float64(v), -1) {
					return -v
				}
				return v
			})
		}
	}},
	{"overflow saturates", "^(Mul|Unary/f=(Exp|Sqr))/?.*special=true", "infinity is lost", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			p.eachF32(func(_ *tensor.Tensor, _ int, v float32) float32 {
				return float32(math.Max(-math.MaxFloat32, math.Min(float64(v), math.MaxFloat32)))
			})
		}
	}},
}
