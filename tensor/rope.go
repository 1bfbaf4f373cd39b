package tensor

import "fmt"

// RoPEMode says which elements of a row are rotated together, and by which position.
type RoPEMode uint8

// The modes. Source for the multi-axis ones: arXiv:2409.12191.
const (
	RoPENormal RoPEMode = iota // pairs (2i, 2i+1)
	RoPENeoX                   // pairs (i, i+Dims/2)
	RoPEMulti                  // NeoX pairs, positions on four axes, in sections
	RoPEVision                 // Dims pairs (i, i+Dims), two axes, in sections
	RoPEIMulti                 // NeoX pairs, four axes, interleaved
	numRoPEModes
)

// String returns the mode's name.
func (m RoPEMode) String() string {
	if m < numRoPEModes {
		return [...]string{"Normal", "NeoX", "Multi", "Vision", "IMulti"}[m]
	}
	return fmt.Sprintf("RoPEMode(%d)", uint8(m))
}

// Axes returns how many positions each token has in mode m.
func (m RoPEMode) Axes() int {
	if m >= RoPEMulti {
		return 4
	}
	return 1
}

// YaRN says how angles are stretched for contexts longer than the trained one. The zero YaRN
// stretches by Scale alone. Source: arXiv:2309.00071.
type YaRN struct {
	ExtFactor  float32 // 0 interpolates only, 1 mixes in extrapolation
	AttnFactor float32 // the result is multiplied by it; 0 means 1
	BetaFast   float32
	BetaSlow   float32
	OrigCtx    int32 // trained context length, in tokens
}

// RoPE rotates pairs of the first Dims elements of each row by an angle set by the token's position;
// the others are copied. Pair i turns by pos * Scale * Base^(-2i/Dims) / freq[i], before YaRN.
//
//	x F32|F16 [headDim, nHead, nTok, n3]   pos I32 [nTok * axes], in tokens   freq F32 [at least one a pair], optional
//	dst like x
//
// Modes with several axes take pos as [nTok] of the first axis, then of the second and so on. In
// RoPEVision Dims counts half of the rotated elements, the speeds i in Base^(-2i/Dims) begin again in each section,
// and freq[i] still belongs to pair i of all.
// Errors: ErrShape if Dims is odd, not positive or greater than headDim, if pos and freq do not fit, or
// if a mode with several axes has no sections or negative ones.
// Source: arXiv:2104.09864.
type RoPE struct {
	Dims     int32
	Mode     RoPEMode
	Base     float32
	Scale    float32 // of positions; 0 means 1
	YaRN     YaRN
	Sections [4]int32 // of the modes with several axes, in pairs
	Inverse  bool     // turns back
}

var kindRoPE = newKind("RoPE")

func (RoPE) Kind() Kind { return kindRoPE }

// InPlace implements InPlacer.
func (RoPE) InPlace() int { return 0 }

// Infer implements Op.
func (op RoPE) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 2, 3); err != nil {
		return 0, Shape{}, err
	}
	x, pos, freq := src[0], src[1], opt(src, 2)
	dims := int(op.Dims)
	span := dims
	if op.Mode == RoPEVision {
		span = 2 * dims
	}
	switch {
	case x.Type != F32 && x.Type != F16:
		return 0, Shape{}, typeErr("x is %s, want F32 or F16", x.Type)
	case pos.Type != I32:
		return 0, Shape{}, typeErr("positions are %s, want I32", pos.Type)
	case op.Mode >= numRoPEModes:
		return 0, Shape{}, typeErr("no mode %s", op.Mode)
	case dims <= 0 || dims%2 != 0 || span > x.Shape[0]:
		return 0, Shape{}, shapeErr("%d rotated elements of rows of %d", dims, x.Shape[0])
	case !(op.Base > 0):
		return 0, Shape{}, shapeErr("base is %g, want more than 0", op.Base)
	case pos.Shape != MakeShape(x.Shape[2]*op.Mode.Axes()):
		return 0, Shape{}, shapeErr("%d positions for %d tokens on %d axes", pos.Shape.Elems(), x.Shape[2], op.Mode.Axes())
	}
	if freq != nil {
		if err := wantF32(freq); err != nil {
			return 0, Shape{}, err
		}
		if freq.Shape[0] < span/2 || freq.Shape != MakeShape(freq.Shape[0]) {
			return 0, Shape{}, shapeErr("frequency factors %v for %d pairs", freq.Shape, span/2)
		}
	}
	if op.Mode.Axes() > 1 {
		sum := 0
		for _, n := range op.Sections {
			if n < 0 {
				return 0, Shape{}, shapeErr("sections %v", op.Sections)
			}
			sum += int(n)
		}
		if sum == 0 {
			return 0, Shape{}, shapeErr("no sections for mode %s", op.Mode)
		}
	}
	return x.Type, x.Shape, nil
}

// RoPE returns x rotated by op; freq may be nil. See type RoPE.
func (b *Builder) RoPE(op RoPE, x, pos, freq *Tensor) *Tensor { return b.Apply(op, x, pos, freq) }
