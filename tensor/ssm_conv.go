package tensor

// SSMConv is the causal depthwise convolution of recurrent layers: each channel of each sequence has a
// row of inputs, the window that is left from before and then the new tokens, and a filter of its own.
//
//	x F32 [k-1+nTok, channels, nSeq]    w F32 [k, channels]    dst F32 [channels, nTok, nSeq]
//
// dst[c, t, s] = Σ x[t+i, c, s] * w[i, c] over i. The window for the next tokens is the last k-1 inputs
// of each row. Errors: ErrShape if channels differ or x is shorter than one window. Source:
// arXiv:2312.00752.
type SSMConv struct{}

var kindSSMConv = newKind("SSMConv")

func (SSMConv) Kind() Kind { return kindSSMConv }

// Infer implements Op.
func (SSMConv) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 2, 2); err != nil {
		return 0, Shape{}, err
	}
	x, w := src[0], src[1]
	if err := wantF32(x, w); err != nil {
		return 0, Shape{}, err
	}
	k, channels := w.Shape[0], w.Shape[1]
	switch {
	case k < 1 || w.Shape != MakeShape(k, channels):
		return 0, Shape{}, shapeErr("filters are %v, want [k channels]", w.Shape)
	case x.Shape[1] != channels || x.Shape[3] != 1:
		return 0, Shape{}, shapeErr("inputs are %v, want [k-1+tokens %d sequences]", x.Shape, channels)
	case x.Shape[0] < k-1:
		return 0, Shape{}, shapeErr("inputs are %v, shorter than a window of %d", x.Shape, k-1)
	}
	return F32, MakeShape(channels, x.Shape[0]-k+1, x.Shape[2]), nil
}

// SSMConv returns the causal convolution of x with w; see type SSMConv.
func (b *Builder) SSMConv(x, w *Tensor) *Tensor { return b.Apply(SSMConv{}, x, w) }
