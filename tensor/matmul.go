package tensor

// MatMul multiplies each row of b by each row of a: dst[i, j] = Σ_k a[k, i] * b[k, j].
//
//	a any float or quantized type [k, n, A2, A3]    b F32|F16|BF16 [k, m, B2, B3]    dst F32 [n, m, B2, B3]
//
// a is repeated along dimensions 2 and 3: B2 and B3 are whole multiples of A2 and A3, and plane j of b
// meets plane j / (B2/A2) of a. Unless Exact is set a backend may round b to blocks of 8-bit integers
// or to half precision first, as its conformance tolerance says; sums are F32 or wider.
// Errors: ErrShape if the inner sizes or planes do not fit.
type MatMul struct{ Exact bool }

var kindMatMul = newKind("MatMul")

func (MatMul) Kind() Kind { return kindMatMul }

// Infer implements Op.
func (MatMul) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 2, 2); err != nil {
		return 0, Shape{}, err
	}
	a, b := src[0], src[1]
	if err := wantFactors(a, b); err != nil {
		return 0, Shape{}, err
	}
	if a.Shape[0] != b.Shape[0] {
		return 0, Shape{}, shapeErr("inner sizes differ: %d and %d", a.Shape[0], b.Shape[0])
	}
	if !b.Shape.Repeats(Shape{1, 1, a.Shape[2], a.Shape[3]}) {
		return 0, Shape{}, shapeErr("planes of %v do not repeat to those of %v", a.Shape, b.Shape)
	}
	return F32, Shape{a.Shape[1], b.Shape[1], b.Shape[2], b.Shape[3]}, nil
}

func wantFactors(a, b *Tensor) error {
	if !a.Type.float() && !a.Type.Quantized() {
		return typeErr("a is %s, want a float or quantized type", a.Type)
	}
	return wantFloat(b)
}

// MatMul returns the product of y with the matrix a; see type MatMul.
func (b *Builder) MatMul(a, y *Tensor) *Tensor { return b.Apply(MatMul{}, a, y) }

// MatMulExact is MatMul that does not round y.
func (b *Builder) MatMulExact(a, y *Tensor) *Tensor { return b.Apply(MatMul{Exact: true}, a, y) }

// MatMulID multiplies each row of b by the matrix that ids names: the experts of a mixture.
//
//	a any float or quantized type [k, n, experts]   b F32 [k, used or 1, tok]   ids I32 [used, tok]
//	dst F32 [n, used, tok]
//
// dst[:, j, t] = a[:, :, ids[j, t]] · b[:, j or 0, t]. An id outside a is an error of the run. Exact is
// as in MatMul. Errors: ErrShape if the sizes do not fit together.
type MatMulID struct{ Exact bool }

var kindMatMulID = newKind("MatMulID")

func (MatMulID) Kind() Kind { return kindMatMulID }

// Infer implements Op.
func (MatMulID) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 3, 3); err != nil {
		return 0, Shape{}, err
	}
	a, b, ids := src[0], src[1], src[2]
	if err := wantFactors(a, b); err != nil {
		return 0, Shape{}, err
	}
	if ids.Type != I32 {
		return 0, Shape{}, typeErr("ids are %s, want I32", ids.Type)
	}
	used, tok := ids.Shape[0], ids.Shape[1]
	switch {
	case a.Shape[0] != b.Shape[0]:
		return 0, Shape{}, shapeErr("inner sizes differ: %d and %d", a.Shape[0], b.Shape[0])
	case a.Shape[3] != 1 || b.Shape[3] != 1 || ids.Shape[2] != 1 || ids.Shape[3] != 1:
		return 0, Shape{}, shapeErr("too many dimensions")
	case b.Shape[1] != 1 && b.Shape[1] != used || b.Shape[2] != tok:
		return 0, Shape{}, shapeErr("b %v does not fit ids %v", b.Shape, ids.Shape)
	}
	return F32, MakeShape(a.Shape[1], used, tok), nil
}

// MatMulID returns the products of y's rows with the matrices of a that ids names; see type MatMulID.
func (b *Builder) MatMulID(a, y, ids *Tensor) *Tensor { return b.Apply(MatMulID{}, a, y, ids) }
