package opcorpus

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// ErrNotHere is matched by the error of a case whose op or type tenon does not have.
var ErrNotHere = errors.New("tenon does not have it")

// Result is what a case computes, and how it is judged.
type Result struct {
	T     *tensor.Tensor
	Limit Limit
	Set   bool // rows are compared as sets
}

// Graph is a case in terms of package tensor.
type Graph struct {
	Results []Result // several ways to compute the same
	b       *builder
}

// builder adds a case's ops to a Builder that is somebody else's.
type builder struct {
	*tensor.Builder
	f      *File
	c      *Case
	leaf   func(t tensor.DType, s tensor.Shape, data []byte) *tensor.Tensor
	leaves map[string]*tensor.Tensor
	data   map[*tensor.Tensor][]byte
	err    error // the first
}

// Build adds what c computes to b. leaf makes an input of the given bytes, which stay the file's. Errors:
// ErrNotHere, or what is wrong with the file.
func (f *File) Build(c *Case, b *tensor.Builder, leaf func(t tensor.DType, s tensor.Shape, data []byte) *tensor.Tensor) (*Graph, error) {
	k := &builder{
		Builder: b, f: f, c: c, leaf: leaf,
		leaves: map[string]*tensor.Tensor{}, data: map[*tensor.Tensor][]byte{},
	}
	for _, in := range append([]Tensor{c.Output}, c.Inputs...) {
		if err := known(in.Type); err != nil {
			return nil, err
		}
	}
	g := &Graph{k.build(), k}
	switch {
	case k.err != nil:
		return nil, k.err
	case b.Err() != nil:
		return nil, b.Err()
	case g.Results == nil:
		return nil, fmt.Errorf("opcorpus: %w: op %s", ErrNotHere, c.Op)
	}
	return g, nil
}

// known returns an error for a type that cannot be read.
func known(name string) error {
	t, ok := tensor.ParseDType(strings.ToUpper(name))
	if !ok {
		return fmt.Errorf("opcorpus: no type %q", name)
	}
	if _, err := quant.Of(t); err != nil {
		return fmt.Errorf("opcorpus: %w: type %s: %w", ErrNotHere, t, err)
	}
	return nil
}

func (k *builder) fail(format string, a ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("opcorpus: %s of %s: %s", k.c.ID(), k.f.Name, fmt.Sprintf(format, a...))
	}
}

// stored adds a leaf with the bytes of a tensor of the file.
func (k *builder) stored(name string) *tensor.Tensor {
	if x := k.leaves[name]; x != nil {
		return x
	}
	info, ok := k.f.Tensor(name)
	if !ok {
		k.fail("the file has no tensor %s", name)
		return nil
	}
	x := k.leaf(info.Type, info.Shape, k.f.Data(info))
	k.leaves[name], k.data[x] = x, k.f.Data(info)
	return x
}

// in returns the input of the given role, or nil.
func (k *builder) in(role string) *tensor.Tensor {
	for _, in := range k.c.Inputs {
		if in.Role != role {
			continue
		}
		x := k.stored(in.Tensor)
		switch {
		case x == nil:
			return nil
		case in.Nb != nil:
			return k.View(x, in.Ne, *in.Nb, in.Offset)
		case x.Shape != in.Ne:
			k.fail("%s is %v in the file, want %v", in.Tensor, x.Shape, in.Ne)
		}
		return x
	}
	return nil
}
