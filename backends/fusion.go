package backends

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/tensor"
)

// Fuser is a Device with kernels that compute several nodes at once.
type Fuser interface {
	Device
	// Fuses returns nil if the device has one kernel for nodes, which match f, and each of which it
	// Supports. Otherwise it returns a *UnsupportedError with a reason; so it does for a Fusion that it does
	// not know, because fusions are added later.
	Fuses(f Fusion, nodes []*tensor.Tensor) error
}

// Group is a part of a Subgraph that a Fuser runs as one kernel.
//
// It does so as if the nodes ran one after the other, but for results that are inner (see Fusion.Inner):
// these have no memory, and Place returns the zero Storage for them. A result that is not inner may lie
// exactly over a source that Fusion.Over returns, and overlaps no other source of the group.
type Group struct {
	Fusion   Fusion
	From, To int // Nodes[From:To]
}

// ErrGroup is what CheckGroups returns.
var ErrGroup = errors.New("malformed group")

// CheckGroups reports groups that do not lie in Nodes one after the other, that do not match their Fusion, or
// that hold a node without elements. A device calls it first in Compile.
func (g *Subgraph) CheckGroups() error {
	next := 0
	for _, x := range g.Groups {
		if x.Fusion >= numFusions || x.From < next || x.To > len(g.Nodes) || x.To-x.From != x.Fusion.Len() {
			return fmt.Errorf("%w: %s of nodes %d to %d, after node %d of %d", ErrGroup, x.Fusion, x.From, x.To, next, len(g.Nodes))
		}
		nodes := g.Nodes[x.From:x.To]
		if !x.Fusion.Match(nodes) {
			return fmt.Errorf("%w: nodes %d to %d are no %s", ErrGroup, x.From, x.To, x.Fusion)
		}
		for _, n := range nodes {
			if n.Bytes() == 0 {
				return fmt.Errorf("%w: %v in %s has no elements", ErrGroup, n, x.Fusion)
			}
		}
		next = x.To
	}
	return nil
}

// Fusion is a pattern of consecutive nodes for which a device may have one kernel.
type Fusion uint8

// The fusions. In these formulas what is inner stands in place, and names are results that are stored.
const (
	// AddRMSNormMul is sum = Add(a, b), y = Mul(RMSNorm(sum), w).
	AddRMSNormMul Fusion = iota
	// RMSNormMul is y = Mul(RMSNorm(x), w).
	RMSNormMul
	// RoPESetRows is y = SetRows(cache, RoPE(x, pos, freq), idx): of x [d, heads, tokens] the result is
	// reshaped to rows of all heads, [d*heads, tokens].
	RoPESetRows
	// MatMulGLU is y = GLU(MatMul(gate, x), MatMul(up, x)), both with the same Op.
	MatMulGLU
	// MatMulIDGLU is y = GLU(MatMulID(gate, x, ids), MatMulID(up, x, ids)), both with the same Op.
	MatMulIDGLU
	// MatMulAdd is y = Add(MatMul(w, x), b), where b may repeat, or y = Add(b, MatMul(w, x)), where it has
	// the shape of the product: a bias, or a residual.
	MatMulAdd
	// SoftCap is y = Scale(Unary{Tanh}(Scale(x))).
	SoftCap
	numFusions
)

// pattern is what makes nodes a Fusion.
type pattern struct {
	name  string
	ops   []tensor.Kind
	inner []int                         // nodes whose results are not stored
	wired func(n []*tensor.Tensor) bool // given that each inner result is used once
	over  [][2]int                      // node and source that a stored result may lie over
}

// patterns has the longer before the shorter of those that begin with the same op.
var patterns = [numFusions]pattern{
	AddRMSNormMul: {
		name: "Add+RMSNorm+Mul", ops: kinds(tensor.Add{}, tensor.RMSNorm{}, tensor.Mul{}), inner: []int{1},
		wired: func(n []*tensor.Tensor) bool {
			return n[1].Src[0] == n[0] && n[2].Src[0] == n[1] && n[2].Src[1].Root() != n[0]
		},
		over: [][2]int{{0, 0}, {0, 1}},
	},
	RMSNormMul: {
		name: "RMSNorm+Mul", ops: kinds(tensor.RMSNorm{}, tensor.Mul{}), inner: []int{0},
		wired: func(n []*tensor.Tensor) bool { return n[1].Src[0] == n[0] },
		over:  [][2]int{{0, 0}},
	},
	RoPESetRows: {
		name: "RoPE+SetRows", ops: kinds(tensor.RoPE{}, tensor.SetRows{}), inner: []int{0},
		wired: func(n []*tensor.Tensor) bool {
			x, rows := n[0], n[1].Src[1]
			return rows.Root() == x && rows.IsView() && rows.Contiguous() && rows.Offset == 0 &&
				rows.Shape == tensor.MakeShape(x.Shape[0]*x.Shape[1], x.Shape[2])
		},
	},
	MatMulGLU: {
		name: "MatMul+MatMul+GLU", ops: kinds(tensor.MatMul{}, tensor.MatMul{}, tensor.GLU{}), inner: []int{0, 1}, wired: gated,
	},
	MatMulIDGLU: {
		name: "MatMulID+MatMulID+GLU", ops: kinds(tensor.MatMulID{}, tensor.MatMulID{}, tensor.GLU{}), inner: []int{0, 1}, wired: gated,
	},
	MatMulAdd: {
		name: "MatMul+Add", ops: kinds(tensor.MatMul{}, tensor.Add{}), inner: []int{0},
		wired: func(n []*tensor.Tensor) bool {
			return n[1].Src[0] == n[0] || n[1].Src[1] == n[0] && n[1].Shape == n[0].Shape
		},
		over: [][2]int{{1, 0}, {1, 1}},
	},
	SoftCap: {
		name: "Scale+Tanh+Scale", ops: kinds(tensor.Scale{}, tensor.Unary{}, tensor.Scale{}), inner: []int{0, 1},
		wired: func(n []*tensor.Tensor) bool {
			return n[1].Op == tensor.Op(tensor.Unary{Func: tensor.Tanh}) && n[1].Src[0] == n[0] && n[2].Src[0] == n[1]
		},
		over: [][2]int{{0, 0}},
	},
}

func kinds(ops ...tensor.Op) []tensor.Kind {
	var all []tensor.Kind
	for _, op := range ops {
		all = append(all, op.Kind())
	}
	return all
}

// gated reports whether n are two products with the same x and the gate over them.
func gated(n []*tensor.Tensor) bool {
	return n[0].Op == n[1].Op && slices.Equal(n[0].Src[1:], n[1].Src[1:]) && n[2].Src[0] == n[0] && n[2].Src[1] == n[1]
}

// Fusions returns all fusions in the order in which they are looked for.
func Fusions() []Fusion {
	all := make([]Fusion, numFusions)
	for i := range all {
		all[i] = Fusion(i)
	}
	return all
}

// ParseFusion returns the fusion of the given name.
func ParseFusion(name string) (Fusion, bool) {
	for i := range patterns {
		if patterns[i].name == name {
			return Fusion(i), true
		}
	}
	return 0, false
}

// String returns the fusion's name, such as "RMSNorm+Mul".
func (f Fusion) String() string {
	if f >= numFusions {
		return fmt.Sprintf("Fusion(%d)", uint8(f))
	}
	return patterns[f].name
}

// Len returns how many nodes f takes.
func (f Fusion) Len() int { return len(patterns[f].ops) }

// Match reports whether nodes, of which there are Len, are those of f. It sees nothing else of the graph:
// that inner results are used nowhere else is for the scheduler to know.
func (f Fusion) Match(nodes []*tensor.Tensor) bool {
	p := &patterns[f]
	for i, n := range nodes {
		if n.Op.Kind() != p.ops[i] {
			return false
		}
	}
	for _, i := range p.inner {
		if uses(nodes, nodes[i]) != 1 {
			return false
		}
	}
	return p.wired(nodes)
}

// uses returns how many sources of nodes lie in root.
func uses(nodes []*tensor.Tensor, root *tensor.Tensor) int {
	uses := 0
	for _, n := range nodes {
		for _, s := range n.Src {
			if s != nil && s.Root() == root {
				uses++
			}
		}
	}
	return uses
}

// Inner reports whether the result of node i is used inside the group alone, and not stored.
func (f Fusion) Inner(i int) bool { return slices.Contains(patterns[f].inner, i) }

// Over returns the sources that stored results of f may lie over, as pairs of a node and its source, where
// such a source has the type, shape and strides of the result: a kernel reads an element of it, or a whole
// row where it sums over rows, before it writes that place.
func (f Fusion) Over() [][2]int { return patterns[f].over }
