package synthetic

import (
	"encoding/binary"
	"math"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// filler writes random blocks of one type whose values have a given standard deviation.
type filler struct {
	typ   tensor.DType
	bytes int // of a block
	fix   func(block []byte)
}

// random is a generator that fills memory fast: splitmix64 (doi:10.1145/2714064.2660195).
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// fill writes random bytes to b.
func (r *random) fill(b []byte) {
	le := binary.LittleEndian
	for ; len(b) >= 8; b = b[8:] {
		le.PutUint64(b, r.next())
	}
	if len(b) > 0 {
		last := le.AppendUint64(nil, r.next())
		copy(b, last)
	}
}

// blockFix returns what makes a block of type t out of random bytes: it puts in a scale, and a minimum where
// the type has one that brings the mean to about 0. The layouts are those of package quant. It is nil for a
// type without such a rule.
func blockFix(t tensor.DType, scale float32) func(b []byte) {
	le := binary.LittleEndian
	half := func(v float32) uint16 {
		var b [2]byte
		_ = quant.Encode(tensor.F16, b[:], []float32{v}, nil) // one value in two bytes
		return le.Uint16(b[:])
	}
	d := half(scale)
	at := func(offset int) func(b []byte) {
		return func(b []byte) { le.PutUint16(b[offset:], d) }
	}
	two := func(first, second int, minimum float32) func(b []byte) {
		m := half(minimum * scale)
		return func(b []byte) {
			le.PutUint16(b[first:], d)
			le.PutUint16(b[second:], m)
		}
	}
	switch t {
	case tensor.Q4_0, tensor.Q5_0, tensor.IQ4_NL, tensor.IQ4_XS:
		return at(0)
	case tensor.Q8_0:
		return func(b []byte) {
			le.PutUint16(b, d)
			for i := 2; i < len(b); i += 8 {
				// Odd codes: -128 is none that an encoder writes.
				le.PutUint64(b[i:], le.Uint64(b[i:])|0x0101010101010101)
			}
		}
	case tensor.Q4_1:
		return two(0, 2, -7.5)
	case tensor.Q5_1:
		return two(0, 2, -15.5)
	case tensor.Q2_K: // codes 0 to 3 of scales 0 to 15, less minimums 0 to 15
		return two(80, 82, 1.5)
	case tensor.Q3_K:
		return at(108)
	case tensor.Q4_K: // codes 0 to 15 of scales 0 to 63, less minimums 0 to 63
		return two(0, 2, 7.5)
	case tensor.Q5_K:
		return two(0, 2, 15.5)
	case tensor.Q6_K:
		return at(208)
	case tensor.MXFP4:
		e := byte(127 + int(math.Round(math.Log2(float64(scale)))))
		return func(b []byte) { b[0] = e }
	}
	return nil
}

// newFiller returns the filler of type t for values of the given standard deviation.
func newFiller(t tensor.DType, deviation float64) *filler {
	f := &filler{typ: t}
	_, f.bytes = t.Block()
	switch t {
	case tensor.F32, tensor.F16, tensor.BF16:
		f.fix = floatFix(t, deviation)
		f.bytes = 4
		return f
	}
	// How large values are with a scale of 1 is measured, on a few blocks.
	const blocks = 64
	unit := &filler{typ: t, bytes: f.bytes, fix: blockFix(t, 1)}
	sample := make([]byte, blocks*f.bytes)
	unit.write(sample, 1)
	format, _ := quant.Of(t) // recipes have types with code alone
	values := make([]float32, blocks*format.BlockElems)
	format.Decode(values, sample)
	sum := 0.0
	for _, v := range values {
		sum += float64(v) * float64(v)
	}
	f.fix = blockFix(t, float32(deviation/math.Sqrt(sum/float64(len(values)))))
	return f
}

// floatFix returns what makes numbers out of four random bytes: all get one exponent, and only sign and
// digits stay random, so that none is denormal or infinite.
func floatFix(t tensor.DType, deviation float64) func(b []byte) {
	le := binary.LittleEndian
	// Numbers even in [s, 2s) have a root mean square of 1.53 s.
	exponent := uint32(127 + int(math.Floor(math.Log2(deviation/1.53)+0.5)))
	switch t {
	case tensor.F32:
		return func(b []byte) { le.PutUint32(b, le.Uint32(b)&0x807fffff|exponent<<23) }
	case tensor.BF16:
		e := exponent<<7 | exponent<<23
		return func(b []byte) { le.PutUint32(b, le.Uint32(b)&0x807f807f|e) }
	}
	e := exponent - 127 + 15
	e = e<<10 | e<<26
	return func(b []byte) { le.PutUint32(b, le.Uint32(b)&0x83ff83ff|e) }
}

// write fills dst, whole blocks, with the random numbers of a seed.
func (f *filler) write(dst []byte, seed uint64) {
	r := random(seed)
	r.next()
	r.fill(dst)
	for ; len(dst) >= f.bytes; dst = dst[f.bytes:] {
		f.fix(dst[:f.bytes])
	}
}
