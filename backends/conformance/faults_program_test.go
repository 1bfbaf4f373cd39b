package conformance

import (
	"context"
	"errors"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// What programs are known to get wrong.

var programFaults = []planted{
	{"error swallowed", "bad=|id=-1|^faults/index", "ErrIndex", func(m *mutant) {
		m.submit = func(_ *mutantProgram, ctx context.Context, real func(context.Context) error) error {
			if err := real(ctx); !errors.Is(err, backends.ErrIndex) {
				return err
			}
			return nil
		}
	}},
	{"Supports says yes, Compile fails", "^MatMul/a=Q4_K", "and Compile fails", func(m *mutant) {
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
	{"memory of anybody", "^faults/(foreign|no-place|beyond)", "is taken by Compile", func(m *mutant) {
		m.compile = func(*backends.Subgraph) error { return nil }
		m.place = nil
		m.nodes = func([]*tensor.Tensor) []*tensor.Tensor { return nil } // looks at no place before the run
	}},
}
