package cpu

import (
	"github.com/tenon-go/tenon/tensor"
)

// units are the innermost loops, in the form that a level has for them. Go code around them keeps
// rows, threads and bounds. Each has a twin in plain Go, which says what it computes, is the form of
// the Scalar level, and is what tests compare with.
type units struct {
	level Level

	// dotF32 returns Σ a[i]*b[i] over the length of a. b is at least as long.
	dotF32 func(a, b []float32) float32
	// addScaledF32 adds s*x to dst, over the length of dst. x is at least as long.
	addScaledF32 func(dst, x []float32, s float32)
	// decode converts a packed row to floats, by type; nil where there is no way.
	decode [256]func(dst []float32, src []byte)
	// round writes the record of a token's row, by form; see form.
	round [forms]func(rec []byte, x []float32)
	// gates are the activations of a GLU times its other half, by function; dst may be either.
	gates [len(gates)]func(dst, g, up []float32)
	// rows multiply rows of weights with tokens, by type of the weights.
	rows [256]rowUnits
	// panel multiplies with many tokens; nil where rows do that, too.
	panel *panelUnits

	// attn are those of attention.
	attn attnUnits
}

// form is how a token's row is written down, as its record, to be multiplied with weights of some types.
type form uint8

const (
	// noForm: there is no unit for the type.
	noForm form = iota
	// floats: k float32.
	floats
	// blocks32: k int8 codes, k/32 float32 scales, k/32 int32 sums of codes; an element is code*scale.
	// A block's scale is its greatest magnitude/127, and NaN where an element is not finite.
	blocks32
	// blocks256: k int8 codes, k/256 float32 scales, k/16 int16 sums of the codes of 16 elements.
	blocks256
	// bfloats: k bfloat16, and then as many for what rounding has left; both with zeros behind them up to a
	// multiple of 32. For tiles of bfloat16 alone.
	bfloats
	forms
)

// bytes returns the size of a record for k elements, which are a multiple of the form's block. Codes
// come first, then scales, then sums, without gaps.
func (f form) bytes(k int) int {
	switch f {
	case floats:
		return 4 * k
	case blocks32:
		return k + k/32*4 + k/32*4
	case blocks256:
		return k + k/256*4 + k/16*2
	case bfloats:
		return 4 * up32(k)
	}
	return 0
}

// up32 rounds k up to a multiple of 32.
func up32(k int) int { return (k + 31) &^ 31 }

// stride is bytes, rounded up so that each of several records starts at a cache line.
func (f form) stride(k int) int { return (f.bytes(k) + 63) &^ 63 }

// mostTokens is how many tokens a row unit takes at most.
const mostTokens = 8

// rowUnits are the units for weights of one type.
type rowUnits struct {
	form form
	// dot[n-1] multiplies with n tokens; nil where there is none for so many. Each token's result has
	// the same bits in each of them.
	dot [mostTokens]func(p *product)
}

// A product is what a row unit computes: dst of token t and row r becomes the sum over k of both.
// Strides are in bytes. Units read nothing outside the rows and records, and write nothing but results.
type product struct {
	dst       *float32 // of the first token and row; rows follow each other
	dstStride int      // from token to token
	w         *byte    // the first row of weights, as GGUF has it; k is a multiple of its block
	wStride   int
	rows      int   // at least 1
	x         *byte // the first token's record
	xStride   int
	k         int // elements of a row, at least 1

	// A block taken apart by plain Go. It is here because a function that is called by its value would
	// take a variable to the heap.
	block32  codes32
	block256 codes256
}

// scalarUnits fills u with plain Go.
func scalarUnits(u *units) {
	scalarAttn(&u.attn)
	u.dotF32, u.addScaledF32 = dotF32Go, addScaledF32Go
	for i, g := range gates {
		u.gates[i] = g.each
	}
	u.decode = decoders
	u.round[floats] = roundNot
	u.round[blocks32] = round32Go
	u.round[blocks256] = round256Go
	for t, unpack := range unpack32 {
		u.rows[t] = goUnits(blocks32, func(p *product) { dot32Go(p, t, unpack) })
	}
	for t, unpack := range unpack256 {
		u.rows[t] = goUnits(blocks256, func(p *product) { dot256Go(p, t, unpack) })
	}
	for _, t := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
		u.rows[t] = goUnits(floats, func(p *product) { dotFloatsGo(p, t) })
	}
}

// goUnits are units made of one for a single token.
func goUnits(f form, one func(p *product)) rowUnits {
	return rowUnits{form: f, dot: [mostTokens]func(*product){one}}
}

// roundNot copies a row.
func roundNot(rec []byte, x []float32) { copy(f32s(rec[:4*len(x)]), x) }
