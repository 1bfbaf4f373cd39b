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
	_, bytes := x.Type.Block()
	n := op.Shape.Elems()
	if n < 0 || x.Type.RowBytes(op.Shape[0]) < 0 {
		return 0, Shape{}, shapeErr("no view of %v", [MaxDims]int(op.Shape))
	}
	end := op.Offset + bytes
	for d, st := range op.Stride {
		steps := op.Shape[d] - 1
		if d == 0 {
			elems, _ := x.Type.Block()
			steps = op.Shape[0]/elems - 1
		}
		if st < 0 || st%bytes != 0 || steps > 0 && st > (1<<60)/steps {
			return 0, Shape{}, shapeErr("stride %d of dimension %d, with blocks of %d bytes", st, d, bytes)
		}
		end += max(steps, 0) * st
	}
	if op.Offset < 0 || op.Offset%bytes != 0 || n > 0 && end > x.Bytes() {
		return 0, Shape{}, shapeErr("bytes %d to %d lie outside %d bytes", op.Offset, end, x.Bytes())
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
	elems := 1
	if dim == 0 {
		elems, _ = x.Type.Block()
	}
	shape, stride := x.Shape, x.Stride
	shape[dim] = to - from
	offset := from / elems * stride[dim]
	if from%elems != 0 || from < 0 || to < from || to > x.Shape[dim] {
		offset = -1 // refused by Infer, with this call's site
	}
	return b.Apply(View{shape, stride, offset}, x)
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
