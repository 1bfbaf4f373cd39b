package tensor

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// Builder makes a Graph, node by node. The first op that cannot be is kept with its call site; from
// then on every method returns a placeholder, and Build returns the error. Methods that build an op
// stand in the op's own file.
type Builder struct {
	nodes  []*Tensor
	inputs []*Tensor
	err    error
	prefix string
	layer  int
	bad    *Tensor
}

// NewBuilder returns an empty Builder.
func NewBuilder() *Builder {
	return &Builder{layer: -1, bad: &Tensor{Name: "bad", Shape: MakeShape(), Layer: -1}}
}

// Err returns the first mistake, or nil.
func (b *Builder) Err() error { return b.err }

// Fail makes err the Builder's error if it has none yet: model code uses it for what no op can see.
func (b *Builder) Fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Layer says that the nodes built from now on belong to model layer i, or to none if i is -1.
func (b *Builder) Layer(i int) {
	b.layer, b.prefix = i, ""
	if i >= 0 {
		b.prefix = fmt.Sprintf("blk.%d.", i)
	}
}

// Name names t for people, with the layer in front, and returns it.
func (b *Builder) Name(name string, t *Tensor) *Tensor {
	if b.err == nil && t != nil && t.Op != nil {
		t.Name = b.prefix + name
	}
	return t
}

// Input adds a leaf that is written before each run.
func (b *Builder) Input(name string, t DType, s Shape) *Tensor {
	if b.err != nil {
		return b.bad
	}
	x, err := NewLeaf(Input, name, t, s)
	if err != nil {
		b.err = err
		return b.bad
	}
	b.inputs = append(b.inputs, x)
	return x
}

// Apply adds the result of op over src. An absent optional source is nil.
func (b *Builder) Apply(op Op, src ...*Tensor) *Tensor {
	if b.err != nil {
		return b.bad
	}
	t, s, err := op.Infer(src)
	if err == nil {
		err = checkLayout(t, s)
	}
	if err != nil {
		return b.refuse(op, src, err)
	}
	x := &Tensor{Type: t, Shape: s, Stride: s.Packed(t), Op: op, Src: src, Layer: b.layer}
	if a, ok := op.(Aliaser); ok {
		i, offset, stride := a.Alias(src)
		x.Base, x.Offset, x.Stride = src[i].Root(), src[i].Offset+offset, stride
	}
	if !x.IsView() {
		x.Name = fmt.Sprintf("%s%s.%d", b.prefix, strings.ToLower(op.Kind().String()), len(b.nodes))
		b.nodes = append(b.nodes, x)
	} else if src[0].Name != "" {
		x.Name = src[0].Name
	}
	return x
}

// refuse keeps err as what is wrong with op over src, with the call site.
func (b *Builder) refuse(op Op, src []*Tensor, err error) *Tensor {
	b.err = &OpError{Op: op, Src: src, Site: callSite(), Err: err}
	return b.bad
}

// Build returns the graph that computes outputs and every write into a cache; nodes that neither
// needs are left out. It returns the first mistake instead, if there was one.
func (b *Builder) Build(outputs ...*Tensor) (*Graph, error) {
	if b.err != nil {
		return nil, b.err
	}
	used := make(map[*Tensor]bool, 2*len(b.nodes))
	for _, n := range b.nodes {
		if n.Base != nil && n.Base.Role == Cache {
			mark(used, n)
		}
	}
	for _, o := range outputs {
		mark(used, o)
	}
	g := &Graph{Outputs: outputs}
	for _, n := range b.nodes {
		if used[n] {
			g.Nodes = append(g.Nodes, n)
		}
	}
	for _, in := range b.inputs {
		if used[in] {
			g.Inputs = append(g.Inputs, in)
			delete(used, in)
		}
	}
	g.addInputs(used, g.Nodes)
	g.addInputs(used, outputs)
	return g, nil
}

// addInputs appends the inputs among used that ts are made of, in the order of their first use, and
// takes them out of used: inputs that a Builder did not make itself.
func (g *Graph) addInputs(used map[*Tensor]bool, ts []*Tensor) {
	for _, t := range ts {
		if t == nil || !used[t] {
			continue
		}
		delete(used, t)
		if t.Op == nil && t.Role == Input {
			g.Inputs = append(g.Inputs, t)
		}
		g.addInputs(used, t.Src)
	}
}

// mark sets used for t and everything it is computed from.
func mark(used map[*Tensor]bool, t *Tensor) {
	if t == nil || used[t] {
		return
	}
	used[t] = true
	mark(used, t.Base)
	for _, s := range t.Src {
		mark(used, s)
	}
}

// callSite returns the first caller outside this package as file:line.
func callSite() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.Contains(f.Function, "tenon/tensor.") {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}
