//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// recorder turns nodes into launches. One stream runs them in order, so that there is nothing to say of what they read and write.
type recorder struct {
	s     *session
	graph *backends.Subgraph
	steps []step
	place map[*tensor.Tensor]uint64 // addresses
	bufs  []*buf                    // that are used
	nodes []*tensor.Tensor          // with indices, by the number that a fault carries

	scratch card.Scratch
	faults  int // slot for faults, or -1

	joined joined // what the last steps multiply
	turned turned // what the last step turns

	counters area // see counterArea
}

// step is a launch.
type step struct {
	key       kernelKey
	kernel    hip.Function // once it is compiled
	params    []byte
	block     uint32
	grid      [3]uint32
	scratchAt []int          // offsets in params of addresses in scratch memory
	weight    float64        // about what it costs; see card.Cost
	what      any            // the kind of op, or the fusion, that it is of
	node      *tensor.Tensor // the last of them
}

// address returns where t begins, and notes its buffer. It is 0 for an absent tensor, and for one without elements.
func (r *recorder) address(t *tensor.Tensor) (uint64, error) {
	if t == nil || t.Bytes() == 0 {
		return 0, nil
	}
	if a, ok := r.place[t]; ok {
		return a, nil
	}
	at := r.graph.Place(t)
	b, ok := at.Buffer.(*buf)
	switch {
	case !at.Bound() || !ok || b.typ.dev != r.s.dev:
		return 0, fmt.Errorf("rocm: %v does not lie in memory of %s", t, r.s.dev.owner)
	case b.closed.Load():
		return 0, fmt.Errorf("rocm: %v: %w", t, buffer.ErrClosed)
	case b.s != r.s:
		return 0, r.s.lostError("compile")
	}
	if err := buffer.CheckRange(b.size, at.Offset, int64(t.Bytes())); err != nil {
		return 0, fmt.Errorf("rocm: %v: %w", t, err)
	}
	known := false
	for _, x := range r.bufs {
		known = known || x == b
	}
	if !known {
		r.bufs = append(r.bufs, b)
	}
	a := uint64(b.at) + uint64(at.Offset)
	r.place[t] = a
	return a, nil
}

// push are the parameters of one launch, in the order of the kernel's Params: addresses first.
type push struct {
	r       *recorder
	data    []byte
	scratch []int
	writes  []span
	err     error
}

func (r *recorder) push() *push { return &push{r: r} }

// in adds the addresses of tensors that are read, 0 where one is absent.
func (p *push) in(ts ...*tensor.Tensor) *push {
	for _, t := range ts {
		p.u64(p.address(t))
	}
	return p
}

func (p *push) address(t *tensor.Tensor) uint64 {
	a, err := p.r.address(t)
	if err != nil && p.err == nil {
		p.err = err
	}
	return a
}

// out adds the address of a tensor that is written, 0 if it is absent.
func (p *push) out(t *tensor.Tensor) *push { return p.outAt(t, 0) }

// outAt is out for the part of t that begins at offset bytes.
func (p *push) outAt(t *tensor.Tensor, offset int) *push {
	a := p.address(t)
	if a != 0 {
		p.writes = append(p.writes, span{Lo: a + uint64(offset), Hi: a + uint64(t.Bytes())})
	}
	return p.u64(a + uint64(offset))
}

// maxCounters is how many counters there are.
const maxCounters = 4096

// counterArea returns scratch memory with counters for blocks of a launch, which are 0 between launches.
func (r *recorder) counterArea() area {
	if r.counters.Size == 0 {
		r.counters = r.scratch.New(4 * maxCounters)
	}
	return r.counters
}

// inArea adds the address of scratch memory that is read; outArea of such that is written.
func (p *push) inArea(a area) *push  { return p.inAreaAt(a, 0) }
func (p *push) outArea(a area) *push { return p.inAreaAt(a, 0) }

// inAreaAt adds the address of a place in scratch memory that is read; outAreaAt of one that is written.
func (p *push) inAreaAt(a area, offset int64) *push {
	p.scratch = append(p.scratch, len(p.data))
	return p.u64(uint64(a.At + offset))
}

func (p *push) outAreaAt(a area, offset int64) *push { return p.inAreaAt(a, offset) }

// faults adds the address of the program's fault gate and, after it, the number that stands for n in it: see
// fault in common.h. Only ops with indices need it.
func (p *push) faults(n *tensor.Tensor) *push {
	if p.r.faults < 0 {
		slot, err := p.r.s.faults.take(p.r.s)
		if err != nil && p.err == nil {
			p.err = err
			return p
		}
		p.r.faults = slot
	}
	p.r.nodes = append(p.r.nodes, n)
	p.u64(p.r.s.faults.address(p.r.faults))
	return p.u32(uint32(len(p.r.nodes)-1), 0)
}

func (p *push) u64(vs ...uint64) *push {
	for _, v := range vs {
		p.data = binary.LittleEndian.AppendUint64(p.data, v)
	}
	return p
}

func (p *push) u32(vs ...uint32) *push {
	for _, v := range vs {
		p.data = binary.LittleEndian.AppendUint32(p.data, v)
	}
	return p
}

func (p *push) i(vs ...int) *push {
	for _, v := range vs {
		p.u32(uint32(v))
	}
	return p
}

func (p *push) f32(vs ...float32) *push {
	for _, v := range vs {
		p.u32(math.Float32bits(v))
	}
	return p
}

// shape adds four sizes.
func (p *push) shape(s tensor.Shape) *push { return p.i(s[0], s[1], s[2], s[3]) }

// strides adds four strides in bytes. One that nobody steps by is 0.
func (p *push) strides(t *tensor.Tensor) *push {
	for d, st := range t.Stride {
		if t.Shape[d] <= 1 {
			st = 0
		}
		p.i(st)
	}
	return p
}

// step adds the strides of some dimensions, 0 for an absent tensor and where nobody steps.
func (p *push) step(t *tensor.Tensor, dims ...int) *push {
	for _, d := range dims {
		if t == nil || t.Shape[d] <= 1 {
			p.i(0)
		} else {
			p.i(t.Stride[d])
		}
	}
	return p
}

// spec are the constants that a kernel is compiled with, in the order of its line of constants.
type spec []uint32

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// run adds a launch of so many blocks of local threads. Nothing is added if there are none.
func (r *recorder) run(kernel string, local int, sp spec, p *push, grid [3]uint32) error {
	if p.err != nil {
		return p.err
	}
	if grid[0] == 0 || grid[1] == 0 || grid[2] == 0 {
		return nil
	}
	if grid[1] > 65535 {
		return fmt.Errorf("rocm: %s with %v blocks: %s allows 65535 in dimension 1", kernel, grid, r.s.dev.owner)
	}
	if len(sp) > maxConsts {
		return fmt.Errorf("rocm: %s has %d constants", kernel, len(sp))
	}
	key := kernelKey{name: kernel, local: uint32(local), n: len(sp)}
	copy(key.consts[:], sp)
	r.steps = append(r.steps, step{key: key, params: p.data, block: uint32(local), grid: grid, scratchAt: p.scratch})
	r.scratch.Overwritten(p.writes)
	return nil
}

// instead has launch take the place of the last steps, so many, whose work it does together with n.
func (r *recorder) instead(steps int, n *tensor.Tensor, launch func() error) error {
	from := len(r.steps) - steps
	weight, what, node := card.Cost(n), r.steps[from].what, r.steps[from].node
	for _, st := range r.steps[from:] {
		weight += st.weight
	}
	r.steps = r.steps[:from]
	if err := launch(); err != nil {
		return err
	}
	made := r.steps[from:]
	for i := range made {
		made[i].weight, made[i].what, made[i].node = weight/float64(len(made)), what, node
	}
	return nil
}

// linear returns blocks for n threads or more, of local each: kernels find their number by linearIndex.
func (r *recorder) linear(n, local int) [3]uint32 {
	groups := (n + local - 1) / local
	x := min(groups, 32768)
	if x == 0 {
		return [3]uint32{}
	}
	return [3]uint32{uint32(x), uint32((groups + x - 1) / x), 1}
}
