package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/internal/opcorpus"
	"github.com/tenon-go/tenon/tensor"
)

// session is one device under test. Cases run one after the other in it.
type session struct {
	dev    backends.Device
	opt    Options
	memory buffer.Type
	arena  buffer.Buffer // grown as cases need it
	image  []byte        // what the arena was filled with
	after  []byte        // what it holds after a run

	corpus map[string]*opcorpus.File // that have been read
}

func newSession(dev backends.Device, opt Options) (*session, error) {
	types := dev.BufferTypes()
	if len(types) == 0 || types[0] == nil {
		return nil, fmt.Errorf("conformance: %s has no memory: BufferTypes is empty", dev.Info().Owner)
	}
	return &session{dev: dev, opt: opt, memory: types[0]}, nil
}

func (s *session) close() error {
	var errs []error
	for _, f := range s.corpus {
		errs = append(errs, f.Close())
	}
	if s.arena != nil {
		errs = append(errs, s.arena.Close())
	}
	return errors.Join(errs...)
}

// guard is how many bytes at least lie before and after each tensor.
const guard = 128

// bound is a graph with places in the session's arena, compiled.
type bound struct {
	s      *session
	g      *gen
	nodes  []*tensor.Tensor
	group  *backends.Group          // if not nil, nodes are compiled as one
	places map[*tensor.Tensor]int64 // of each root with elements
	size   int64
	prog   backends.Program
	known  *ref.Memory // what the oracle says, until a leaf is set
}

// bind places the graph of outs and compiles it. With over, a node that may be written over its source
// is. The error matches backends.ErrUnsupported if the device says beforehand that it cannot run a node.
func (s *session) bind(g *gen, over bool, outs ...*tensor.Tensor) (*bound, error) {
	graph, err := g.Build(outs...)
	if err != nil {
		return nil, fmt.Errorf("the case itself is wrong: %w", err)
	}
	b := &bound{s: s, g: g, nodes: graph.Nodes, places: map[*tensor.Tensor]int64{}}
	if err := s.supports(graph.Nodes); err != nil {
		return nil, err
	}
	return b, b.compile(graph, over)
}

// compile places graph and compiles it.
func (b *bound) compile(graph *tensor.Graph, over bool) error {
	b.layOut(graph, over)
	if err := b.s.grow(b.size); err != nil {
		return err
	}
	var groups []backends.Group
	if b.group != nil {
		groups = []backends.Group{*b.group}
	}
	var err error
	b.prog, err = b.s.compileGroups(b.nodes, groups, b.place)
	return err
}

// supports asks the device for each node.
func (s *session) supports(nodes []*tensor.Tensor) error {
	for _, n := range nodes {
		if err := s.dev.Supports(n); err != nil {
			if !errors.Is(err, backends.ErrUnsupported) {
				return fmt.Errorf("Supports(%v) gives an error that does not match ErrUnsupported: %w", n, err)
			}
			return err
		}
	}
	return nil
}

// compile compiles nodes that the device supports: a refusal now is a failure.
func (s *session) compile(nodes []*tensor.Tensor, place func(*tensor.Tensor) tensor.Storage) (backends.Program, error) {
	return s.compileGroups(nodes, nil, place)
}

func (s *session) compileGroups(nodes []*tensor.Tensor, groups []backends.Group, place func(*tensor.Tensor) tensor.Storage) (backends.Program, error) {
	p, err := s.dev.Compile(&backends.Subgraph{Nodes: nodes, Groups: groups, Place: place})
	if err != nil {
		return nil, refused{err}
	}
	if p == nil {
		return nil, errors.New("neither a program nor an error comes from Compile")
	}
	return p, nil
}

// refused is an error of Compile after Supports had none. It hides ErrUnsupported: to say yes first is
// what is wrong.
type refused struct{ err error }

func (r refused) Error() string { return "Supports says yes, and Compile fails: " + r.err.Error() }

// layOut gives every tensor of graph a place, with guards between them.
func (b *bound) layOut(graph *tensor.Graph, over bool) {
	align := int64(max(b.s.memory.Alignment(), 1))
	b.size = up(guard, align)
	add := func(t *tensor.Tensor) {
		if _, ok := b.places[t]; ok || t.Bytes() == 0 {
			return
		}
		b.places[t] = b.size
		b.size = up(b.size+int64(t.Bytes())+guard, align)
	}
	for _, leaf := range b.g.leaves {
		add(leaf)
	}
	last := lastUses(graph)
	for i, n := range graph.Nodes {
		if b.group != nil {
			b.layMember(i, over, add)
			continue
		}
		if s := mayOverwrite(n); s != nil && over && last[s.Root()] == i {
			if at, ok := b.places[s.Root()]; ok {
				b.places[n] = at + int64(s.Offset)
				continue
			}
		}
		add(n.Root())
	}
}

// lastUses returns the last node that reads what lies in a root; outputs are read after all.
func lastUses(graph *tensor.Graph) map[*tensor.Tensor]int {
	last := map[*tensor.Tensor]int{}
	for i, n := range graph.Nodes {
		for _, s := range n.Src {
			if s != nil {
				last[s.Root()] = i
			}
		}
	}
	for _, o := range graph.Outputs {
		last[o.Root()] = len(graph.Nodes)
	}
	return last
}

// mayOverwrite returns the source that n's result may lie over as far as n goes, or nil.
func mayOverwrite(n *tensor.Tensor) *tensor.Tensor {
	op, ok := n.Op.(tensor.InPlacer)
	if !ok {
		return nil
	}
	return overwritable(n, n.Src[op.InPlace()], n)
}

// overwritable returns s if n's result may lie over it, where readers are all nodes that read it; otherwise nil.
func overwritable(n, s *tensor.Tensor, readers ...*tensor.Tensor) *tensor.Tensor {
	if s.Type != n.Type || s.Shape != n.Shape || !s.Contiguous() || s.Root().Role == tensor.Weight || s.Root().Role == tensor.Cache {
		return nil
	}
	uses := 0
	for _, r := range readers {
		for _, o := range r.Src { // another part of the same memory would be read too late
			if o != nil && o.Root() == s.Root() {
				uses++
			}
		}
	}
	if uses != 1 {
		return nil
	}
	return s
}

func up(n, align int64) int64 { return (n + align - 1) / align * align }

// grow makes the arena hold size bytes.
func (s *session) grow(size int64) error {
	if s.arena != nil && s.arena.Size() >= size {
		return nil
	}
	if s.arena != nil {
		if err := s.arena.Close(); err != nil {
			return err
		}
	}
	var err error
	if s.arena, err = s.memory.Alloc(max(2*size, 1<<20)); err != nil {
		s.arena = nil
	}
	return err
}

// place is what Subgraph.Place is for b.
func (b *bound) place(t *tensor.Tensor) tensor.Storage {
	at, ok := b.places[t.Root()]
	if !ok || t.Bytes() == 0 {
		return tensor.Storage{}
	}
	return tensor.Storage{Buffer: b.s.arena, Offset: at + int64(t.Offset)}
}

// reset writes every leaf, and poison everywhere else.
func (b *bound) reset() error {
	s := b.s
	if int64(len(s.image)) < b.size {
		s.image = poison(int(2 * b.size))
	}
	image := s.image[:b.size]
	copy(image, poison(len(image)))
	for leaf, data := range b.g.data {
		if at, ok := b.places[leaf]; ok {
			copy(image[at:], data)
		}
	}
	if n, err := s.arena.WriteAt(image, 0); err != nil || n != len(image) {
		return moved("WriteAt", n, int64(len(image)), err)
	}
	return nil
}

// submit runs the program. With wait it waits for the end; without, the next read has to.
func (b *bound) submit(ctx context.Context, wait bool) error {
	err := b.prog.Submit(ctx)
	if err == nil && wait {
		err = b.prog.Wait(ctx)
	}
	return err
}

// fetch reads the arena back.
func (b *bound) fetch() error {
	s := b.s
	if int64(len(s.after)) < b.size {
		s.after = make([]byte, 2*b.size)
	}
	if n, err := s.arena.ReadAt(s.after[:b.size], 0); err != nil || int64(n) != b.size {
		return moved("ReadAt", n, b.size, err)
	}
	return nil
}

// read returns the content of t as fetched.
func (b *bound) read(t *tensor.Tensor) (ref.Value, error) {
	at, ok := b.places[t.Root()]
	if !ok {
		return ref.Read(t.Type, t.Shape, t.Stride, nil)
	}
	return ref.Read(t.Type, t.Shape, t.Stride, b.s.after[at+int64(t.Offset):][:t.Bytes()])
}

// untouched reports the first byte that the run has changed and that belongs to no node: in a guard, in
// a gap, or in a source.
func (b *bound) untouched() error {
	image, after := b.s.image[:b.size], b.s.after[:b.size]
	for _, n := range b.nodes { // what nodes write may change
		b.eachBlock(n, func(at, size int64) { copy(after[at:at+size], image[at:at+size]) })
	}
	for i := range image {
		if image[i] != after[i] {
			return b.blame(int64(i))
		}
	}
	return nil
}

// eachBlock calls f for where each element or block of t lies in the arena.
func (b *bound) eachBlock(t *tensor.Tensor, f func(at, size int64)) {
	base, ok := b.places[t.Root()]
	if !ok || t.Shape.Elems() == 0 {
		return
	}
	base += int64(t.Offset)
	if t.Contiguous() {
		f(base, int64(t.Bytes()))
		return
	}
	elems, size := t.Type.Block()
	s, st := t.Shape, t.Stride
	for r := range s.Rows() {
		off := r%s[1]*st[1] + r/s[1]%s[2]*st[2] + r/s[1]/s[2]*st[3]
		for range s[0] / elems {
			f(base+int64(off), int64(size))
			off += st[0]
		}
	}
}

// blame says whose byte i of the arena is.
func (b *bound) blame(i int64) error {
	best, name := int64(-1), ""
	for t, at := range b.places {
		if n := int64(t.Bytes()); i >= at && i < at+n {
			return fmt.Errorf("byte %d of source %v was changed", i-at, t)
		} else if i >= at+n && at+n > best {
			best, name = at+n, t.String()
		}
	}
	if best < 0 {
		return fmt.Errorf("byte %d before the first tensor was changed", i)
	}
	return fmt.Errorf("byte %d behind %s was changed", i-best, name)
}

// oracle computes the graph's nodes by package ref.
func (b *bound) oracle() (*ref.Memory, error) {
	if b.known != nil {
		return b.known, nil
	}
	m, err := b.g.oracle(b.nodes)
	if err == nil {
		b.known = m
	}
	return m, err
}

func (g *gen) oracle(nodes []*tensor.Tensor) (*ref.Memory, error) {
	m := ref.NewMemory()
	for leaf, data := range g.data {
		if err := m.Set(leaf, data); err != nil {
			return nil, err
		}
	}
	return m, m.Run(nodes)
}

func (b *bound) close() error {
	if b == nil || b.prog == nil {
		return nil
	}
	return b.prog.Close()
}
