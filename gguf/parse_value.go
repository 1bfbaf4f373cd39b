package gguf

import (
	"encoding/binary"
	"math"
	"strconv"
)

// pair reads key-value pair number i into m.
func (r *reader) pair(m *Metadata, i int) error {
	at := r.off
	field := "key of metadata pair " + strconv.Itoa(i)
	key, err := r.string(maxKeyBytes, field)
	if err != nil {
		return err
	}
	if key == "" {
		return r.fail(at, field, "it is empty")
	}
	field = "key " + strconv.Quote(key)
	if first, dup := m.index[key]; dup {
		return r.fail(at, field, "it was there before, at offset %d", m.entries[first].off)
	}
	v, err := r.value(field)
	if err != nil {
		return err
	}
	m.add(entry{key: key, value: v, off: int64(at)})
	return nil
}

// value reads a type and a value of it.
func (r *reader) value(field string) (Value, error) {
	t, err := r.valueType(field)
	if err != nil {
		return Value{}, err
	}
	at := r.off
	switch t {
	case TypeString:
		s, err := r.string(math.MaxUint64, field)
		return Value{typ: t, str: s}, err
	case TypeArray:
		return r.array(field)
	}
	b, err := r.bytes(uint64(t.size()), field)
	if err != nil {
		return Value{}, err
	}
	if t == TypeBool {
		err = r.checkBools(b, at, field)
	}
	return Value{typ: t, bits: decodeBits(t, b)}, err
}

func (r *reader) valueType(field string) (Type, error) {
	at := r.off
	id, err := r.uint32(field + " type")
	if err != nil {
		return 0, err
	}
	if id >= numTypes {
		return 0, r.fail(at, field, "value type %d, want 0 to %d", id, numTypes-1)
	}
	return Type(id), nil
}

// array reads an array without decoding it: it finds the end, and what a later decoding relies on.
func (r *reader) array(field string) (Value, error) {
	elem, n, err := r.arrayHeader(field)
	if err != nil {
		return Value{}, err
	}
	start := r.off
	if err := r.skip(elem, n, 1, field); err != nil {
		return Value{}, err
	}
	return Value{typ: TypeArray, elem: elem, n: n, raw: r.data[start:r.off:r.off]}, nil
}

func (r *reader) arrayHeader(field string) (Type, int, error) {
	elem, err := r.valueType(field)
	if err != nil {
		return 0, 0, err
	}
	n, err := r.count(elem.minSize(), field+" length")
	return elem, n, err
}

// skip checks and passes over n elements of type t, at the given depth of nesting. The caller has
// checked that n elements of the least size fit, so that its work is bounded by the file's size.
func (r *reader) skip(t Type, n, depth int, field string) error {
	switch t {
	case TypeString:
		return r.skipStrings(n, field)
	case TypeArray:
		if depth == maxNesting {
			return r.fail(r.off, field, "arrays are nested more than %d deep", maxNesting)
		}
		for range n {
			elem, count, err := r.arrayHeader(field)
			if err != nil {
				return err
			}
			if err := r.skip(elem, count, depth+1, field); err != nil {
				return err
			}
		}
		return nil
	}
	at := r.off
	b, err := r.bytes(uint64(n)*uint64(t.size()), field)
	if err != nil || t != TypeBool {
		return err
	}
	return r.checkBools(b, at, field)
}

// skipStrings hops from length to length: a vocabulary has hundreds of thousands of strings.
func (r *reader) skipStrings(n int, field string) error {
	data, off := r.data, r.off
	for i := range n {
		if len(data)-off < 8 {
			return r.failKind(ErrTruncated, off, field, "the length of string %d of %d is cut off", i, n)
		}
		size := binary.LittleEndian.Uint64(data[off:])
		if size > uint64(len(data)-off-8) {
			return r.failKind(ErrTruncated, off, field, "string %d of %d has %d bytes, %d are left", i, n, size, len(data)-off-8)
		}
		off += 8 + int(size)
	}
	r.off = off
	return nil
}

// checkBools returns an error unless the bytes b at offset at are all 0 or 1.
func (r *reader) checkBools(b []byte, at int, field string) error {
	for i, c := range b {
		if c > 1 {
			return r.fail(at+i, field, "a bool is %d, want 0 or 1", c)
		}
	}
	return nil
}
