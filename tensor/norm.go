package tensor

// RMSNorm divides each row by the root of its mean square: x / sqrt(mean(x²) + Eps).
//
//	x F32 [n, ...]    dst like x
//
// Source: arXiv:1910.07467.
type RMSNorm struct{ Eps float32 }

// LayerNorm takes each row's mean off and divides by its deviation: (x - mean) / sqrt(var + Eps).
//
//	x F32 [n, ...]    dst like x
//
// Source: arXiv:1607.06450.
type LayerNorm struct{ Eps float32 }

// L2Norm divides each row by its length, or by Eps if that is greater: x / max(sqrt(Σx²), Eps).
//
//	x F32 [n, ...]    dst like x
type L2Norm struct{ Eps float32 }

var (
	kindRMSNorm   = newKind("RMSNorm")
	kindLayerNorm = newKind("LayerNorm")
	kindL2Norm    = newKind("L2Norm")
)

func (RMSNorm) Kind() Kind   { return kindRMSNorm }
func (LayerNorm) Kind() Kind { return kindLayerNorm }
func (L2Norm) Kind() Kind    { return kindL2Norm }

// InPlace implements InPlacer.
func (RMSNorm) InPlace() int { return 0 }

// InPlace implements InPlacer.
func (LayerNorm) InPlace() int { return 0 }

// InPlace implements InPlacer.
func (L2Norm) InPlace() int { return 0 }

// Infer implements Op.
func (op RMSNorm) Infer(src []*Tensor) (DType, Shape, error) { return inferNorm(src, op.Eps) }

// Infer implements Op.
func (op LayerNorm) Infer(src []*Tensor) (DType, Shape, error) { return inferNorm(src, op.Eps) }

// Infer implements Op.
func (op L2Norm) Infer(src []*Tensor) (DType, Shape, error) { return inferNorm(src, op.Eps) }

func inferNorm(src []*Tensor, eps float32) (DType, Shape, error) {
	if err := need(src, 1, 1); err != nil {
		return 0, Shape{}, err
	}
	if !(eps >= 0) {
		return 0, Shape{}, shapeErr("eps is %g, want 0 or more", eps)
	}
	if err := wantF32(src[0]); err != nil {
		return 0, Shape{}, err
	}
	return F32, src[0].Shape, nil
}

// RMSNorm returns x over the root of its rows' mean square; see type RMSNorm.
func (b *Builder) RMSNorm(x *Tensor, eps float32) *Tensor { return b.Apply(RMSNorm{eps}, x) }

// LayerNorm returns x with its rows centred and scaled; see type LayerNorm.
func (b *Builder) LayerNorm(x *Tensor, eps float32) *Tensor { return b.Apply(LayerNorm{eps}, x) }

// L2Norm returns x with its rows scaled to length 1; see type L2Norm.
func (b *Builder) L2Norm(x *Tensor, eps float32) *Tensor { return b.Apply(L2Norm{eps}, x) }
