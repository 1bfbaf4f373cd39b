package tensor

// SoftMax is softmax(x*Scale + slope*mask) along rows. With a sink, exp(sink) of the head takes part
// in the sum. A row that is hidden whole (all -Inf) gives zeros. slope is 1 unless MaxBias > 0 (ALiBi).
//
//	x F32 [n, rows, nHead, n3]   mask F32|F16 [n, at least rows, M2, M3], repeated, optional   sinks F32 [nHead], optional
//	dst like x
//
// Errors: ErrShape if mask or sinks do not fit. Sources: arXiv:1706.03762, arXiv:2108.12409 (ALiBi).
type SoftMax struct{ Scale, MaxBias float32 }

var kindSoftMax = newKind("SoftMax")

func (SoftMax) Kind() Kind { return kindSoftMax }

// InPlace implements InPlacer.
func (SoftMax) InPlace() int { return 0 }

// Infer implements Op.
func (op SoftMax) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 1, 3); err != nil {
		return 0, Shape{}, err
	}
	x, mask, sinks := src[0], opt(src, 1), opt(src, 2)
	if err := wantF32(x, sinks); err != nil {
		return 0, Shape{}, err
	}
	if err := checkMask(mask, x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]); err != nil {
		return 0, Shape{}, err
	}
	if sinks != nil && sinks.Shape != MakeShape(x.Shape[2]) {
		return 0, Shape{}, shapeErr("sinks %v for %d heads", sinks.Shape, x.Shape[2])
	}
	return F32, x.Shape, nil
}

// checkMask reports why mask cannot hide n cells from rows queries of heads heads and n3 streams.
func checkMask(mask *Tensor, n, rows, heads, n3 int) error {
	switch {
	case mask == nil:
		return nil
	case mask.Type != F32 && mask.Type != F16:
		return typeErr("the mask is %s, want F32 or F16", mask.Type)
	case mask.Shape[0] != n || mask.Shape[1] < rows || !(Shape{1, 1, heads, n3}).Repeats(Shape{1, 1, mask.Shape[2], mask.Shape[3]}):
		return shapeErr("the mask is %v, want [%d %d] and planes that repeat to [%d %d]", mask.Shape, n, rows, heads, n3)
	}
	return nil
}

// SoftMax returns the softmax of x*scale + mask along rows; mask may be nil. See type SoftMax.
func (b *Builder) SoftMax(x, mask *Tensor, scale float32) *Tensor {
	return b.Apply(SoftMax{Scale: scale}, x, mask)
}

// FlashAttn is attention without a stored score matrix: for each head and token, the sum of v's rows
// weighted by softmax(cap(q·k*Scale) + slope*mask), where cap(s) = SoftCap*tanh(s/SoftCap) if SoftCap
// is not 0. Heads share keys: head h reads plane h / (nHead/nHeadKV). A row that is hidden whole gives
// zeros. With sinks, exp(sink) of the head takes part in the sum. slope is 1 unless MaxBias > 0 (ALiBi).
//
//	q F32 [dk, nHead, nTok, ns]    k F32|F16|BF16|quantized [dk, nHeadKV, nCells, ns]    v like k [dv, nHeadKV, nCells, ns]
//	mask F32|F16 [nCells, at least nTok, 1 or nHead, 1 or ns], optional    sinks F32 [nHead], optional
//	dst F32 [dv, nHead, nTok, ns]
//
// Errors: ErrShape if the sizes do not fit together. Sources: arXiv:2307.08691, arXiv:2108.12409.
type FlashAttn struct{ Scale, MaxBias, SoftCap float32 }

var kindFlashAttn = newKind("FlashAttn")

func (FlashAttn) Kind() Kind { return kindFlashAttn }

// Infer implements Op.
func (op FlashAttn) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 3, 5); err != nil {
		return 0, Shape{}, err
	}
	q, k, v, mask, sinks := src[0], src[1], src[2], opt(src, 3), opt(src, 4)
	if err := wantF32(q, sinks); err != nil {
		return 0, Shape{}, err
	}
	for _, t := range []*Tensor{k, v} {
		if !t.Type.float() && !t.Type.Quantized() {
			return 0, Shape{}, typeErr("%s is %s, want a float or quantized type", label(t), t.Type)
		}
	}
	heads, kvHeads := q.Shape[1], k.Shape[1]
	switch {
	case q.Shape[0] != k.Shape[0]:
		return 0, Shape{}, shapeErr("q has heads of %d, k of %d", q.Shape[0], k.Shape[0])
	case k.Shape[1] != v.Shape[1] || k.Shape[2] != v.Shape[2] || k.Shape[3] != v.Shape[3]:
		return 0, Shape{}, shapeErr("k %v and v %v differ in more than the head size", k.Shape, v.Shape)
	case kvHeads == 0 || heads%kvHeads != 0:
		return 0, Shape{}, shapeErr("%d heads cannot share %d", heads, kvHeads)
	case q.Shape[3] != k.Shape[3]:
		return 0, Shape{}, shapeErr("q has %d streams, k has %d", q.Shape[3], k.Shape[3])
	}
	if err := checkMask(mask, k.Shape[2], q.Shape[2], heads, q.Shape[3]); err != nil {
		return 0, Shape{}, err
	}
	if sinks != nil && sinks.Shape != MakeShape(heads) {
		return 0, Shape{}, shapeErr("sinks %v for %d heads", sinks.Shape, heads)
	}
	return F32, Shape{v.Shape[0], heads, q.Shape[2], q.Shape[3]}, nil
}

// FlashAttn returns attention of q over k and v; mask and sinks may be nil. See type FlashAttn.
func (b *Builder) FlashAttn(op FlashAttn, q, k, v, mask, sinks *Tensor) *Tensor {
	return b.Apply(op, q, k, v, mask, sinks)
}
