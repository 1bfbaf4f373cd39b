package gguf

import (
	"fmt"
	"math"
)

// Section reads the keys under one prefix, such as the hyper-parameters of an architecture. The first
// error is kept and returned by Err, so that a long list of keys reads as a list; from then on every
// getter returns the zero value. A Section belongs to one goroutine.
type Section struct {
	m      *Metadata
	prefix string
	err    error
}

// Section returns the keys under prefix and a dot: Section("llama").Int("block_count") reads
// llama.block_count. An empty prefix stands for all keys.
func (m *Metadata) Section(prefix string) *Section {
	if prefix != "" {
		prefix += "."
	}
	return &Section{m: m, prefix: prefix}
}

// Err returns the first error of the getters.
func (s *Section) Err() error { return s.err }

// Has reports whether key is there.
func (s *Section) Has(key string) bool { return s.m.Has(s.prefix + key) }

func take[T any](s *Section, key, want string, convert func(Value) (T, bool)) T {
	var zero T
	if s.err != nil {
		return zero
	}
	var out T
	out, s.err = get(s.m, s.prefix+key, want, convert)
	return out
}

func takeOr[T any](s *Section, key string, def T, want string, convert func(Value) (T, bool)) T {
	if s.err == nil && !s.Has(key) {
		return def
	}
	return take(s, key, want, convert)
}

func takePerLayer[T any](s *Section, key string, n int, want string, convert func(Value) (T, bool)) []T {
	if s.err != nil {
		return nil
	}
	var out []T
	out, s.err = getPerLayer(s.m, s.prefix+key, n, want, convert)
	return out
}

const wantCount = "an integer from 0 to 2147483647"

// toCount takes an integer of any width from 0 to 2^31-1: what a size, a count or a token id can be. The
// bound keeps the product of any two of them inside an int.
func toCount(v Value) (int, bool) {
	u, ok := toUint(v)
	return int(u), ok && u <= math.MaxInt32
}

// Int returns the integer of key, from 0 to 2^31-1, of any width.
func (s *Section) Int(key string) int { return take(s, key, wantCount, toCount) }

// IntOr returns the integer of key, or def.
func (s *Section) IntOr(key string, def int) int { return takeOr(s, key, def, wantCount, toCount) }

// IntPerLayer returns n integers as Int does, from an array of exactly n, or n times a scalar.
func (s *Section) IntPerLayer(key string, n int) []int {
	return takePerLayer(s, key, n, wantCount, toCount)
}

// IntPerLayerOr is IntPerLayer with n times def for a key that is not there.
func (s *Section) IntPerLayerOr(key string, n, def int) []int {
	if s.err != nil || s.Has(key) {
		return s.IntPerLayer(key, n)
	}
	if s.err = s.m.checkLayers(s.prefix+key, n); s.err != nil {
		return nil
	}
	return repeat(def, n)
}

// Ints returns the integers of an array, each from 0 to 2^31-1.
func (s *Section) Ints(key string) []int {
	return take(s, key, "an array of integers from 0 to 2147483647", func(v Value) ([]int, bool) {
		return toSlice(v, toCount)
	})
}

func toFinite(v Value) (float32, bool) {
	f, ok := toFloat(v)
	f32 := float32(f)
	return f32, ok && !math.IsNaN(f) && !math.IsInf(float64(f32), 0)
}

const wantFinite = "a finite floating-point number"

// Float returns the float of key, which must be finite. A float64 is rounded.
func (s *Section) Float(key string) float32 { return take(s, key, wantFinite, toFinite) }

// FloatOr returns the float of key, or def.
func (s *Section) FloatOr(key string, def float32) float32 {
	return takeOr(s, key, def, wantFinite, toFinite)
}

// FloatPerLayer returns n floats as Float does, from an array of exactly n, or n times a scalar.
func (s *Section) FloatPerLayer(key string, n int) []float32 {
	return takePerLayer(s, key, n, wantFinite, toFinite)
}

// Bool returns the bool of key.
func (s *Section) Bool(key string) bool { return take(s, key, wantBool, toBool) }

// BoolOr returns the bool of key, or def.
func (s *Section) BoolOr(key string, def bool) bool { return takeOr(s, key, def, wantBool, toBool) }

// BoolPerLayer returns n bools, from an array of exactly n, or n times a scalar.
func (s *Section) BoolPerLayer(key string, n int) []bool {
	return takePerLayer(s, key, n, wantBool, toBool)
}

// String returns the string of key.
func (s *Section) String(key string) string { return take(s, key, wantString, toString) }

// StringOr returns the string of key, or def.
func (s *Section) StringOr(key, def string) string { return takeOr(s, key, def, wantString, toString) }

// Check keeps an error about key, unless ok or an earlier error is kept: a rule between values, such as
// one that must divide another.
func (s *Section) Check(ok bool, key, format string, args ...any) {
	if ok || s.err != nil {
		return
	}
	have := "missing"
	if v, found := s.m.Value(s.prefix + key); found {
		have = v.describe()
	}
	s.err = &TypeError{File: s.m.file, Key: s.prefix + key, Have: have, Want: fmt.Sprintf(format, args...)}
}
