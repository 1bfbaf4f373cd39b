package gguf

import "fmt"

// The getters return the value of a key, or an error that matches ErrMissingKey or ErrType. Integers are
// converted between widths with a check of the range; nothing else is converted: a float is no integer,
// and a bool is no number. The ...Or getters return def for a key that is not there, and fail on a
// wrong type all the same.

// String returns the string of key.
func (m *Metadata) String(key string) (string, error) { return get(m, key, wantString, toString) }

// StringOr returns the string of key, or def.
func (m *Metadata) StringOr(key, def string) (string, error) {
	return getOr(m, key, def, wantString, toString)
}

// Uint returns the integer of key, of any width, that is not negative.
func (m *Metadata) Uint(key string) (uint64, error) { return get(m, key, wantUint, toUint) }

// UintOr returns the integer of key, or def.
func (m *Metadata) UintOr(key string, def uint64) (uint64, error) {
	return getOr(m, key, def, wantUint, toUint)
}

// Int returns the integer of key, of any width, that fits an int64.
func (m *Metadata) Int(key string) (int64, error) { return get(m, key, wantInt, toInt) }

// IntOr returns the integer of key, or def.
func (m *Metadata) IntOr(key string, def int64) (int64, error) {
	return getOr(m, key, def, wantInt, toInt)
}

// Float returns the float32 or float64 of key.
func (m *Metadata) Float(key string) (float64, error) { return get(m, key, wantFloat, toFloat) }

// FloatOr returns the float of key, or def.
func (m *Metadata) FloatOr(key string, def float64) (float64, error) {
	return getOr(m, key, def, wantFloat, toFloat)
}

// Bool returns the bool of key.
func (m *Metadata) Bool(key string) (bool, error) { return get(m, key, wantBool, toBool) }

// BoolOr returns the bool of key, or def.
func (m *Metadata) BoolOr(key string, def bool) (bool, error) {
	return getOr(m, key, def, wantBool, toBool)
}

// Strings returns a copy of the string array of key. The strings share one piece of memory.
func (m *Metadata) Strings(key string) ([]string, error) { return get(m, key, wantStrings, toStrings) }

// Ints returns a copy of the integer array of key, of any width.
func (m *Metadata) Ints(key string) ([]int64, error) { return get(m, key, wantInts, toInts) }

// Floats returns a copy of the float array of key. A float64 is rounded to float32.
func (m *Metadata) Floats(key string) ([]float32, error) { return get(m, key, wantFloats, toFloats) }

// Bools returns a copy of the bool array of key.
func (m *Metadata) Bools(key string) ([]bool, error) { return get(m, key, wantBools, toBools) }

// UintPerLayer returns n integers that are not negative, one a layer: those of an array of exactly n, or
// n times a scalar. Hyper-parameters such as attention.head_count come in both forms. An n that no model
// has (below 0 or above 65536) is an ErrType too, so that a count read from a file may be passed on.
func (m *Metadata) UintPerLayer(key string, n int) ([]uint64, error) {
	return getPerLayer(m, key, n, wantUint, toUint)
}

// FloatPerLayer is UintPerLayer for floats.
func (m *Metadata) FloatPerLayer(key string, n int) ([]float64, error) {
	return getPerLayer(m, key, n, wantFloat, toFloat)
}

// BoolPerLayer is UintPerLayer for bools.
func (m *Metadata) BoolPerLayer(key string, n int) ([]bool, error) {
	return getPerLayer(m, key, n, wantBool, toBool)
}

// maxLayers is how many values a scalar is repeated to. The largest models have some hundred layers.
const maxLayers = 1 << 16

// checkLayers returns an error if n cannot be a number of layers.
func (m *Metadata) checkLayers(key string, n int) error {
	if n >= 0 && n <= maxLayers {
		return nil
	}
	return &TypeError{
		File: m.file, Key: key,
		Have: fmt.Sprintf("asked for %d layers", n),
		Want: fmt.Sprintf("0 to %d layers", maxLayers),
	}
}

func getPerLayer[T any](m *Metadata, key string, n int, want string, convert func(Value) (T, bool)) ([]T, error) {
	if err := m.checkLayers(key, n); err != nil {
		return nil, err
	}
	want = fmt.Sprintf("%s, or an array of %d, each %s", want, n, want)
	return get(m, key, want, func(v Value) ([]T, bool) {
		if v.typ == TypeArray {
			if v.n != n {
				return nil, false
			}
			return toSlice(v, convert)
		}
		x, ok := convert(v)
		if !ok {
			return nil, false
		}
		return repeat(x, n), true
	})
}

func repeat[T any](x T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = x
	}
	return out
}
