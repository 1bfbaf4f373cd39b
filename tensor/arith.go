package tensor

// The four operations of arithmetic, element by element; b is repeated along each dimension to a's
// shape, whose sizes are whole multiples of b's.
//
//	a F32|F16|BF16    b F32|F16|BF16, repeated    dst like a
//
// Errors: ErrShape if b does not repeat to a.
type (
	Add struct{} // a + b
	Sub struct{} // a - b
	Mul struct{} // a * b
	Div struct{} // a / b
)

var (
	kindAdd = newKind("Add")
	kindSub = newKind("Sub")
	kindMul = newKind("Mul")
	kindDiv = newKind("Div")
)

func (Add) Kind() Kind { return kindAdd }
func (Sub) Kind() Kind { return kindSub }
func (Mul) Kind() Kind { return kindMul }
func (Div) Kind() Kind { return kindDiv }

// Infer implements Op.
func (Add) Infer(src []*Tensor) (DType, Shape, error) { return inferBinary(src) }

// Infer implements Op.
func (Sub) Infer(src []*Tensor) (DType, Shape, error) { return inferBinary(src) }

// Infer implements Op.
func (Mul) Infer(src []*Tensor) (DType, Shape, error) { return inferBinary(src) }

// Infer implements Op.
func (Div) Infer(src []*Tensor) (DType, Shape, error) { return inferBinary(src) }

// InPlace implements InPlacer.
func (Add) InPlace() int { return 0 }

// InPlace implements InPlacer.
func (Sub) InPlace() int { return 0 }

// InPlace implements InPlacer.
func (Mul) InPlace() int { return 0 }

// InPlace implements InPlacer.
func (Div) InPlace() int { return 0 }

func inferBinary(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 2, 2); err != nil {
		return 0, Shape{}, err
	}
	if err := wantFloat(src...); err != nil {
		return 0, Shape{}, err
	}
	if a, b := src[0], src[1]; !a.Shape.Repeats(b.Shape) {
		return 0, Shape{}, shapeErr("%v does not repeat to %v", b.Shape, a.Shape)
	}
	return src[0].Type, src[0].Shape, nil
}

// Add returns x + y; see type Add.
func (b *Builder) Add(x, y *Tensor) *Tensor { return b.Apply(Add{}, x, y) }

// Sub returns x - y; see type Sub.
func (b *Builder) Sub(x, y *Tensor) *Tensor { return b.Apply(Sub{}, x, y) }

// Mul returns x * y; see type Mul.
func (b *Builder) Mul(x, y *Tensor) *Tensor { return b.Apply(Mul{}, x, y) }

// Div returns x / y; see type Div.
func (b *Builder) Div(x, y *Tensor) *Tensor { return b.Apply(Div{}, x, y) }

// AddID adds to each row of a the row of b that ids names: the biases of a mixture's experts.
//
//	a F32 [n, used, tok]   b F32 [n, experts]   ids I32 [used, tok]   dst like a
//
// dst[:, j, t] = a[:, j, t] + b[:, ids[j, t]]. An id outside b is an error of the run.
// Errors: ErrShape if the sizes do not fit together.
type AddID struct{}

var kindAddID = newKind("AddID")

func (AddID) Kind() Kind { return kindAddID }

// InPlace implements InPlacer.
func (AddID) InPlace() int { return 0 }

// Infer implements Op.
func (AddID) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 3, 3); err != nil {
		return 0, Shape{}, err
	}
	a, b, ids := src[0], src[1], src[2]
	if err := wantF32(a, b); err != nil {
		return 0, Shape{}, err
	}
	if ids.Type != I32 {
		return 0, Shape{}, typeErr("ids are %s, want I32", ids.Type)
	}
	if b.Shape != MakeShape(a.Shape[0], b.Shape[1]) || ids.Shape != MakeShape(a.Shape[1], a.Shape[2]) || a.Shape[3] != 1 {
		return 0, Shape{}, shapeErr("want a [n used tok], b [n experts], ids [used tok]")
	}
	return F32, a.Shape, nil
}

// AddID returns x plus the rows of y that ids names; see type AddID.
func (b *Builder) AddID(x, y, ids *Tensor) *Tensor { return b.Apply(AddID{}, x, y, ids) }

// Scale is x * Scale + Bias, element by element.
//
//	x F32|F16|BF16    dst like x
type Scale struct{ Scale, Bias float32 }

var kindScale = newKind("Scale")

func (Scale) Kind() Kind { return kindScale }

// InPlace implements InPlacer.
func (Scale) InPlace() int { return 0 }

// Infer implements Op.
func (Scale) Infer(src []*Tensor) (DType, Shape, error) { return inferUnary(src) }

// Scale returns x * s; see type Scale.
func (b *Builder) Scale(x *Tensor, s float32) *Tensor { return b.Apply(Scale{Scale: s}, x) }

// Clamp is x limited to Min..Max, element by element; NaN stays NaN.
//
//	x F32|F16|BF16    dst like x
type Clamp struct{ Min, Max float32 }

var kindClamp = newKind("Clamp")

func (Clamp) Kind() Kind { return kindClamp }

// InPlace implements InPlacer.
func (Clamp) InPlace() int { return 0 }

// Infer implements Op.
func (op Clamp) Infer(src []*Tensor) (DType, Shape, error) {
	if !(op.Min <= op.Max) {
		return 0, Shape{}, shapeErr("nothing lies between %g and %g", op.Min, op.Max)
	}
	return inferUnary(src)
}

// Clamp returns x limited to lo..hi; see type Clamp.
func (b *Builder) Clamp(x *Tensor, lo, hi float32) *Tensor { return b.Apply(Clamp{lo, hi}, x) }

func inferUnary(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 1, 1); err != nil {
		return 0, Shape{}, err
	}
	if err := wantFloat(src...); err != nil {
		return 0, Shape{}, err
	}
	return src[0].Type, src[0].Shape, nil
}
