//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// program is a Subgraph as command buffers: pieces that are submitted together where all of them are soon
// done, and one by one where a watchdog or a cancelled context might not want to wait for the last.
type program struct {
	s      *session
	pool   *vk.Pool
	pieces *vk.Recorded // and one more, which only ends a run that was cancelled
	n      int          // pieces
	params *vk.Buffer
	temp   *vk.Buffer // scratch memory
	bufs   []*buf
	nodes  []*tensor.Tensor
	faults int          // slot, or -1
	timed  []timedPiece // if the device is profiled

	weight float64       // about what a run costs
	took   time.Duration // of a run, or 0
	begun  time.Time
	value  uint64 // the timeline's when the last run is done
	waited bool   // for the last run
	closed bool
}

// Compile records nodes.
func (d *Device) Compile(g *backends.Subgraph) (backends.Program, error) {
	if err := g.CheckGroups(); err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	for _, x := range g.Groups {
		if err := d.Fuses(x.Fusion, g.Nodes[x.From:x.To]); err != nil {
			return nil, err
		}
	}
	for _, n := range g.Nodes {
		if err := d.Supports(n); err != nil {
			return nil, err
		}
	}
	s, err := d.session()
	if err != nil {
		return nil, err
	}
	r := &recorder{s: s, graph: g, place: map[*tensor.Tensor]uint64{}, faults: -1}
	p := &program{s: s, faults: -1, waited: true}
	s.retain()
	if err := p.record(r); err != nil {
		p.faults = r.faults
		return nil, errors.Join(err, p.Close())
	}
	return p, s.keepCache()
}

// record makes the dispatches of all nodes, and command buffers of them.
func (p *program) record(r *recorder) error {
	nodes, groups := r.graph.Nodes, r.graph.Groups
	for i := 0; i < len(nodes); {
		before, to := len(r.steps), i+1
		var err error
		if len(groups) > 0 && groups[0].From == i {
			to = groups[0].To
			err = r.fused(groups[0])
			groups = groups[1:]
		} else {
			err = r.node(nodes[i])
		}
		if err != nil {
			return err
		}
		cost := 0.0
		for _, n := range nodes[i:to] {
			cost += card.Cost(n)
		}
		for k := before; k < len(r.steps); k++ {
			r.steps[k].node, r.steps[k].weight = nodes[to-1], cost/float64(len(r.steps)-before)
		}
		i = to
	}
	p.bufs, p.nodes, p.faults = r.bufs, r.nodes, r.faults
	if len(r.steps) == 0 {
		return nil
	}
	if err := p.memory(r); err != nil {
		return err
	}
	return p.write(r.steps)
}

// node makes the dispatches of a node by itself.
func (r *recorder) node(n *tensor.Tensor) error {
	for _, t := range append([]*tensor.Tensor{n}, n.Src...) {
		if _, err := r.address(t); err != nil { // also of what a kernel would not touch
			return err
		}
	}
	if n.Shape.Elems() == 0 {
		return nil
	}
	if err := kernels[n.Op.Kind()].record(r, n); err != nil {
		r.s.dev.blame(n.Op.Kind(), err)
		return fmt.Errorf("vulkan: %v: %w", n, err)
	}
	return nil
}

// memory allocates scratch memory and parameters, and puts their addresses into the push constants.
func (p *program) memory(r *recorder) error {
	s, index := p.s, p.s.dev.local.index
	var err error
	if r.scratch.Size > 0 {
		if p.temp, err = s.vk.CreateBuffer(r.scratch.Size, index, false, nil); err != nil {
			return s.failed(fmt.Sprintf("allocating %d bytes of scratch memory", r.scratch.Size), err)
		}
	}
	for i := range r.steps {
		st := &r.steps[i]
		to := st.push[:]
		if st.paramsAt >= 0 {
			to = r.params
		}
		for _, at := range st.scratchAt {
			binary.LittleEndian.PutUint64(to[at:], p.temp.Address+binary.LittleEndian.Uint64(to[at:]))
		}
	}
	if len(r.params) == 0 {
		return nil
	}
	if p.params, err = s.vk.CreateBuffer(int64(len(r.params)), index, false, nil); err != nil {
		return s.failed(fmt.Sprintf("allocating %d bytes of parameters", len(r.params)), err)
	}
	for i := range r.steps {
		if st := &r.steps[i]; st.paramsAt >= 0 {
			binary.LittleEndian.PutUint64(st.push[:], p.params.Address+uint64(st.paramsAt))
		} else if st.counterAt > 0 {
			binary.LittleEndian.PutUint64(st.push[st.counterAt:], p.params.Address+uint64(st.counter))
		}
	}
	return s.upload(p.params, 0, r.params)
}

// maxPieces is how many command buffers a program is cut into at most.
const maxPieces = 32

// write records the steps.
func (p *program) write(steps []step) error {
	s := p.s
	for i := range steps {
		p.weight += steps[i].weight
	}
	each := max(s.dev.pieceCost(), p.weight/maxPieces)
	var cuts []int // where pieces end
	sum := 0.0
	for i := range steps {
		if sum += steps[i].weight; sum >= each || i == len(steps)-1 {
			cuts, sum = append(cuts, i+1), 0
		}
	}
	p.n = len(cuts)
	var err error
	if p.pool, err = s.vk.NewPool(); err != nil {
		return s.failed("making a command pool", err)
	}
	if p.pieces, err = p.pool.Allocate(p.n + 1); err != nil {
		return s.failed("making command buffers", err)
	}
	var c vk.Commands
	from := 0
	for i, to := range cuts {
		c.Reset()
		if s.dev.profile != nil {
			if err := p.time(&c, steps[from:to]); err != nil {
				return err
			}
		}
		for k := range steps[from:to] {
			st := &steps[from+k]
			if st.barrier || s.dev.profile != nil {
				c.Barrier()
			}
			c.Dispatch(st.pipe, st.push[:st.size], st.groups)
			p.stamp(&c, k+1)
		}
		if from = to; i == p.n-1 {
			c.End()
		}
		if err := s.vk.Record(p.pieces, i, &c, false); err != nil {
			return s.failed("recording", err)
		}
	}
	c.Reset()
	c.End()
	if err := s.vk.Record(p.pieces, p.n, &c, false); err != nil {
		return s.failed("recording", err)
	}
	return nil
}

// Submit gives the program to the queue. It waits inside a long one, so that no more than two pieces are
// ahead when ctx is cancelled.
func (p *program) Submit(ctx context.Context) error {
	if p.closed {
		return fmt.Errorf("vulkan: submit on %s: program: %w", p.s.dev.owner, buffer.ErrClosed)
	}
	if err := p.late(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.s.alive("submit"); err != nil {
		return err
	}
	for _, b := range p.bufs {
		if b.closed.Load() {
			return fmt.Errorf("vulkan: submit on %s: memory: %w", p.s.dev.owner, buffer.ErrClosed)
		}
	}
	if p.n == 0 {
		return nil
	}
	p.begun, p.waited = time.Now(), false
	group := p.group()
	var before [2]uint64 // values of the last two groups
	for at := 0; at < p.n; at += group {
		if before[0] != 0 && ctx.Done() != nil {
			if err := p.s.wait(ctx, "submit", before[0]); err != nil {
				return p.cancelled(err)
			}
		}
		if at > 0 && ctx.Err() != nil {
			return p.cancelled(ctx.Err())
		}
		v, err := p.s.submit("submit", p.pieces, at, min(at+group, p.n))
		if err != nil {
			return err
		}
		before[0], before[1], p.value = before[1], v, v
	}
	return nil
}

// cancelled ends a run in its middle: what is submitted is awaited, and made visible to what comes later.
func (p *program) cancelled(err error) error {
	v, e := p.s.submit("submit", p.pieces, p.n, p.n+1)
	if e != nil {
		return e
	}
	p.value = v
	if e := p.s.wait(context.Background(), "wait", v); e != nil {
		return e
	}
	p.waited = true
	if p.faults >= 0 && p.s.faults.struck(p.faults) {
		_ = p.s.faults.tell(p.faults, p.nodes) // the run's results are undefined anyway
	}
	return err
}

// group returns how many pieces to submit at a time: as many as take a slice.
func (p *program) group() int {
	slice := p.s.dev.slice()
	switch {
	case p.took == 0 && p.weight <= p.s.dev.pieceCost():
		return p.n
	case p.took == 0:
		return 1
	case p.took <= slice:
		return p.n
	}
	return max(1, int(float64(p.n)*float64(slice)/float64(p.took)))
}

// late returns what an earlier run's kernels have told, once they are done.
func (p *program) late() error {
	if p.faults < 0 || !p.s.faults.struck(p.faults) {
		return nil
	}
	if err := p.s.wait(context.Background(), "wait", p.value); err != nil {
		return err
	}
	return p.s.faults.tell(p.faults, p.nodes)
}

// patience is how long a cancelled wait goes on until it believes that the device hangs.
const patience = 10 * time.Second

// Wait returns when everything submitted is done. A cancelled ctx does not end it before, unless the device seems to hang: the
// pieces under way are short.
func (p *program) Wait(ctx context.Context) error {
	if p.n == 0 || p.waited {
		if err := p.s.alive("wait"); err != nil && p.n > 0 {
			return err
		}
		return p.late()
	}
	err := p.s.wait(ctx, "wait", p.value)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		hang, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		if e := p.s.wait(hang, "wait", p.value); e != nil && hang.Err() == nil {
			return e
		}
	}
	if err != nil {
		return err
	}
	p.waited = true
	if p.timed != nil {
		p.account()
	}
	switch took := time.Since(p.begun); {
	case p.took == 0 || took < p.took:
		p.took = took
	default:
		p.took = (p.took + took) / 2 // the caller may have come late
	}
	return p.late()
}

// Close frees the program.
func (p *program) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	s := p.s
	err := s.wait(context.Background(), "closing a program", p.value)
	if s.lost.Load() {
		err = nil
	}
	if p.params != nil {
		if e := s.settle("closing a program"); e != nil && err == nil && !s.lost.Load() { // the upload of them may be under way
			err = e
		}
		s.vk.DestroyBuffer(p.params)
	}
	if p.temp != nil {
		s.vk.DestroyBuffer(p.temp)
	}
	if p.timed != nil {
		p.endTiming()
	}
	if p.pieces != nil {
		p.pieces.Free()
	}
	if p.pool != nil {
		p.pool.Close()
	}
	if p.faults >= 0 {
		s.faults.give(p.faults)
	}
	s.release()
	return err
}
