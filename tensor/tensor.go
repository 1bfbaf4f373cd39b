package tensor

import (
	"fmt"

	"github.com/tenon-go/tenon/buffer"
)

// Role says what a leaf is for. It steers placement and messages; it never changes a result.
type Role uint8

// The roles.
const (
	Node   Role = iota // no leaf: the result of an Op
	Weight             // constant for the life of a model
	Input              // written before each run of a graph
	Cache              // outlives a run and is written by it
)

// String returns the role in lower case.
func (r Role) String() string {
	if r > Cache {
		return fmt.Sprintf("Role(%d)", uint8(r))
	}
	return [...]string{"node", "weight", "input", "cache"}[r]
}

// Tensor describes one tensor: a leaf, or the result of Op over Src.
type Tensor struct {
	Name   string
	Role   Role
	Type   DType
	Shape  Shape
	Stride Strides // in bytes

	Op  Op        // nil for a leaf
	Src []*Tensor // operands; an optional one that is absent is nil

	// Base is the tensor whose memory this one lies in, never itself a view, and Offset its distance
	// in bytes from Base's start. Base is nil for a tensor with memory of its own.
	Base   *Tensor
	Offset int

	// Layer is the model layer that a node belongs to, or -1. Placement is asked for by layer.
	Layer int

	// Storage is where a weight or cache lies. It is bound before planning; a tensor without one gets
	// its memory from a plan.
	Storage Storage
}

// Storage is a place in a buffer. The zero Storage is no place.
type Storage struct {
	Buffer buffer.Buffer
	Offset int64 // in bytes
}

// Bound reports whether s is a place.
func (s Storage) Bound() bool { return s.Buffer != nil }

// NewLeaf returns a packed leaf. Errors: ErrType for a type whose layout is unknown, ErrShape for a
// negative or overflowing shape or a row that is not a whole number of blocks.
func NewLeaf(role Role, name string, t DType, s Shape) (*Tensor, error) {
	x := &Tensor{Name: name, Role: role, Type: t, Shape: s, Layer: -1}
	if err := checkLayout(t, s); err != nil {
		return nil, fmt.Errorf("tensor: %s %q: %w", role, name, err)
	}
	x.Stride = s.Packed(t)
	return x, nil
}

// checkLayout reports why a packed tensor of type t and shape s cannot be.
func checkLayout(t DType, s Shape) error {
	if !t.Valid() {
		return fmt.Errorf("%w: %s has no known layout", ErrType, t)
	}
	whole := s // strides are made of the other sizes where one is 0
	for d := range whole {
		if whole[d] == 0 {
			whole[d] = 1
		}
	}
	if n := whole.Elems(); n < 0 || n > 1<<59 { // so that bytes of 8 to an element fit an int
		return fmt.Errorf("%w: %v is negative or too large", ErrShape, [MaxDims]int(s))
	}
	if t.RowBytes(s[0]) < 0 {
		elems, _ := t.Block()
		return fmt.Errorf("%w: rows of %d are no whole number of %s blocks of %d", ErrShape, s[0], t, elems)
	}
	return nil
}

// Bind says where leaf t lies. Errors: ErrBind if t is no leaf, or the place does not hold it.
func (t *Tensor) Bind(b buffer.Buffer, offset int64) error {
	if t.Op != nil {
		return fmt.Errorf("tensor: %w: %q is the result of %s, no leaf", ErrBind, t.Name, t.Op.Kind())
	}
	if size := int64(t.Bytes()); offset < 0 || offset > b.Size() || size > b.Size()-offset {
		return fmt.Errorf("tensor: %w: %q needs %d bytes at offset %d of a buffer of %d", ErrBind, t.Name, size, offset, b.Size())
	}
	t.Storage = Storage{b, offset}
	return nil
}

// Root returns the tensor that holds t's memory: Base, or t itself.
func (t *Tensor) Root() *Tensor {
	if t.Base != nil {
		return t.Base
	}
	return t
}

// IsView reports whether t is another look at memory that exists, with nothing to compute.
func (t *Tensor) IsView() bool {
	if t.Op == nil {
		return false
	}
	_, ok := t.Op.(viewOp)
	return ok
}

// Bytes returns the distance in bytes from t's first byte to the end of its last, 0 if t has no
// elements.
func (t *Tensor) Bytes() int {
	elems, bytes := t.Type.Block()
	if t.Shape.Elems() <= 0 || elems == 0 {
		return 0
	}
	n := bytes + (t.Shape[0]/elems-1)*t.Stride[0]
	for d := 1; d < MaxDims; d++ {
		n += (t.Shape[d] - 1) * t.Stride[d]
	}
	return n
}

// Contiguous reports whether t's elements lie in order and without gaps. Dimensions of size 1 may
// have any stride, but for dimension 0, so that what is contiguous has ContiguousRows too.
func (t *Tensor) Contiguous() bool {
	packed := t.Shape.Packed(t.Type)
	for d := range t.Shape {
		if n := t.Shape[d]; t.Stride[d] != packed[d] && (d == 0 || n > 1) {
			return t.Shape.Elems() == 0
		}
	}
	return true
}

// ContiguousRows reports whether the elements of each row lie in order and without gaps.
func (t *Tensor) ContiguousRows() bool {
	_, bytes := t.Type.Block()
	return t.Stride[0] == bytes
}

// String returns name, type and shape, such as "q F32 [64 8 5]".
func (t *Tensor) String() string {
	if t == nil {
		return "absent"
	}
	if t.Name == "" {
		return t.Type.String() + " " + t.Shape.String()
	}
	return t.Name + " " + t.Type.String() + " " + t.Shape.String()
}
