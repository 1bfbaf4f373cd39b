package tensor

import (
	"fmt"
	"strings"
)

// Graph is what one run computes. Nodes stand in the order in which their effects happen: a node reads
// a cache as the writes before it have left it. Views are no nodes; they hang on those that use them.
type Graph struct {
	Nodes   []*Tensor
	Inputs  []*Tensor // leaves to be written before each run
	Outputs []*Tensor // what is read after a run; may be views
}

// GraphError says which node of a graph is malformed. It matches ErrGraph.
type GraphError struct {
	Node   string
	Reason string
}

// Error returns one line.
func (e *GraphError) Error() string { return fmt.Sprintf("tensor: node %s: %s", e.Node, e.Reason) }

// Unwrap returns ErrGraph.
func (e *GraphError) Unwrap() error { return ErrGraph }

// Verify reports the first reason why g is no legal graph: a node used before it is computed or
// computed twice, a type, shape or place that differs from what its op says, a view outside its base
// or of itself, a leaf without role, with gaps or inside another, an input that Inputs does not list.
// What a Builder builds is legal; a test or a tool that makes graphs by hand calls this.
func (g *Graph) Verify() error {
	v := verifier{done: map[*Tensor]bool{}, inputs: map[*Tensor]bool{}, open: map[*Tensor]bool{}}
	for _, in := range g.Inputs {
		if in == nil || in.Op != nil || in.Role != Input {
			return &GraphError{in.String(), "is listed as an input and is none"}
		}
		v.inputs[in] = true
	}
	for _, n := range g.Nodes {
		if n == nil || n.Op == nil || n.IsView() {
			return &GraphError{n.String(), "is a leaf or a view, no node"}
		}
		if v.done[n] {
			return &GraphError{n.String(), "is listed twice"}
		}
		for _, s := range n.Src {
			if err := v.operand(n, s); err != nil {
				return err
			}
		}
		if err := v.inferred(n); err != nil {
			return err
		}
		v.done[n] = true
	}
	for _, o := range g.Outputs {
		if o == nil {
			return &GraphError{"output", "is absent"}
		}
		if err := v.operand(o, o); err != nil {
			return err
		}
	}
	return nil
}

type verifier struct {
	done   map[*Tensor]bool // can be read
	inputs map[*Tensor]bool
	open   map[*Tensor]bool // views whose source is being looked at
}

// operand checks that s can be read when n runs.
func (v verifier) operand(n, s *Tensor) error {
	switch {
	case s == nil || v.done[s]:
		return nil
	case s.Op == nil:
		if err := v.leaf(s); err != nil {
			return err
		}
	case !s.IsView():
		return &GraphError{n.String(), fmt.Sprintf("reads %v before it is computed", s)}
	default:
		if len(s.Src) != 1 || s.Src[0] == nil {
			return &GraphError{s.String(), "is a view of nothing"}
		}
		if v.open[s] {
			return &GraphError{s.String(), "is a view in a cycle of views"}
		}
		v.open[s] = true
		if err := v.operand(n, s.Src[0]); err != nil {
			return err
		}
		if err := v.inferred(s); err != nil {
			return err
		}
	}
	v.done[s] = true
	return nil
}

// leaf checks that s can be a leaf.
func (v verifier) leaf(s *Tensor) error {
	if s.Role == Node || s.Role > Cache {
		return &GraphError{s.String(), "is a leaf without a role"}
	}
	if err := checkLayout(s.Type, s.Shape); err != nil {
		return &GraphError{s.String(), err.Error()}
	}
	switch {
	case s.Base != nil || s.Offset != 0:
		return &GraphError{s.String(), "is a leaf inside another tensor"}
	case s.Stride != s.Shape.Packed(s.Type):
		return &GraphError{s.String(), fmt.Sprintf("is a leaf with strides %v, want %v", s.Stride, s.Shape.Packed(s.Type))}
	case s.Role == Input && !v.inputs[s]:
		return &GraphError{s.String(), "is an input that Inputs does not list"}
	}
	return nil
}

// inferred checks that n is what its op says.
func (v verifier) inferred(n *Tensor) error {
	t, s, err := n.Op.Infer(n.Src)
	if err == nil {
		err = checkLayout(t, s)
	}
	if err != nil {
		return &GraphError{n.String(), err.Error()}
	}
	if t != n.Type || s != n.Shape {
		return &GraphError{n.String(), fmt.Sprintf("its op gives %s %v", t, s)}
	}
	a, ok := n.Op.(Aliaser)
	if !ok {
		if n.Base != nil || n.Offset != 0 || n.Stride != s.Packed(t) {
			return &GraphError{n.String(), "has a place or strides that its op does not give"}
		}
		return nil
	}
	i, offset, stride := a.Alias(n.Src)
	src := n.Src[i]
	if n.Base != src.Root() || n.Offset != src.Offset+offset || n.Stride != stride {
		return &GraphError{n.String(), "does not lie where its op says"}
	}
	if n.Offset < 0 || n.Offset+n.Bytes() > n.Base.Bytes() {
		return &GraphError{n.String(), fmt.Sprintf("bytes %d to %d lie outside the %d of %v",
			n.Offset, n.Offset+n.Bytes(), n.Base.Bytes(), n.Base)}
	}
	return nil
}

// String lists the nodes, one a line: number, name, type and shape, op with parameters, sources.
func (g *Graph) String() string {
	var b strings.Builder
	for i, n := range g.Nodes {
		fmt.Fprintf(&b, "%4d %v = %s%+v", i, n, n.Op.Kind(), n.Op)
		for _, s := range n.Src {
			fmt.Fprintf(&b, " %v;", s)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
