package sched

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// scenario is a random graph on a random machine.
type scenario struct {
	rng     *rand.Rand
	fakes   []*fakeDevice
	devices []backends.Device
	opt     Options
	graph   *tensor.Graph
	leaves  []*tensor.Tensor // bound
	inputs  []*tensor.Tensor
}

const width, rows, cells = 8, 4, 16

func newScenario(t testing.TB, seed uint64, async bool) *scenario {
	s := &scenario{rng: rand.New(rand.NewPCG(seed, 1))}
	s.machine(async)
	s.build(t)
	for range s.rng.IntN(5) {
		s.opt.Layers = append(s.opt.Layers, s.fakes[s.rng.IntN(len(s.fakes))].name)
	}
	if s.rng.IntN(4) == 0 {
		s.opt.Pins = []Pin{{regexp.MustCompile(`^blk\.1\.(add|mul)`), s.fakes[s.rng.IntN(len(s.fakes))].name}}
	}
	s.opt.KeepInputs = s.rng.IntN(2) == 0
	if seed%6 == 0 { // one weight is pinned where it lies
		w := s.leaves[slices.IndexFunc(s.leaves, func(l *tensor.Tensor) bool { return l.Name == "w1" })]
		s.opt.WeightPins = []Pin{{regexp.MustCompile(`^w1$`), w.Storage.Buffer.Type().Owner().Device}}
	}
	return s
}

func (s *scenario) machine(async bool) {
	names := []string{"A0", "B0", "C0", "D0"}
	for _, name := range names[:1+s.rng.IntN(4)] {
		d := newFake(name)
		d.typ.align = 1 << s.rng.IntN(9)
		if s.rng.IntN(3) == 0 {
			d.typ.max = 512 + s.rng.Int64N(1024)
		}
		for _, other := range s.fakes {
			if s.rng.IntN(4) == 0 {
				d.others = append(d.others, other)
			}
			if s.rng.IntN(4) == 0 {
				other.others = append(other.others, d)
			}
		}
		s.fakes = append(s.fakes, d)
	}
	for i, d := range s.fakes {
		if i < len(s.fakes)-1 {
			for _, kind := range []string{"Add", "Mul", "Scale", "Unary", "MatMul", "GetRows", "Copy", "RMSNorm"} {
				if s.rng.IntN(5) == 0 {
					d.refuses[kind] = "not here"
				}
			}
			if s.rng.IntN(12) == 0 {
				d.refuses["SetRows"] = "not here"
			}
		}
		if async && s.rng.IntN(3) > 0 {
			d.async()
			d.typ.mapped = s.rng.IntN(3) == 0
		}
		if d.fuses = s.fuses(); d.fuses != nil {
			s.devices = append(s.devices, fusing{d})
		} else {
			s.devices = append(s.devices, d)
		}
	}
}

func (s *scenario) close() {
	for _, d := range s.fakes {
		d.Close()
	}
}

// leaf returns a bound leaf with random contents, somewhere.
func (s *scenario) leaf(role tensor.Role, name string, sizes ...int) *tensor.Tensor {
	l, err := tensor.NewLeaf(role, name, tensor.F32, tensor.MakeShape(sizes...))
	if err != nil {
		panic(err)
	}
	d := s.fakes[s.rng.IntN(len(s.fakes))]
	max := d.typ.max
	d.typ.max = 1 << 40 // only arenas are to be cut in pieces
	b, err := d.typ.Alloc(int64(l.Bytes()) + 256)
	d.typ.max = max
	if err == nil {
		err = l.Bind(b, 4*s.rng.Int64N(64))
	}
	if err == nil {
		_, err = b.WriteAt(s.floats(l), l.Storage.Offset)
	}
	if err != nil {
		panic(err)
	}
	s.leaves = append(s.leaves, l)
	return l
}

func (s *scenario) floats(t *tensor.Tensor) []byte {
	p := make([]byte, t.Bytes())
	for i := 0; i < len(p); i += 4 {
		if t.Type == tensor.I32 {
			binary.LittleEndian.PutUint32(p[i:], uint32(s.rng.IntN(rows)))
		} else {
			binary.LittleEndian.PutUint32(p[i:], math.Float32bits(s.rng.Float32()-0.5))
		}
	}
	return p
}

// build makes a random graph over tensors of 8 x 4: arithmetic, views, writes into caches, results and
// inputs.
func (s *scenario) build(t testing.TB) {
	b := tensor.NewBuilder()
	rng := s.rng
	var weights, caches []*tensor.Tensor
	for i := range 3 {
		weights = append(weights, s.leaf(tensor.Weight, "w"+string(rune('0'+i)), width, width))
		caches = append(caches, s.leaf(tensor.Cache, "c"+string(rune('0'+i)), width, cells))
	}
	idx := b.Input("idx", tensor.I32, tensor.MakeShape(rows))
	vals := []*tensor.Tensor{
		b.Input("x", tensor.F32, tensor.MakeShape(width, rows)), b.Input("y", tensor.F32, tensor.MakeShape(width, rows)),
	}
	pick := func() *tensor.Tensor {
		return vals[max(rng.IntN(len(vals)), rng.IntN(len(vals)))] // rather the newer ones
	}
	nodes := 5 + rng.IntN(40)
	for i := range nodes {
		if rng.IntN(4) > 0 {
			b.Layer(i * 5 / nodes)
		} else {
			b.Layer(-1)
		}
		vals = append(vals, s.node(b, pick, weights, caches, idx))
	}
	var outputs []*tensor.Tensor
	for range 1 + rng.IntN(3) {
		o := pick()
		if rng.IntN(3) == 0 {
			o = b.Slice(o, 1, 1, 3)
		}
		outputs = append(outputs, o)
	}
	g, err := b.Build(outputs...)
	if err == nil {
		err = g.Verify()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.graph, s.inputs = g, g.Inputs
}

// node returns a random new value.
func (s *scenario) node(b *tensor.Builder, pick func() *tensor.Tensor, weights, caches []*tensor.Tensor, idx *tensor.Tensor) *tensor.Tensor {
	rng := s.rng
	w, c := weights[rng.IntN(len(weights))], caches[rng.IntN(len(caches))]
	x, y := pick(), pick()
	switch rng.IntN(19) {
	case 13, 14, 15, 16, 17:
		return s.fusible(b, x, y, w, pick)
	case 18:
		rope := b.Apply(tensor.RoPE{Dims: 4, Base: 100}, b.Reshape(x, 4, 2, rows), idx)
		return b.Slice(b.SetRows(c, b.Reshape(rope, width, rows), idx), 1, 0, rows) // x may lie in c
	case 0, 1:
		return b.Add(x, y)
	case 2:
		return b.Mul(x, b.Slice(y, 1, 2, 3))
	case 3:
		return b.Scale(x, 0.5)
	case 4:
		return b.Unary(tensor.Tanh, x)
	case 5, 6:
		return b.MatMul(w, x)
	case 7:
		return b.Reshape(b.Contiguous(b.Permute(x, 1, 0, 2, 3)), width, rows)
	case 8:
		return b.GetRows(w, idx)
	case 9:
		return b.GetRows(x, idx)
	case 10: // what is written may not lie where it is written to
		if x.Root() == c {
			return b.Add(x, y)
		}
		return b.Slice(b.SetRows(c, x, idx), 1, 0, rows)
	case 11:
		from := rng.IntN(cells - rows)
		return b.Slice(c, 1, from, from+rows)
	default:
		if x.Root() == y.Root() || x.Root().Role == tensor.Cache {
			return b.Scale(x, 0.25)
		}
		return b.SetRows(x, y, idx)
	}
}

// oracle runs a graph in memory of its own, where each root has its own bytes, in the graph's order.
type oracle map[*tensor.Tensor][]byte

func (o oracle) operand(t *tensor.Tensor) operand {
	r := t.Root()
	if o[r] == nil {
		o[r] = make([]byte, r.Bytes())
	}
	return operand{t, o[r][t.Offset : t.Offset+t.Bytes()]}
}

func (o oracle) run(g *tensor.Graph) {
	for _, n := range g.Nodes {
		c := call{op: n.Op, args: []operand{o.operand(n)}}
		for _, src := range n.Src {
			c.args = append(c.args, o.operand(src))
		}
		c.run()
	}
}

// TestRandom runs random graphs on random machines. Every run must give the oracle's bits, and every
// plan must keep its promises.
func TestRandom(t *testing.T) {
	seeds := uint64(1500)
	if testing.Short() {
		seeds = 200
	}
	ran, copied, moved, inPlace := 0, 0, 0, 0
	fused := map[string]int{}
	with, without := int64(0), int64(0)
	for seed := range seeds {
		s := newScenario(t, seed, seed%2 == 0)
		p, err := NewPlan(s.graph, s.devices, s.opt)
		var refused *PlacementError
		var large *TooLargeError
		switch {
		case errors.As(err, &refused), errors.As(err, &large):
			s.close()
			continue
		case err != nil:
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkPlan(t, seed, s, p)
		runScenario(t, seed, s, p)
		alone := checkUnfused(t, seed, s, p)
		if seed%4 == 0 {
			runScenario(t, seed, s, alone)
		}
		for _, a := range p.Memory {
			with += a.Bytes
		}
		for _, a := range alone.Memory {
			without += a.Bytes
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%v%v", seed, s.graph, p)
		}
		s.close()
		ran++
		if p.Copied > 0 {
			copied++
		}
		for _, n := range p.Nodes {
			if n.InPlace {
				inPlace++
			}
		}
		for _, m := range p.layout.moves {
			moved += len(m)
		}
		for _, g := range p.Groups {
			fused[g.Fusion]++
		}
	}
	t.Logf("fused: %v; %d bytes of memory, %d without", fused, with, without)
	if with >= without {
		t.Error("fusion saves no memory")
	}
	for _, f := range backends.Fusions() {
		if f == backends.MatMulIDGLU { // fake devices have no experts
			continue
		}
		if fused[f.String()] < int(seeds)/30 {
			t.Errorf("only %d times %s", fused[f.String()], f)
		}
	}
	t.Logf("%d of %d graphs ran, %d with copies; %d nodes in place, %d results moved", ran, seeds, copied, inPlace, moved)
	if ran < int(seeds)/2 || copied < int(seeds)/4 || inPlace < int(seeds)/4 || moved < int(seeds)/100 {
		t.Error("the scenarios do not reach what they should")
	}
}

// checkPlan checks what can be seen without running.
func checkPlan(t *testing.T, seed uint64, s *scenario, p *Plan) {
	t.Helper()
	again, err := NewPlan(s.graph, s.devices, s.opt)
	if err != nil || !p.Equal(again) || p.String() != again.String() {
		t.Errorf("seed %d: the second plan differs: %v", seed, err)
	}
	next := 0
	for i, sp := range p.Splits {
		if sp.From != next || sp.To <= sp.From || i > 0 && sp.Device == p.Splits[i-1].Device {
			t.Errorf("seed %d: split %d is %+v", seed, i, sp)
		}
		for _, n := range p.Nodes[sp.From:sp.To] {
			if n.Device != sp.Device {
				t.Errorf("seed %d: %s is in a split on %s", seed, n.Node, sp.Device)
			}
		}
		next = sp.To
	}
	if next != len(p.Nodes) {
		t.Errorf("seed %d: splits end at %d of %d", seed, next, len(p.Nodes))
	}
	for i := range p.Slots {
		a := &p.Slots[i]
		for k := range i {
			b := &p.Slots[k]
			if a.Device == b.Device && a.Buffer == b.Buffer && a.From <= b.To && b.From <= a.To &&
				a.Offset < b.Offset+b.Bytes && b.Offset < a.Offset+a.Bytes {
				t.Errorf("seed %d: slots overlap: %+v and %+v", seed, *a, *b)
			}
		}
	}
	for i, n := range p.Nodes {
		for _, src := range s.graph.Nodes[i].Src {
			if len(s.opt.WeightPins) > 0 && src.Root().Name == "w1" && n.Reason.Rule != RulePin {
				t.Errorf("seed %d: %s reads a pinned weight on %s: %v", seed, n.Node, n.Device, n.Reason)
			}
			if r := src.Root(); len(s.opt.WeightPins) > 0 && r.Name == "w1" && len(s.opt.Pins) == 0 && n.Device != s.opt.WeightPins[0].Device {
				t.Errorf("seed %d: %s is on %s, pinned is %s", seed, n.Node, n.Device, s.opt.WeightPins[0].Device)
			}
		}
	}
	for _, a := range p.Memory {
		if a.LargestLive > a.Bytes || slices.Max(a.Buffers) > s.fakes[s.number(a.Device)].typ.max {
			t.Errorf("seed %d: %+v", seed, a)
		}
	}
}

// runScenario runs p three times and compares outputs and caches with the oracle, bit for bit.
func runScenario(t *testing.T, seed uint64, s *scenario, p *Plan) {
	t.Helper()
	o := oracle{}
	bound := map[*fakeType]int64{}
	for _, l := range s.leaves {
		o[l] = make([]byte, l.Bytes())
		if _, err := l.Storage.Buffer.ReadAt(o[l], l.Storage.Offset); err != nil {
			t.Fatal(err)
		}
		bound[l.Storage.Buffer.Type().(*fakeType)] += l.Storage.Buffer.Size()
	}
	var mem Memory
	e, err := NewExec(p, &mem)
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
		return
	}
	for _, a := range p.Memory {
		typ := s.fakes[s.number(a.Device)].typ
		if got := typ.used.Load() - bound[typ]; got != a.Bytes || mem.Bytes(a.Device) != a.Bytes {
			t.Errorf("seed %d: %s has allocated %d, memory says %d, planned %d", seed, a.Device, got, mem.Bytes(a.Device), a.Bytes)
		}
	}
	for run := range 3 {
		for _, in := range s.inputs {
			if run == 1 && s.inputsStay() {
				break // what the run before has left must do
			}
			data := s.floats(in)
			o[in] = bytes.Clone(data)
			if err := e.Write(in, data); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		if err := e.Run(context.Background()); err != nil {
			t.Errorf("seed %d: run %d: %v", seed, run, err)
			return
		}
		o.run(s.graph)
		for _, out := range s.graph.Outputs {
			got := make([]byte, out.Bytes())
			if err := e.Read(out, got); err != nil {
				t.Errorf("seed %d: run %d: %v", seed, run, err)
			}
			if !bytes.Equal(got, o.operand(out).mem) {
				t.Errorf("seed %d: run %d: output %v differs", seed, run, out)
			}
		}
		for _, l := range s.leaves {
			got := make([]byte, l.Bytes())
			if _, err := l.Storage.Buffer.ReadAt(got, l.Storage.Offset); err != nil || !bytes.Equal(got, o[l]) {
				t.Errorf("seed %d: run %d: %v differs (%v)", seed, run, l, err)
			}
		}
	}
	if err := errors.Join(e.Close(), mem.Close()); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	checkFreed(t, seed, s, bound)
}

func checkFreed(t *testing.T, seed uint64, s *scenario, bound map[*fakeType]int64) {
	t.Helper()
	for _, d := range s.fakes {
		if d.open.Load() != 0 || d.typ.used.Load() != bound[d.typ] {
			t.Errorf("seed %d: %s keeps %d programs and %d bytes", seed, d.name, d.open.Load(), d.typ.used.Load()-bound[d.typ])
		}
	}
}

// inputsStay reports whether inputs keep what is written to them.
func (s *scenario) inputsStay() bool {
	return s.opt.KeepInputs && !slices.ContainsFunc(s.graph.Nodes, func(n *tensor.Tensor) bool {
		return n.Base != nil && n.Base.Role == tensor.Input
	})
}

// number returns which of the devices is called name.
func (s *scenario) number(name string) int {
	for i, d := range s.fakes {
		if d.name == name {
			return i
		}
	}
	return -1
}

var _ buffer.Mapper = mappedBuffer{}
