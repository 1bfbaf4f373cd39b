package conformance

import (
	"bytes"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/tensor"
)

// measure is how far a result is from the oracle's.
//
// NMSE is Σ(x-ref)² / Σ max(ref, mag)², where mag is what ref.Value.Mag says of an element: for a sum,
// the root of the sum of its terms' squares, which is what random terms add up to. So it does not depend
// on luck when a single element happens to be near 0.
//
// ULP is the greatest distance of an element, in last places of its type at max(|ref|, mag): 0.5 is
// correct rounding. It is 0 where Tolerance has no bound on it.
type measure struct {
	NMSE float64
	ULP  float64
}

func (m *measure) worst(o measure) { m.NMSE, m.ULP = max(m.NMSE, o.NMSE), max(m.ULP, o.ULP) }

// mantissa is how many bits of a type's numbers follow the first.
func mantissa(t tensor.DType) int {
	switch t {
	case tensor.F16:
		return 10
	case tensor.BF16:
		return 7
	case tensor.F64:
		return 52
	}
	return 23
}

// leastNormal is the least number that F32 and BF16 hold with all their bits. A device may take
// anything below it for 0.
const leastNormal = 0x1p-126

// lastPlace returns what the last place of a number of type t and about size x is worth.
func lastPlace(t tensor.DType, x float64) float64 {
	least := -126
	switch t {
	case tensor.F16:
		least = -14
	case tensor.F64:
		least = -1022
	}
	_, e := math.Frexp(x) // x is in [0.5, 1) * 2^e
	return math.Ldexp(1, max(e-1, least)-mantissa(t))
}

// compare measures got, which was read from a device, against want, and returns why it is wrong.
func compare(got, want *ref.Value, tol Tolerance) (measure, error) {
	if want.Or != nil {
		return compareEither(got, want, tol)
	}
	switch {
	case want.I != nil || tol.Exact && want.Raw != nil:
		return measure{}, compareBytes(got, want)
	case want.Type.Quantized():
		return compareEncoded(got, want)
	}
	return compareFloats(got, want, tol)
}

// compareEither compares row by row with either of two results.
func compareEither(got, want *ref.Value, tol Tolerance) (measure, error) {
	var m measure
	first := *want
	first.Or = nil
	for r := range got.Shape.Rows() {
		g, a, b := rowOf(got, r), rowOf(&first, r), rowOf(want.Or, r)
		one, err := compare(&g, &a, tol)
		if err != nil {
			var other error
			if one, other = compare(&g, &b, tol); other != nil {
				return m, fmt.Errorf("row %d is neither of two that are right: %w", r, err)
			}
		}
		m.worst(one)
	}
	return m, nil
}

// rowOf returns row r of v.
func rowOf(v *ref.Value, r int) ref.Value {
	n := v.Shape[0]
	out := ref.Value{Type: v.Type, Shape: tensor.MakeShape(n), F: v.F[r*n : (r+1)*n], Terms: v.Terms}
	if size := v.Type.RowBytes(n); v.Raw != nil {
		out.Raw = v.Raw[r*size : (r+1)*size]
	}
	if v.Mag != nil {
		out.Mag = v.Mag[r*n : (r+1)*n]
	}
	return out
}

// compareBytes wants equal bytes.
func compareBytes(got, want *ref.Value) error {
	raw, err := want.Bytes()
	if err != nil {
		return err
	}
	if bytes.Equal(got.Raw, raw) {
		return nil
	}
	elems, size := want.Type.Block()
	bad, first := 0, -1
	for i := 0; i < len(raw); i += size {
		if !bytes.Equal(got.Raw[i:i+size], raw[i:i+size]) {
			if bad++; first < 0 {
				first = i / size
			}
		}
	}
	if got.I != nil {
		return fmt.Errorf("element %s is %d, want %d; %d of %d differ", place(want.Shape, first), got.I[first], want.I[first], bad, len(want.I))
	}
	return fmt.Errorf("element %s is %v, want %v to the bit; %d of %d differ",
		place(want.Shape, first*elems), got.F[first*elems], want.F[first*elems], bad, len(raw)/size)
}

// place returns the coordinates of element i of s.
func place(s tensor.Shape, i int) string {
	n := s.Dims()
	c := []int{i % s[0], i / s[0] % s[1], i / s[0] / s[1] % s[2], i / s[0] / s[1] / s[2]}
	return fmt.Sprint(c[:n])
}

// compareEncoded wants each row of a block format to be as near to what was to be encoded as the
// reference encoder's, or nearer; 5 % are for scales that are rounded elsewhere.
func compareEncoded(got, want *ref.Value) (measure, error) {
	coded, err := want.Stored()
	if err != nil {
		return measure{}, err
	}
	var m measure
	for r := range want.Shape.Rows() {
		g, c, w := rowOf(got, r), rowOf(&coded, r), rowOf(want, r)
		if bytes.Equal(g.Raw, c.Raw) {
			continue
		}
		have, most, all := 0.0, 0.0, 0.0
		for i, x := range w.F {
			have += (g.F[i] - x) * (g.F[i] - x)
			most += (c.F[i] - x) * (c.F[i] - x)
			all += x * x
		}
		if !(have <= 1.05*1.05*most+1e-12*all) {
			return m, fmt.Errorf("row %d is off by %.3g (sum of squares), by the reference encoder %.3g", r, have, most)
		}
		m.NMSE = max(m.NMSE, have/max(all, leastNormal))
	}
	return m, nil
}

func compareFloats(got, want *ref.Value, tol Tolerance) (measure, error) {
	var m measure
	most := tol.most(want.Terms)
	num, den := 0.0, 0.0
	worst, have := -1, 0.0
	for i, w := range want.F {
		g := got.F[i]
		size := math.Abs(w)
		if want.Mag != nil {
			size = math.Max(size, want.Mag[i])
		}
		if done, err := compareSpecial(got.Type, g, w, size, tol, most); err != nil {
			return measure{math.Inf(1), math.Inf(1)}, fmt.Errorf("element %s is %v, want %v: %w", place(want.Shape, i), g, w, err)
		} else if done {
			continue
		}
		d := math.Abs(g - w)
		num += d * d
		den += size * size
		if d == 0 || math.Abs(g) <= leastNormal && math.Abs(w) <= leastNormal {
			continue
		}
		if ulp := d / lastPlace(got.Type, size); ulp > m.ULP || worst < 0 {
			m.ULP, worst, have = ulp, i, g
		}
	}
	if den > 0 {
		m.NMSE = num / den
	}
	if most < 0 { // where factors are rounded, last places of single elements say nothing
		m.ULP = 0
	}
	switch {
	case m.ULP > most && most >= 0:
		return m, fmt.Errorf("element %s is %v, want %v: off by %.3g last places, tolerance %.3g",
			place(want.Shape, worst), have, want.F[worst], m.ULP, most)
	case tol.NMSE > 0 && m.NMSE > tol.NMSE:
		return m, fmt.Errorf("NMSE is %.3g, tolerance %.3g; element %s is %v, want %v",
			m.NMSE, tol.NMSE, place(want.Shape, worst), have, want.F[worst])
	}
	return m, nil
}

// compareSpecial compares where a NaN or an infinity is on either side, and reports whether one was.
func compareSpecial(t tensor.DType, g, w, size float64, tol Tolerance, most float64) (bool, error) {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	if finite(g) && finite(stored(t, w)) && finite(w) {
		return false, nil
	}
	slack := max(most, 1) * lastPlace(t, size)
	switch {
	case math.IsNaN(w) && math.IsNaN(g), g == w:
		return true, nil
	case tol.Rounded && !finite(w) && !finite(g):
		return true, nil // a block that holds an infinity has no scale: it may be NaN as a whole
	case math.IsNaN(w):
		return true, fmt.Errorf("NaN is lost")
	case math.IsNaN(g):
		return true, fmt.Errorf("NaN comes from nowhere")
	case math.IsInf(w, 0) && math.IsInf(g, 0):
		return true, fmt.Errorf("the infinity has the wrong sign")
	case finite(w) && math.IsInf(g, 0):
		if math.IsInf(stored(t, w), 0) || math.IsInf(stored(t, w+math.Copysign(slack, g)), 0) {
			return true, signs(g, w)
		}
		return true, fmt.Errorf("it overflowed")
	case finite(w) && !math.IsInf(stored(t, w-math.Copysign(slack, w)), 0):
		return true, signs(g, w) // at the end of the range, and rounded down
	}
	return true, fmt.Errorf("the infinity is lost")
}

func signs(g, w float64) error {
	if math.Signbit(g) != math.Signbit(w) {
		return fmt.Errorf("the sign is wrong")
	}
	return nil
}

// stored returns what type t holds of x: an infinity if x is beyond its range.
func stored(t tensor.DType, x float64) float64 {
	if t == tensor.F16 {
		if math.Abs(x) >= 65520 && !math.IsInf(x, 0) {
			return math.Inf(int(math.Copysign(1, x)))
		}
		return x
	}
	if t == tensor.F64 {
		return x
	}
	if f := float64(float32(x)); math.IsInf(f, 0) {
		return f
	}
	if t == tensor.BF16 && math.Abs(x) >= 0x1.ffp127 && !math.IsInf(x, 0) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return x
}
