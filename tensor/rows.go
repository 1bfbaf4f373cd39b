package tensor

// GetRows gathers rows, as F32 (or as they are for integer types).
//
//	x any type [n, rows, X2, X3]    idx I32|I64 [k, X2, X3]    dst F32|I.. [n, k, X2, X3]
//
// dst[:, j, p, q] = x[:, idx[j, p, q], p, q]. An index outside x is an error of the run, never a read.
// Errors: ErrShape if planes of idx and x differ.
type GetRows struct{}

var kindGetRows = newKind("GetRows")

func (GetRows) Kind() Kind { return kindGetRows }

// Infer implements Op.
func (GetRows) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 2, 2); err != nil {
		return 0, Shape{}, err
	}
	x, idx := src[0], src[1]
	if idx.Type != I32 && idx.Type != I64 {
		return 0, Shape{}, typeErr("indices are %s, want I32 or I64", idx.Type)
	}
	if idx.Shape[1] != x.Shape[2] || idx.Shape[2] != x.Shape[3] || idx.Shape[3] != 1 {
		return 0, Shape{}, shapeErr("indices %v do not fit the planes of %v", idx.Shape, x.Shape)
	}
	t := F32
	if integer(x.Type) {
		t = x.Type
	}
	return t, Shape{x.Shape[0], idx.Shape[0], x.Shape[2], x.Shape[3]}, nil
}

func integer(t DType) bool { return t == I8 || t == I16 || t == I32 || t == I64 }

// GetRows returns the rows of x that idx names; see type GetRows.
func (b *Builder) GetRows(x, idx *Tensor) *Tensor { return b.Apply(GetRows{}, x, idx) }

// SetRows scatters rows into a tensor that exists, converting them to its type. It is how the KV cache
// is written: the position lies in idx, so that a graph's shape does not depend on it.
//
//	cache F32|F16|BF16|quantized [n, rows, C2, C3]   x F32 [n, k, C2, C3]   idx I32|I64 [k, C2, C3] or [k]
//	dst is cache, in place
//
// cache[:, idx[j, p, q], p, q] = x[:, j, p, q]. An index outside cache is an error of the run, never a
// write; two equal indices leave either row. Errors: ErrShape if the sizes do not fit together, ErrType
// if cache is a weight.
type SetRows struct{}

var kindSetRows = newKind("SetRows")

func (SetRows) Kind() Kind { return kindSetRows }

// Infer implements Op.
func (SetRows) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 3, 3); err != nil {
		return 0, Shape{}, err
	}
	cache, x, idx := src[0], src[1], src[2]
	if !cache.Type.float() && !cache.Type.Quantized() {
		return 0, Shape{}, typeErr("%s is %s, want a float or quantized type", label(cache), cache.Type)
	}
	if cache.Root().Role == Weight {
		return 0, Shape{}, typeErr("%s is a weight, which lies in memory that is only read", label(cache))
	}
	if err := wantF32(x); err != nil {
		return 0, Shape{}, err
	}
	if idx.Type != I32 && idx.Type != I64 {
		return 0, Shape{}, typeErr("indices are %s, want I32 or I64", idx.Type)
	}
	if x.Shape[0] != cache.Shape[0] || x.Shape[2] != cache.Shape[2] || x.Shape[3] != cache.Shape[3] {
		return 0, Shape{}, shapeErr("rows %v do not fit %v", x.Shape, cache.Shape)
	}
	if idx.Shape[0] != x.Shape[1] || !(Shape{1, x.Shape[2], x.Shape[3], 1}).Repeats(Shape{1, idx.Shape[1], idx.Shape[2], idx.Shape[3]}) {
		return 0, Shape{}, shapeErr("indices %v do not fit rows %v", idx.Shape, x.Shape)
	}
	return cache.Type, cache.Shape, nil
}

// Alias implements Aliaser.
func (SetRows) Alias(src []*Tensor) (source, offset int, stride Strides) { return 0, 0, src[0].Stride }

// SetRows writes the rows of x into cache at idx and returns cache as it is then; see type SetRows.
func (b *Builder) SetRows(cache, x, idx *Tensor) *Tensor { return b.Apply(SetRows{}, cache, x, idx) }
