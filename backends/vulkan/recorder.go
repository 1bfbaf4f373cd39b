//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// recorder turns nodes into dispatches. Each says by its push constants what it reads and writes, from which
// follows where barriers are needed.
type recorder struct {
	s     *session
	graph *backends.Subgraph
	steps []step
	place map[*tensor.Tensor]uint64 // addresses
	bufs  []*buf                    // that are used
	nodes []*tensor.Tensor          // with indices, by the number that a fault carries

	params  []byte // of dispatches with more than push constants hold
	scratch card.Scratch
	faults  int // slot for faults, or -1

	tailed *product // of the last step, if it can be given a tail

	pendingReads, pendingWrites []span // since the last barrier
}

// step is a dispatch, with a barrier before it or not.
type step struct {
	pipe    vk.Pipeline
	push    [vk.PushBytes]byte
	size    int
	groups  [3]uint32
	barrier bool
	weight  float64 // about what it costs; see card.Cost
	node    *tensor.Tensor

	shader    string
	paramsAt  int   // where in params its constants are, or -1
	scratchAt []int // offsets in push of addresses in scratch memory
	counterAt int   // where in push the address of its counter is, or 0
	counter   int   // where in params that is
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
		return 0, fmt.Errorf("vulkan: %v does not lie in memory of %s", t, r.s.dev.owner)
	case b.closed.Load():
		return 0, fmt.Errorf("vulkan: %v: %w", t, buffer.ErrClosed)
	case b.s != r.s:
		return 0, r.s.lostError("compile")
	}
	if err := buffer.CheckRange(b.size, at.Offset, int64(t.Bytes())); err != nil {
		return 0, fmt.Errorf("vulkan: %v: %w", t, err)
	}
	known := false
	for _, x := range r.bufs {
		known = known || x == b
	}
	if !known {
		r.bufs = append(r.bufs, b)
	}
	a := b.vk.Address + uint64(at.Offset)
	r.place[t] = a
	return a, nil
}

// push are the constants of one dispatch, in the order of the shader's Params: addresses first.
type push struct {
	r             *recorder
	data          []byte
	reads, writes []span
	scratch       []int
	counterAt     int
	err           error
}

func (r *recorder) push() *push { return &push{r: r} }

// in adds the address of a tensor that is read, 0 if it is absent.
func (p *push) in(ts ...*tensor.Tensor) *push {
	for _, t := range ts {
		a, err := p.r.address(t)
		if err != nil && p.err == nil {
			p.err = err
		}
		if a != 0 {
			p.reads = append(p.reads, span{Lo: a, Hi: a + uint64(t.Bytes())})
		}
		p.u64(a)
	}
	return p
}

// out adds the address of a tensor that is written.
func (p *push) out(t *tensor.Tensor) *push {
	a, err := p.r.address(t)
	if err != nil && p.err == nil {
		p.err = err
	}
	if a != 0 {
		p.writes = append(p.writes, span{Lo: a, Hi: a + uint64(t.Bytes())})
	}
	return p.u64(a)
}

// outAt is out for the part of t that begins at offset bytes and goes to its end.
func (p *push) outAt(t *tensor.Tensor, offset int) *push {
	a, err := p.r.address(t)
	if err != nil && p.err == nil {
		p.err = err
	}
	if a != 0 {
		p.writes = append(p.writes, span{Lo: a + uint64(offset), Hi: a + uint64(t.Bytes())})
	}
	return p.u64(a + uint64(offset))
}

// scratchBase stands for the address of scratch memory until there is some: no buffer lies there.
const scratchBase = 1 << 63

func (p *push) scratchSpan(a area) span {
	lo := uint64(scratchBase) + uint64(a.At)
	p.scratch = append(p.scratch, len(p.data))
	p.u64(uint64(a.At))
	return span{Lo: lo, Hi: lo + uint64(a.Size)}
}

// inArea adds the address of scratch memory that is read; outArea of such that is written.
func (p *push) inArea(a area) *push {
	p.reads = append(p.reads, p.scratchSpan(a))
	return p
}

func (p *push) outArea(a area) *push {
	p.writes = append(p.writes, p.scratchSpan(a))
	return p
}

// inAreaAt adds the address of a place in scratch memory that inArea has named.
func (p *push) inAreaAt(a area, offset int64) *push {
	p.scratchSpan(area{At: a.At + offset, Size: a.Size - offset})
	return p
}

// faults adds the address of the program's fault word and, after it, the number that stands for n in it: see
// fault in common.glsl. Only ops with indices need it.
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

// zeroed adds the address of a number that is 0 before the program's first run, and that the kernel leaves at 0. It must be
// among push constants.
func (p *push) zeroed() *push {
	p.counterAt = len(p.data)
	return p.u64(0)
}

func (p *push) u64(v uint64) *push {
	p.data = binary.LittleEndian.AppendUint64(p.data, v)
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

// spec are specialization constants from number 2 on.
type spec []uint32

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// run adds a dispatch of so many groups of local invocations. Nothing is added if there are none.
func (r *recorder) run(shader string, local int, sp spec, p *push, groups [3]uint32) error {
	if p.err != nil {
		return p.err
	}
	if groups[0] == 0 || groups[1] == 0 || groups[2] == 0 {
		return nil
	}
	for d, g := range groups {
		if most := r.s.dev.phys.Limits.MaxGroups[d]; g > most {
			return fmt.Errorf("vulkan: %s with %v groups: %s allows %d in dimension %d", shader, groups, r.s.dev.owner, most, d)
		}
	}
	key := pipelineKey{shader: shader, local: uint32(local), n: len(sp)}
	if len(sp) > maxSpec {
		return fmt.Errorf("vulkan: %s has %d specialization constants", shader, len(sp))
	}
	copy(key.spec[:], sp)
	pipe, err := r.s.pipeline(key)
	if err != nil {
		return err
	}
	st := step{pipe: pipe, shader: shader, groups: groups, paramsAt: -1, scratchAt: p.scratch, size: len(p.data)}
	if len(p.data) > vk.PushBytes {
		st.paramsAt, st.size = len(r.params), 8
		for i := range st.scratchAt {
			st.scratchAt[i] += st.paramsAt // then they are offsets in params
		}
		r.params = append(r.params, p.data...)
		for len(r.params)%16 != 0 {
			r.params = append(r.params, 0)
		}
	} else {
		copy(st.push[:], p.data)
	}
	if p.counterAt > 0 {
		st.counterAt, st.counter = p.counterAt, len(r.params)
		r.params = append(r.params, make([]byte, 16)...)
	}
	r.tailed = nil
	st.barrier = card.Meet(p.reads, r.pendingWrites) || card.Meet(p.writes, r.pendingWrites) || card.Meet(p.writes, r.pendingReads)
	if st.barrier {
		r.pendingReads, r.pendingWrites = r.pendingReads[:0], r.pendingWrites[:0]
	}
	r.pendingReads = append(r.pendingReads, p.reads...)
	r.pendingWrites = append(r.pendingWrites, p.writes...)
	r.steps = append(r.steps, st)
	r.scratch.Overwritten(p.writes)
	return nil
}

// linear returns groups for n invocations or more, of local each: shaders find their number by linearIndex.
func (r *recorder) linear(n, local int) [3]uint32 {
	groups := (n + local - 1) / local
	x := min(groups, 32768)
	if x == 0 {
		return [3]uint32{}
	}
	return [3]uint32{uint32(x), uint32((groups + x - 1) / x), 1}
}
