package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// planted is a fault, the cases that are to find it, and what they are to say.
type planted struct {
	name   string
	filter string
	says   string
	plant  func(m *mutant)
}

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

var programFaults = []planted{
	{"error swallowed", "bad=|id=-1|^faults/index", "ErrIndex", func(m *mutant) {
		m.submit = func(_ *mutantProgram, ctx context.Context, real func(context.Context) error) error {
			if err := real(ctx); !errors.Is(err, backends.ErrIndex) {
				return err
			}
			return nil
		}
	}},
	{"Supports says yes, Compile fails", "^MatMul/a=Q4_K", "Supports says yes", func(m *mutant) {
		m.compile = func(g *backends.Subgraph) error {
			for _, n := range g.Nodes {
				if n.Src[0].Type == tensor.Q4_K {
					return &backends.UnsupportedError{Device: "CPU", Op: n.Op.Kind(), Reason: "no kernel after all"}
				}
			}
			return nil
		}
	}},
	{"Supports gives another error", "^Add/", "ErrUnsupported", func(m *mutant) {
		m.supports = func(*tensor.Tensor) error { return errors.New("no") }
	}},
	{"unknown op accepted", "^faults/unknown-op", "UnsupportedError", func(m *mutant) {
		m.supports = func(*tensor.Tensor) error { return nil }
	}},
	{"a read that does not wait", "^Add/.*F16", "", func(m *mutant) {
		m.submit = func(p *mutantProgram, ctx context.Context, real func(context.Context) error) error {
			p.busy.Wait()
			p.busy.Go(func() {
				time.Sleep(2 * time.Millisecond)
				_ = real(context.WithoutCancel(ctx))
			})
			return nil
		}
		m.wait = func(p *mutantProgram, _ context.Context) error { p.busy.Wait(); return nil }
	}},
	{"a late write", "^programs/quiet-after-wait", "after Wait had returned", func(m *mutant) {
		m.submit = func(p *mutantProgram, ctx context.Context, real func(context.Context) error) error {
			p.busy.Wait()
			err := real(ctx)
			p.busy.Go(func() {
				time.Sleep(3 * time.Millisecond)
				p.eachF32(func(*tensor.Tensor, int, float32) float32 { return 1 })
			})
			return err
		}
	}},
	{"a racing write", "^programs/(resubmit|new-inputs)", "", func(m *mutant) {
		m.after = func(p *mutantProgram) { // in some runs the last row is overwritten by another's
			if p.runs%5 != 3 {
				return
			}
			p.eachResult(0, func(n *tensor.Tensor, mem []byte) {
				if row := 4 * n.Shape[0]; n.Type == tensor.F32 && len(mem) >= 2*row {
					copy(mem[len(mem)-row:], mem[:row])
				}
			})
		}
	}},
	{"inputs of the first run", "^programs/new-inputs", "NMSE", func(m *mutant) {
		m.after = func(p *mutantProgram) {
			n := p.g.Nodes[len(p.g.Nodes)-1]
			mem := p.bytes(n, 0)
			if p.kept == nil {
				p.kept = append(p.kept, mem...)
			}
			copy(mem, p.kept)
		}
	}},
	{"a barrier missing", "^programs/(chain|slots-reused)", "", func(m *mutant) {
		m.nodes = func(nodes []*tensor.Tensor) []*tensor.Tensor {
			c := append([]*tensor.Tensor(nil), nodes...)
			if n := len(c); n > 40 {
				c[20], c[21] = c[21], c[20]
			}
			return c
		}
	}},
	{"a node dropped from long programs", "^graphs/layer/w=F32.*cache=F32.*experts", "", func(m *mutant) {
		m.nodes = func(nodes []*tensor.Tensor) []*tensor.Tensor {
			for i, n := range nodes { // a fusion that forgets a norm
				if n.Op.Kind() == (tensor.RMSNorm{}).Kind() && i > 0 {
					return append(nodes[:i:i], nodes[i+1:]...)
				}
			}
			return nodes
		}
	}},
	{"the program compiled last runs", "^programs/(many|alternating)", "", func(m *mutant) {
		var last *backends.Program
		m.compiled = func(p *mutantProgram) { last = &p.Program }
		m.submit = func(_ *mutantProgram, ctx context.Context, _ func(context.Context) error) error {
			return (*last).Submit(ctx)
		}
	}},
	{"an allocation in each run", "^programs/no-allocation", "allocations on the Go heap", func(m *mutant) {
		m.before = func(p *mutantProgram) { p.kept = make([]byte, 100+p.runs) }
	}},
	{"cancellation ignored", "^cancel/before", "context.Canceled", func(m *mutant) {
		m.submit = func(_ *mutantProgram, ctx context.Context, real func(context.Context) error) error {
			return real(context.WithoutCancel(ctx))
		}
	}},
	{"cancellation seen at the end", "^cancel/during", "the run ended after", func(m *mutant) {
		m.submit = func(_ *mutantProgram, ctx context.Context, real func(context.Context) error) error {
			return errors.Join(real(context.WithoutCancel(ctx)), ctx.Err())
		}
	}},
	{"cancelled for good", "^cancel/before", "after", func(m *mutant) {
		var err error
		m.submit = func(_ *mutantProgram, ctx context.Context, real func(context.Context) error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			return real(ctx)
		}
	}},
	{"memory of anybody", "^faults/(foreign|no-place|beyond)", "cannot be used", func(m *mutant) {
		m.compile = func(*backends.Subgraph) error { return nil }
		m.place = nil
		m.nodes = func([]*tensor.Tensor) []*tensor.Tensor { return nil } // looks at no place before the run
	}},
}

var memoryFaults = []planted{
	{"memory not zeroed", "^buffers/zeroed", "want 0", func(m *mutant) {
		m.withMemory(&faultyMemory{alloc: func(real func(int64) (buffer.Buffer, error), size int64) (buffer.Buffer, error) {
			b, err := real(size)
			if err == nil && size > 0 {
				_, err = b.WriteAt([]byte{1}, size-1)
			}
			return b, err
		}})
	}},
	{"a short read", "^buffers/", "ReadAt", func(m *mutant) {
		m.withMemory(&faultyMemory{readAt: func(b buffer.Buffer, p []byte, off int64) (int, error) {
			if len(p) > 4096 {
				p = p[:4096]
			}
			return b.ReadAt(p, off)
		}})
	}},
	{"ranges not checked", "^buffers/range-errors", "ErrRange", func(m *mutant) {
		m.withMemory(&faultyMemory{writeAt: func(b buffer.Buffer, p []byte, off int64) (int, error) {
			off = max(0, min(off, b.Size()))
			n := min(int64(len(p)), b.Size()-off)
			return b.WriteAt(p[:n], off)
		}})
	}},
	{"a fill one byte short", "^buffers/fill", "want", func(m *mutant) {
		m.withMemory(&faultyMemory{fill: func(b buffer.Buffer, off, n int64, v byte) error {
			return buffer.Fill(b, off, max(0, n-1), v)
		}})
	}},
	{"unaligned writes rounded down", "^buffers/(read-write|copies)", "", func(m *mutant) {
		m.withMemory(&faultyMemory{writeAt: func(b buffer.Buffer, p []byte, off int64) (int, error) {
			return b.WriteAt(p, off&^3)
		}})
	}},
	{"no error when memory ends", "^buffers/too-large", "AllocError", func(m *mutant) {
		m.withMemory(&faultyMemory{alloc: func(real func(int64) (buffer.Buffer, error), size int64) (buffer.Buffer, error) {
			b, err := real(size)
			if err != nil {
				return nil, errors.New("driver error -3")
			}
			return b, nil
		}})
	}},
	{"a second Close fails", "^buffers/close", "twice", func(m *mutant) {
		m.withMemory(&faultyMemory{closing: func(b buffer.Buffer) error {
			if _, err := b.ReadAt(nil, 0); err != nil {
				return err
			}
			return b.Close()
		}})
	}},
	{"a buffer over an earlier one", "^buffers/many", "buffer", func(m *mutant) {
		var big buffer.Buffer
		m.withMemory(&faultyMemory{alloc: func(real func(int64) (buffer.Buffer, error), size int64) (buffer.Buffer, error) {
			if size > 300 && size < 310 && big != nil {
				return overlapping{big, size}, nil
			}
			b, err := real(size)
			if size > 310 {
				big = b
			}
			return b, err
		}})
	}},
}

// overlapping is a part of another buffer that claims to be one.
type overlapping struct {
	buffer.Buffer
	size int64
}

func (o overlapping) Size() int64 { return o.size }

// TestPlantedFaults shows that each fault is found, by the cases that are made for it and in their words,
// and that these cases pass without it.
func TestPlantedFaults(t *testing.T) {
	for _, set := range [][]planted{kernelFaults, programFaults, memoryFaults} {
		for _, f := range set {
			t.Run(f.name, func(t *testing.T) {
				f.find(t)
			})
		}
	}
}

func (f planted) find(t *testing.T) {
	m := newMutant()
	defer m.Close()
	opt := Options{Filter: regexp.MustCompile(f.filter), Timeout: 30 * time.Second}
	sound, err := Run(t.Context(), m, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !sound.OK() || sound.Count(Pass) == 0 {
		t.Fatalf("without the fault: %s: %+v", sound.Summary(), sound.Failures())
	}
	f.plant(m)
	report, err := Run(t.Context(), m, opt)
	if err != nil {
		t.Fatal(err)
	}
	bad := report.Failures()
	if len(bad) == 0 {
		t.Fatalf("the fault is not found: %s", report.Summary())
	}
	for _, r := range bad {
		if strings.Contains(r.Reason, f.says) {
			t.Logf("%d of %d cases fail, such as %s: %s", len(bad), len(report.Results), r.ID, r.Reason)
			return
		}
	}
	t.Errorf("no reason says %q, such as %s: %s", f.says, bad[0].ID, bad[0].Reason)
}
