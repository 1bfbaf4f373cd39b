package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// Tolerance is how far from the oracle a result may be. A result must keep both bounds.
type Tolerance struct {
	Exact bool // equal bytes, where the oracle says which they are

	// NMSE bounds the normalized mean squared error of the whole result; 0 is no bound.
	NMSE float64
	// ULP bounds the error of each element, in last places of its type; a negative one is no bound.
	// PerRootTerm is added for each unit of the root of the number of terms that are summed: errors of
	// roundings in any order grow like it.
	ULP, PerRootTerm float64

	// Rounded says that a factor may be rounded to blocks first. Where the oracle has an infinity a NaN
	// is then right as well.
	Rounded bool

	Why string
}

// most returns the bound on ULP for a sum of so many terms, negative if there is none.
func (t *Tolerance) most(terms int) float64 {
	if t.ULP < 0 {
		return -1
	}
	return t.ULP + t.PerRootTerm*math.Sqrt(float64(terms))
}

// toleranceOf is the tolerance of a node: the only table there is. Bounds are on what ref.Value.Mag
// makes of errors, so that cancellation and large arguments are already accounted for, and an element's
// own rounding to its type counts for half a last place.
func toleranceOf(n *tensor.Tensor) Tolerance {
	switch op := n.Op.(type) {
	case tensor.Copy:
		if n.Type == n.Src[0].Type {
			return Tolerance{Exact: true, Why: "bytes are moved"}
		}
		return Tolerance{ULP: 0.5, Why: "a conversion rounds once, to nearest"}
	case tensor.Concat, tensor.Repeat, tensor.GetRows:
		// Rows of floats are widened to F32, which loses nothing.
		return Tolerance{Exact: true, Why: "elements are moved"}
	case tensor.SetRows:
		return Tolerance{ULP: 0.5, Why: "a row is rounded once, to nearest; block formats as well as the reference encoder does"}
	case tensor.TopK, tensor.ArgSort, tensor.ArgMax:
		return Tolerance{Exact: true, Why: "an order is right or wrong; ties are decided"}

	case tensor.Add, tensor.Sub, tensor.Mul, tensor.AddID:
		return Tolerance{ULP: 0.501, Why: "one operation, rounded to nearest; 0.001 for F32 between it and a narrower type"}
	case tensor.Div:
		return Tolerance{ULP: 3, Why: "Vulkan asks for 2.5 last places of a quotient"}
	case tensor.Scale:
		return Tolerance{ULP: 1.001, Why: "a product and a sum, each rounded or fused"}
	case tensor.Clamp:
		return Tolerance{ULP: 0.5, Why: "an element is itself or a bound, rounded to its type"}

	case tensor.Unary:
		return functionTolerance(op.Func)
	case tensor.GLU:
		t := functionTolerance(op.Act)
		t.ULP += 3
		t.Why += "; the gate is rounded, clamped and multiplied"
		return t

	case tensor.RMSNorm, tensor.L2Norm:
		return Tolerance{ULP: 4, PerRootTerm: 0.1, Why: "a root and a quotient in F32; of the sum, whose squares cancel nothing, half of the error shows"}
	case tensor.LayerNorm:
		return Tolerance{ULP: 4, PerRootTerm: 0.25, Why: "as RMSNorm, and the mean's rounding shows in each difference"}
	case tensor.SumRows:
		return Tolerance{ULP: 2, PerRootTerm: 1, Why: "an F32 sum in any order"}
	case tensor.SoftMax:
		return Tolerance{ULP: 4, PerRootTerm: 0.1, Why: "an exponential of rounded scores and a quotient in F32"}
	case tensor.RoPE:
		return Tolerance{ULP: 8, Why: "angles held as F32: a power, a product and a reduction round; 2 last places of sine and cosine"}

	case tensor.MatMul:
		return productTolerance(n, op.Exact)
	case tensor.MatMulID:
		return productTolerance(n, op.Exact)
	case tensor.SSMConv:
		return Tolerance{ULP: 2, PerRootTerm: 1, Why: "an F32 sum of a few products"}
	case tensor.GatedDeltaNet:
		return Tolerance{NMSE: 1e-11, ULP: -1, Why: "F32 sums and an exponential, token after token over a matrix that stays F32"}
	case tensor.FlashAttn:
		for _, s := range n.Src[1:3] {
			if s.Type.Quantized() {
				return Tolerance{NMSE: 1e-4, ULP: -1, Why: "the query may be rounded to 8-bit blocks: 5e-5 of a score of size 1"}
			}
		}
		// A rounding is 2^-11 at most: 1e-7 for a score of size 1, and scores go up to 4.
		return Tolerance{NMSE: 2e-6, ULP: -1, Why: "query and weights may be rounded to half precision"}
	}
	return Tolerance{Why: "no tolerance is known: equal"}
}

// productTolerance bounds matrix products.
func productTolerance(n *tensor.Tensor, exact bool) Tolerance {
	a, b := n.Src[0].Type, n.Src[1].Type
	switch {
	case exact:
		return Tolerance{NMSE: 1e-11, ULP: 4, PerRootTerm: 1, Why: "F32 sums of F32 products in any order"}
	case a.Quantized():
		// A block of normal numbers has its greatest at about 2.8 deviations if it holds 256: a step of
		// 2.8/127 and an error of step/sqrt(12) give 4e-5. Scales held as halves add 1e-7.
		return Tolerance{NMSE: 1e-4, ULP: -1, Rounded: true, Why: "b may be rounded to 8-bit blocks of up to 256"}
	case b == tensor.BF16 || a == tensor.BF16:
		return Tolerance{NMSE: 2e-5, ULP: -1, Rounded: true, Why: "b may be rounded to bfloat16: 2^-9/sqrt(3) of each factor at most"}
	}
	return Tolerance{NMSE: 1e-6, ULP: -1, Rounded: true, Why: "b may be rounded to half precision: 2^-12/sqrt(3) of each factor"}
}

// functionTolerance bounds Unary and the gates of GLU, all computed in F32 with exponentials that are
// off by a last place or two.
func functionTolerance(f tensor.Func) Tolerance {
	switch f {
	case tensor.Abs, tensor.Sgn, tensor.Neg, tensor.Step, tensor.ReLU, tensor.Floor, tensor.Ceil, tensor.Round, tensor.Trunc:
		return Tolerance{ULP: 0, Why: "nothing is rounded"}
	case tensor.Sqr:
		return Tolerance{ULP: 0.501, Why: "one product"}
	case tensor.Sqrt:
		return Tolerance{ULP: 3, Why: "Vulkan takes a root for the inverse of an inverse root, 2 last places and a quotient"}
	case tensor.Log:
		return Tolerance{ULP: 3, Why: "Vulkan asks for 3 last places"}
	case tensor.Sin, tensor.Cos:
		return Tolerance{ULP: 2, Why: "of a reduced argument; the last place of the argument is accounted for"}
	case tensor.HardSwish, tensor.HardSigmoid:
		return Tolerance{ULP: 3, Why: "a sum, a product and a quotient"}
	case tensor.GELUErf:
		return Tolerance{ULP: 4, Why: "erf by a polynomial, and two products"}
	}
	return Tolerance{ULP: 4, Why: "an exponential, sums and a quotient"}
}
