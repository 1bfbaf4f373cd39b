package tensor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// sample is a small graph of everything that Verify looks at: inputs, a weight, a written cache, views, nodes.
type sample struct {
	*tensor.Graph
	x, idx, w, cache     *tensor.Tensor
	k, write, part, view *tensor.Tensor
	scores, out          *tensor.Tensor
}

func newSample(t *testing.T) *sample {
	t.Helper()
	s := &sample{}
	b := tensor.NewBuilder()
	s.x = b.Input("x", tensor.F32, tensor.MakeShape(64, 3))
	s.idx = b.Input("idx", tensor.I32, tensor.MakeShape(3))
	s.w = leaf(tensor.Weight, tensor.Q8_0, 64, 64)
	s.cache = leaf(tensor.Cache, tensor.F16, 64, 128)
	s.k = b.Name("k", b.MatMul(s.w, s.x))
	s.write = b.Name("write", b.SetRows(s.cache, s.k, s.idx))
	s.part = b.Slice(s.write, 1, 32, 96)
	s.view = b.Permute(b.Reshape(s.x, 32, 2, 3), 0, 2, 1, 3)
	s.scores = b.Name("scores", b.MatMul(s.part, s.k))
	s.out = b.Name("out", b.Add(b.Contiguous(s.view), s.view))
	g, err := b.Build(s.scores, s.out)
	if err != nil {
		t.Fatal(err)
	}
	s.Graph = g
	return s
}

func TestVerifyAcceptsWhatIsBuilt(t *testing.T) {
	s := newSample(t)
	for range 2 { // it changes nothing
		if err := s.Verify(); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&tensor.Graph{}).Verify(); err != nil {
		t.Errorf("the empty graph: %v", err)
	}
}

// Each mistake is planted in a graph that is legal without it.
func TestVerifyFinds(t *testing.T) {
	stranger := f32(64, 3)
	for _, c := range []struct {
		name  string
		plant func(s *sample)
		says  []string
	}{
		{"nil node", func(s *sample) { s.Nodes[1] = nil }, []string{"absent", "no node"}},
		{"leaf as node", func(s *sample) { s.Nodes = append(s.Nodes, s.w) }, []string{"no node"}},
		{"view as node", func(s *sample) { s.Nodes = append(s.Nodes, s.view) }, []string{"no node"}},
		{"node twice", func(s *sample) { s.Nodes = append(s.Nodes, s.k) }, []string{"k F32", "twice"}},
		{"wrong order", func(s *sample) { s.Nodes[0], s.Nodes[1] = s.Nodes[1], s.Nodes[0] }, []string{"write", "k F32", "before"}},
		{"missing node", func(s *sample) { s.Nodes = slices.Delete(s.Nodes, 1, 2) }, []string{"scores", "write"}},
		{"reads itself", func(s *sample) { s.k.Src[1] = s.k }, []string{"k F32"}},
		{"nil output", func(s *sample) { s.Outputs[0] = nil }, []string{"output"}},
		{"output of another graph", func(s *sample) {
			b := tensor.NewBuilder()
			s.Outputs[0] = b.Name("other", b.SiLU(stranger))
		}, []string{"other"}},

		{"wrong type", func(s *sample) { s.scores.Type = tensor.F16 }, []string{"scores", "F32"}},
		{"wrong shape", func(s *sample) { s.scores.Shape[0]++ }, []string{"scores", "[64 3]"}},
		{"wrong strides", func(s *sample) { s.scores.Stride[1] += 4 }, []string{"scores", "strides"}},
		{"place nobody gave", func(s *sample) { s.scores.Base = s.cache }, []string{"scores", "place"}},
		{"offset nobody gave", func(s *sample) { s.scores.Offset = 4 }, []string{"scores", "place"}},
		{"inferred error", func(s *sample) { s.scores.Src[1] = s.idx }, []string{"scores", "I32"}},
		{"absent source", func(s *sample) { s.scores.Src[1] = nil }, []string{"scores", "source 1"}},
		{"too few sources", func(s *sample) { s.scores.Src = s.scores.Src[:1] }, []string{"scores", "want 2"}},
		{"a type without layout", func(s *sample) {
			c := s.Nodes[slices.IndexFunc(s.Nodes, func(n *tensor.Tensor) bool { return n.Op.Kind().String() == "Copy" })]
			c.Op, c.Type, c.Stride = tensor.Copy{Type: 5}, 5, c.Shape.Packed(5)
		}, []string{"DType(5)"}},
		{"rows of half a block", func(s *sample) {
			c := s.Nodes[slices.IndexFunc(s.Nodes, func(n *tensor.Tensor) bool { return n.Op.Kind().String() == "Copy" })]
			c.Op, c.Type, c.Stride = tensor.Copy{Type: tensor.Q4_K}, tensor.Q4_K, c.Shape.Packed(tensor.Q4_K)
		}, []string{"256"}},

		{"write elsewhere", func(s *sample) { s.write.Base = s.x }, []string{"write", "lie"}},
		{"view at another place", func(s *sample) { s.part.Offset += 128 }, []string{"lie"}},
		{"view of another stride", func(s *sample) { s.view.Stride[1] *= 2 }, []string{"lie"}},
		{"view of a view as base", func(s *sample) { s.view.Base = s.view.Src[0] }, []string{"lie"}},
		{"view outside its base", func(s *sample) {
			s.part.Op = tensor.View{Shape: s.part.Shape, Stride: s.part.Stride, Offset: 128 * 65}
			s.part.Offset = 128 * 65
		}, []string{"outside"}},
		{"view of nothing", func(s *sample) { s.part.Src = nil }, []string{"view"}},
		{"view of nil", func(s *sample) { s.part.Src[0] = nil }, []string{"view"}},
		{"view of itself", func(s *sample) { s.part.Src[0] = s.part }, []string{"cycle"}},
		{"views in a circle", func(s *sample) { s.view.Src[0].Src[0] = s.view }, []string{"cycle"}},

		{"leaf without role", func(s *sample) { s.w.Role = tensor.Node }, []string{"role"}},
		{"leaf of an unknown role", func(s *sample) { s.w.Role = 17 }, []string{"role"}},
		{"leaf without layout", func(s *sample) { s.w.Type = 4 }, []string{"DType(4)"}},
		{"leaf of negative size", func(s *sample) { s.w.Shape[1] = -64 }, []string{"-64"}},
		{"leaf with gaps", func(s *sample) { s.w.Stride[1] *= 2 }, []string{"strides"}},
		{"leaf inside another", func(s *sample) { s.w.Base = s.cache }, []string{"inside"}},
		{"leaf at an offset", func(s *sample) { s.w.Offset = 64 }, []string{"inside"}},
		{"input not listed", func(s *sample) { s.Inputs = s.Inputs[:1] }, []string{"idx", "Inputs"}},
		{"input that is none", func(s *sample) { s.Inputs[1] = s.w }, []string{"input"}},
		{"nil input", func(s *sample) { s.Inputs[0] = nil }, []string{"absent"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSample(t)
			c.plant(s)
			err := s.Verify()
			wantError(t, err, tensor.ErrGraph, c.says...)
			var g *tensor.GraphError
			if err != nil && !errors.As(err, &g) {
				t.Errorf("%T is no GraphError", err)
			}
		})
	}
}

func TestGraphString(t *testing.T) {
	s := newSample(t)
	lines := strings.Split(strings.TrimSuffix(s.String(), "\n"), "\n")
	if len(lines) != len(s.Nodes) {
		t.Fatalf("%d lines for %d nodes:\n%v", len(lines), len(s.Nodes), s)
	}
	if got, want := lines[0], "   0 k F32 [64 3] = MatMul{Exact:false} Q8_0 [64 64]; x F32 [64 3];"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(4))
	g, err := b.Build(b.Apply(tensor.SoftMax{Scale: 1}, x, nil, f32(1)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(g.String(), "absent") {
		t.Errorf("an absent source is not shown: %v", g)
	}
}

// An input that was made without the Builder has to be written before a run as any other.
func TestInputsAreFound(t *testing.T) {
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(4))
	loose := f32(4)
	g, err := b.Build(b.Add(b.Reshape(loose, 2, 2), b.Reshape(x, 2, 2)), x)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Inputs) != 2 || !slices.Contains(g.Inputs, x) || !slices.Contains(g.Inputs, loose) {
		t.Errorf("inputs %v", g.Inputs)
	}
}
