package tensor

// Copy gives a packed tensor with the same elements, converted to Type.
//
//	x any type    dst Type, same shape
//
// To the same type the bytes are equal. Integers convert only to integers and F32; a float becomes the
// nearest integer, the even one of two, what an integer type cannot hold its least or greatest value, and
// NaN 0.
// Errors: ErrShape if rows are no whole number of Type's blocks, ErrType if there is no conversion.
type Copy struct{ Type DType }

var kindCopy = newKind("Copy")

func (Copy) Kind() Kind { return kindCopy }

// Infer implements Op.
func (op Copy) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 1, 1); err != nil {
		return 0, Shape{}, err
	}
	from := src[0].Type
	if from != op.Type && (integer(from) && op.Type != F32 && !integer(op.Type) || integer(op.Type) && from != F32 && !integer(from)) {
		return 0, Shape{}, typeErr("no conversion from %s to %s", from, op.Type)
	}
	if err := checkLayout(op.Type, src[0].Shape); err != nil {
		return 0, Shape{}, err
	}
	return op.Type, src[0].Shape, nil
}

// Cast returns x converted to type t, packed; see type Copy.
func (b *Builder) Cast(x *Tensor, t DType) *Tensor { return b.Apply(Copy{t}, x) }

// Contiguous returns x itself if it is packed, and a packed copy otherwise.
func (b *Builder) Contiguous(x *Tensor) *Tensor {
	if b.err != nil {
		return b.bad
	}
	if x == nil {
		return b.Apply(Copy{}, x)
	}
	if x.Contiguous() {
		return x
	}
	return b.Apply(Copy{x.Type}, x)
}

// Concat joins two tensors along dimension Dim.
//
//	a any type that is not quantized    b like a but for its size along Dim    dst sizes added along Dim
//
// Errors: ErrShape if other sizes differ, ErrType if the types do.
type Concat struct{ Dim int }

var kindConcat = newKind("Concat")

func (Concat) Kind() Kind { return kindConcat }

// Infer implements Op.
func (op Concat) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 2, 2); err != nil {
		return 0, Shape{}, err
	}
	a, b := src[0], src[1]
	if op.Dim < 0 || op.Dim >= MaxDims {
		return 0, Shape{}, shapeErr("no dimension %d", op.Dim)
	}
	if a.Type != b.Type || a.Type.Quantized() {
		return 0, Shape{}, typeErr("cannot join %s and %s", a.Type, b.Type)
	}
	s, t := a.Shape, b.Shape
	s[op.Dim] += t[op.Dim]
	t[op.Dim] = s[op.Dim]
	if s != t || s[op.Dim] < a.Shape[op.Dim] {
		return 0, Shape{}, shapeErr("cannot join %v and %v along dimension %d", a.Shape, b.Shape, op.Dim)
	}
	return a.Type, s, nil
}

// Concat returns x and y joined along dimension dim; see type Concat.
func (b *Builder) Concat(x, y *Tensor, dim int) *Tensor { return b.Apply(Concat{dim}, x, y) }

// Repeat tiles a tensor to Shape.
//
//	x any type that is not quantized    dst like x, of shape Shape
//
// Errors: ErrShape if a size of Shape is no whole multiple of x's.
type Repeat struct{ Shape Shape }

var kindRepeat = newKind("Repeat")

func (Repeat) Kind() Kind { return kindRepeat }

// Infer implements Op.
func (op Repeat) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 1, 1); err != nil {
		return 0, Shape{}, err
	}
	if src[0].Type.Quantized() {
		return 0, Shape{}, typeErr("cannot tile %s", src[0].Type)
	}
	if op.Shape.Elems() < 0 || !op.Shape.Repeats(src[0].Shape) {
		return 0, Shape{}, shapeErr("%v does not repeat to %v", src[0].Shape, [MaxDims]int(op.Shape))
	}
	return src[0].Type, op.Shape, nil
}

// Repeat returns x tiled to the given sizes; see type Repeat.
func (b *Builder) Repeat(x *Tensor, sizes ...int) *Tensor {
	return b.Apply(Repeat{MakeShape(sizes...)}, x)
}
