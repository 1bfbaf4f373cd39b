//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// program is a Subgraph as launches: pieces that are submitted together where all of them are soon done, and one by
// one where a cancelled context might not want to wait for the last.
type program struct {
	s        *session
	launches []hip.Launch
	pieces   []piece
	temp     uintptr // scratch memory
	bufs     []*buf
	nodes    []*tensor.Tensor
	faults   int // slot, or -1

	timing  *timing       // if the device is profiled
	weights []float64     // about what each launch costs
	weight  float64       // and all of them
	took    time.Duration // of a run, or 0
	begun   time.Time
	value   uint64 // the number of the last run's last piece
	waited  bool   // for the last run
	closed  bool
}

// piece is launches in a row, and the graph of them where the runtime has such.
type piece struct {
	from, to int
	graph    hip.Graph
}

// Compile records nodes.
func (d *Device) Compile(g *backends.Subgraph) (backends.Program, error) {
	if err := g.CheckGroups(); err != nil {
		return nil, fmt.Errorf("rocm: %w", err)
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
	return p, nil
}

// record makes the launches of all nodes, and pieces of them.
func (p *program) record(r *recorder) error {
	nodes, groups := r.graph.Nodes, r.graph.Groups
	for i := 0; i < len(nodes); {
		before, to := len(r.steps), i+1
		var err error
		var what any = nodes[i].Op.Kind()
		if len(groups) > 0 && groups[0].From == i {
			to, what = groups[0].To, groups[0].Fusion
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
			r.steps[k].weight, r.steps[k].what, r.steps[k].node = cost/float64(len(r.steps)-before), what, nodes[to-1]
		}
		i = to
	}
	p.bufs, p.nodes, p.faults = r.bufs, r.nodes, r.faults
	if len(r.steps) == 0 {
		return nil
	}
	if err := r.resolve(); err != nil {
		return err
	}
	if err := p.memory(r); err != nil {
		return err
	}
	return p.write(r.steps)
}

// node makes the launches of a node by itself.
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
		return fmt.Errorf("rocm: %v: %w", n, err)
	}
	return nil
}

// memory allocates scratch memory, and puts its addresses into the parameters.
func (p *program) memory(r *recorder) error {
	if r.scratch.Size > 0 {
		err := p.s.with(fmt.Sprintf("allocating %d bytes of scratch memory", r.scratch.Size), func() (err error) {
			p.temp, err = p.s.rt.Malloc(r.scratch.Size)
			return err
		})
		if err != nil {
			return err
		}
	}
	for i := range r.steps {
		for _, at := range r.steps[i].scratchAt {
			b := r.steps[i].params[at:]
			binary.LittleEndian.PutUint64(b, uint64(p.temp)+binary.LittleEndian.Uint64(b))
		}
	}
	if c := r.counters; c.Size > 0 {
		return p.s.fill(p.temp+uintptr(c.At), 0, c.Size)
	}
	return nil
}

// maxPieces is how many pieces a program is cut into at most.
const maxPieces = 32

// write makes launches of the steps, and cuts them into pieces.
func (p *program) write(steps []step) error {
	p.launches, p.weights = make([]hip.Launch, len(steps)), make([]float64, len(steps))
	for i := range steps {
		st := &steps[i]
		p.weights[i] = st.weight
		p.weight += st.weight
		params := make([]uint64, (len(st.params)+7)/8)
		for k := range params {
			var word [8]byte
			copy(word[:], st.params[8*k:])
			params[k] = binary.LittleEndian.Uint64(word[:])
		}
		p.launches[i] = hip.Launch{Kernel: st.kernel, Grid: st.grid, Block: st.block, Params: params}
	}
	p.cut(max(p.s.dev.pieceCost(), p.weight/maxPieces))
	if p.s.dev.profile != nil {
		return p.time(steps)
	}
	return p.capture()
}

// cut makes pieces of the launches that cost so much each.
func (p *program) cut(each float64) {
	p.pieces = nil
	sum, from := 0.0, 0
	for i, w := range p.weights {
		if sum += w; sum >= each || i == len(p.weights)-1 {
			p.pieces = append(p.pieces, piece{from: from, to: i + 1})
			sum, from = 0, i+1
		}
	}
}

// refine cuts a program into more pieces that turned out to take much longer than costs say: on a slow card, or because it is many small
// launches.
func (p *program) refine() error {
	want := min(maxPieces, len(p.launches), int(2*p.took/p.s.dev.slice()))
	if want < 2*len(p.pieces) || !p.waited || p.timing != nil {
		return nil
	}
	if err := p.s.with("cutting a program", p.freeGraphs); err != nil {
		return err
	}
	p.cut(p.weight / float64(want))
	return p.capture()
}

// fewLaunches is up to how many launches a piece is not worth a graph.
const fewLaunches = 4

// capture makes graphs of the pieces, on a stream of their own. Where that fails they are launched one by one.
func (p *program) capture() error {
	s := p.s
	if s.dev.opt.NoGraphs || !s.rt.HasGraphs() || len(p.launches) <= fewLaunches {
		return nil
	}
	return s.with("capturing", func() error {
		stream, err := s.rt.NewStream()
		if err != nil {
			return err
		}
		var args hip.Args
		for i := range p.pieces {
			x := &p.pieces[i]
			g, err := s.rt.Capture(&args, stream, p.launches[x.from:x.to])
			if err != nil {
				break
			}
			x.graph = g
		}
		return s.rt.DestroyStream(stream)
	})
}

// send gives pieces to the stream, and returns their number. It allocates nothing.
func (p *program) send(from, to int) (uint64, error) {
	s := p.s
	s.queue.Lock()
	defer s.queue.Unlock()
	defer s.rt.Leave()
	err := s.rt.EnterQuick(&s.args, s.dev.phys.Index)
	for i := from; i < to && err == nil; i++ {
		x := &p.pieces[i]
		if x.graph != 0 {
			err = s.rt.LaunchGraph(&s.args, s.stream, x.graph)
			continue
		}
		if err == nil && i == 0 {
			err = p.stamp(0)
		}
		for k := x.from; k < x.to && err == nil; k++ {
			if err = s.rt.Launch(&s.args, s.stream, &p.launches[k]); err == nil {
				err = p.stamp(k + 1)
			}
		}
	}
	if err != nil {
		return 0, s.failed("submit", err)
	}
	return s.mark("submit")
}

// Submit gives the program to the stream. It waits inside a long one, so that no more than two pieces are
// ahead when ctx is cancelled.
func (p *program) Submit(ctx context.Context) error {
	if p.closed {
		return fmt.Errorf("rocm: submit on %s: program: %w", p.s.dev.owner, buffer.ErrClosed)
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
			return fmt.Errorf("rocm: submit on %s: memory: %w", p.s.dev.owner, buffer.ErrClosed)
		}
	}
	if len(p.pieces) == 0 {
		return nil
	}
	if err := p.refine(); err != nil {
		return err
	}
	p.begun, p.waited = time.Now(), false
	group := p.group()
	var before [2]uint64 // values of the last two groups
	for at := 0; at < len(p.pieces); at += group {
		if before[0] != 0 && ctx.Done() != nil {
			if err := p.s.wait(ctx, "submit", before[0]); err != nil {
				return p.cancelled(err)
			}
		}
		if at > 0 && ctx.Err() != nil {
			return p.cancelled(ctx.Err())
		}
		v, err := p.send(at, min(at+group, len(p.pieces)))
		if err != nil {
			return err
		}
		before[0], before[1], p.value = before[1], v, v
	}
	return nil
}

// cancelled ends a run in its middle: what is submitted is awaited.
func (p *program) cancelled(err error) error {
	if e := p.s.wait(context.Background(), "wait", p.value); e != nil {
		return e
	}
	p.waited = true
	if p.faults >= 0 && p.s.faults.struck(p.faults) {
		_ = p.s.faults.tell(p.s, p.faults, p.nodes) // the run's results are undefined anyway
	}
	return err
}

// group returns how many pieces to submit at a time: as many as take a slice.
func (p *program) group() int {
	slice := p.s.dev.slice()
	switch {
	case p.took == 0 && p.weight <= p.s.dev.pieceCost():
		return len(p.pieces)
	case p.took == 0:
		return 1
	case p.took <= slice:
		return len(p.pieces)
	}
	return max(1, int(float64(len(p.pieces))*float64(slice)/float64(p.took)))
}

// late returns what an earlier run's kernels have told, once they are done.
func (p *program) late() error {
	if p.faults < 0 || !p.s.faults.struck(p.faults) {
		return nil
	}
	if err := p.s.wait(context.Background(), "wait", p.value); err != nil {
		return err
	}
	return p.s.faults.tell(p.s, p.faults, p.nodes)
}

// patience is how long a cancelled wait goes on until it believes that the device hangs.
const patience = 10 * time.Second

// Wait returns when everything submitted is done. A cancelled ctx does not end it before, unless the device seems to hang: the
// pieces under way are short.
func (p *program) Wait(ctx context.Context) error {
	if len(p.pieces) == 0 || p.waited {
		if err := p.s.alive("wait"); err != nil && len(p.pieces) > 0 {
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
	if p.timing != nil {
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
	if !s.lost.Load() { // of a lost device nothing is left to free
		err = errors.Join(err, s.with("closing a program", p.free))
	}
	if p.faults >= 0 {
		s.faults.give(p.faults)
	}
	s.release()
	return err
}

// free frees what the device holds of the program.
func (p *program) free() error {
	err := p.freeGraphs()
	if p.timing != nil {
		err = errors.Join(err, p.endTiming())
	}
	if p.temp != 0 {
		err = errors.Join(err, p.s.rt.Free(p.temp))
	}
	return err
}

func (p *program) freeGraphs() error {
	var errs []error
	for i := range p.pieces {
		if g := p.pieces[i].graph; g != 0 {
			errs = append(errs, p.s.rt.DestroyGraph(g))
			p.pieces[i].graph = 0
		}
	}
	return errors.Join(errs...)
}
