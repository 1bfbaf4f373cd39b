package tensor

// Reshape is the same elements in the same order under another shape. It computes nothing.
//
//	x any type, contiguous    dst like x but of shape Shape
//
// Errors: ErrShape if the number of elements differs, x is not contiguous, or a quantized row changes
// its length to no whole number of blocks.
type Reshape struct{ Shape Shape }

var kindReshape = newKind("Reshape")

func (Reshape) Kind() Kind { return kindReshape }
func (Reshape) view()      {}

// Infer implements Op.
func (op Reshape) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 1, 1); err != nil {
		return 0, Shape{}, err
	}
	x := src[0]
	if !x.Contiguous() {
		return 0, Shape{}, shapeErr("strides %v leave gaps", x.Stride)
	}
	if op.Shape.Elems() != x.Shape.Elems() {
		return 0, Shape{}, shapeErr("%v has another number of elements than %v", op.Shape, x.Shape)
	}
	if err := checkLayout(x.Type, op.Shape); err != nil {
		return 0, Shape{}, err
	}
	return x.Type, op.Shape, nil
}

// Alias implements Aliaser.
func (op Reshape) Alias(src []*Tensor) (source, offset int, stride Strides) {
	return 0, 0, op.Shape.Packed(src[0].Type)
}

// Reshape returns x under another shape; see type Reshape.
func (b *Builder) Reshape(x *Tensor, sizes ...int) *Tensor {
	return b.Apply(Reshape{MakeShape(sizes...)}, x)
}

// View is a part of a tensor under any strides. It computes nothing.
//
//	x any type    dst like x but of shape Shape, at Offset bytes from x's first element
//
// Errors: ErrShape if the part does not lie in x, or an offset or stride splits a block.
type View struct {
	Shape  Shape
	Stride Strides // in bytes
	Offset int     // in bytes
}

var kindView = newKind("View")

func (View) Kind() Kind { return kindView }
func (View) view()      {}

// Infer implements Op.
func (op View) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 1, 1); err != nil {
		return 0, Shape{}, err
	}
	x := src[0]
	if err := checkLayout(x.Type, op.Shape); err != nil {
		return 0, Shape{}, err
	}
	elems, bytes := x.Type.Block()
	filled := op.Shape.Elems() > 0
	room := x.Bytes() // from x's first byte to the end of its last
	if op.Offset < 0 || op.Offset%bytes != 0 || op.Offset > room {
		return 0, Shape{}, shapeErr("offset %d in %d bytes, with blocks of %d", op.Offset, room, bytes)
	}
	left := room - op.Offset - bytes // for the way to the first byte of the last block
	for d, st := range op.Stride {
		steps := op.Shape[d] - 1
		if d == 0 {
			steps = op.Shape[0]/elems - 1
		}
		if st < 0 || st%bytes != 0 {
			return 0, Shape{}, shapeErr("stride %d of dimension %d, with blocks of %d bytes", st, d, bytes)
		}
		if !filled || st == 0 {
			continue
		}
		if steps > max(left, 0)/st {
			left = -1
			break
		}
		left -= steps * st
	}
	if filled && left < 0 {
		return 0, Shape{}, shapeErr("%v with strides %v from byte %d lies outside %d bytes", op.Shape, op.Stride, op.Offset, room)
	}
	return x.Type, op.Shape, nil
}

// Alias implements Aliaser.
func (op View) Alias([]*Tensor) (source, offset int, stride Strides) { return 0, op.Offset, op.Stride }

// View returns a part of x under any strides; see type View.
func (b *Builder) View(x *Tensor, shape Shape, stride Strides, offset int) *Tensor {
	return b.Apply(View{shape, stride, offset}, x)
}

// Slice returns elements from to to of dimension dim of x, as a view. In dimension 0 of a quantized
// type both must be whole blocks.
func (b *Builder) Slice(x *Tensor, dim, from, to int) *Tensor {
	if b.err != nil {
		return b.bad
	}
	if x == nil {
		return b.Apply(View{}, x)
	}
	op := View{Shape: x.Shape, Stride: x.Stride}
	if dim < 0 || dim >= MaxDims {
		return b.refuse(op, []*Tensor{x}, shapeErr("no dimension %d", dim))
	}
	elems := 1
	if dim == 0 {
		elems, _ = x.Type.Block()
		elems = max(elems, 1) // Infer refuses a type without blocks
	}
	if from < 0 || to < from || to > x.Shape[dim] || from%elems != 0 || to%elems != 0 {
		return b.refuse(op, []*Tensor{x}, shapeErr("no slice %d to %d of the %d in dimension %d, in blocks of %d",
			from, to, x.Shape[dim], dim, elems))
	}
	op.Shape[dim] = to - from
	if op.Shape.Elems() > 0 { // what is empty lies at the start, since it may be cut from the end
		op.Offset = from / elems * x.Stride[dim]
	}
	return b.Apply(op, x)
}

// Permute is the same elements with dimensions in another order: dimension i of the result is
// dimension Axes[i] of x. It computes nothing.
//
//	x any type    dst like x, dimensions permuted
//
// Errors: ErrShape if Axes is no permutation, or moves dimension 0 of a quantized type.
type Permute struct{ Axes [MaxDims]int }

var kindPermute = newKind("Permute")

func (Permute) Kind() Kind { return kindPermute }
func (Permute) view()      {}

// Infer implements Op.
func (op Permute) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 1, 1); err != nil {
		return 0, Shape{}, err
	}
	x := src[0]
	var seen [MaxDims]bool
	var s Shape
	for i, a := range op.Axes {
		if a < 0 || a >= MaxDims || seen[a] {
			return 0, Shape{}, shapeErr("axes %v are no permutation", op.Axes)
		}
		seen[a] = true
		s[i] = x.Shape[a]
	}
	if op.Axes[0] != 0 && x.Type.Quantized() {
		return 0, Shape{}, shapeErr("axes %v tear the blocks of %s apart", op.Axes, x.Type)
	}
	return x.Type, s, nil
}

// Alias implements Aliaser.
func (op Permute) Alias(src []*Tensor) (source, offset int, stride Strides) {
	for i, a := range op.Axes {
		stride[i] = src[0].Stride[a]
	}
	return 0, 0, stride
}

// Permute returns x with its dimensions in the order axes; see type Permute.
func (b *Builder) Permute(x *Tensor, a0, a1, a2, a3 int) *Tensor {
	return b.Apply(Permute{[MaxDims]int{a0, a1, a2, a3}}, x)
}
