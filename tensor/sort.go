package tensor

// TopK gives the indices of the K greatest elements of each row, greatest first; the lower index wins
// ties, and NaN counts as smallest.
//
//	x F32 [n, ...]    dst I32 [K, ...]
//
// Errors: ErrShape if K is not between 1 and n.
type TopK struct{ K int }

// ArgSort gives the indices that sort each row; the lower index wins ties, and NaN counts as smallest.
//
//	x F32 [n, ...]    dst I32 like x
type ArgSort struct{ Descending bool }

// ArgMax gives the index of each row's greatest element; the lower index wins ties, NaN never wins.
//
//	x F32 [n, rows]    dst I32 [rows]
//
// Errors: ErrShape if rows are empty or there are more than two dimensions.
type ArgMax struct{}

// SumRows adds each row up.
//
//	x F32 [n, ...]    dst F32 [1, ...]
type SumRows struct{}

var (
	kindTopK    = newKind("TopK")
	kindArgSort = newKind("ArgSort")
	kindArgMax  = newKind("ArgMax")
	kindSumRows = newKind("SumRows")
)

func (TopK) Kind() Kind    { return kindTopK }
func (ArgSort) Kind() Kind { return kindArgSort }
func (ArgMax) Kind() Kind  { return kindArgMax }
func (SumRows) Kind() Kind { return kindSumRows }

// Infer implements Op.
func (op TopK) Infer(src []*Tensor) (DType, Shape, error) {
	s, err := inferRows(src)
	if err == nil && (op.K < 1 || op.K > s[0]) {
		err = shapeErr("no %d greatest of %d", op.K, s[0])
	}
	s[0] = op.K
	return I32, s, err
}

// Infer implements Op.
func (ArgSort) Infer(src []*Tensor) (DType, Shape, error) {
	s, err := inferRows(src)
	return I32, s, err
}

// Infer implements Op.
func (ArgMax) Infer(src []*Tensor) (DType, Shape, error) {
	s, err := inferRows(src)
	if err == nil && (s[0] == 0 || s.Dims() > 2) {
		err = shapeErr("want filled rows and at most two dimensions")
	}
	return I32, MakeShape(s[1]), err
}

// Infer implements Op.
func (SumRows) Infer(src []*Tensor) (DType, Shape, error) {
	s, err := inferRows(src)
	s[0] = 1
	return F32, s, err
}

func inferRows(src []*Tensor) (Shape, error) {
	if err := need(src, 1, 1); err != nil {
		return Shape{}, err
	}
	return src[0].Shape, wantF32(src[0])
}

// TopK returns the indices of the k greatest elements of each row of x; see type TopK.
func (b *Builder) TopK(x *Tensor, k int) *Tensor { return b.Apply(TopK{k}, x) }

// ArgSort returns the indices that sort each row of x, the least first; see type ArgSort.
func (b *Builder) ArgSort(x *Tensor) *Tensor { return b.Apply(ArgSort{}, x) }

// ArgMax returns the index of the greatest element of each row of x; see type ArgMax.
func (b *Builder) ArgMax(x *Tensor) *Tensor { return b.Apply(ArgMax{}, x) }

// SumRows returns the sum of each row of x; see type SumRows.
func (b *Builder) SumRows(x *Tensor) *Tensor { return b.Apply(SumRows{}, x) }
