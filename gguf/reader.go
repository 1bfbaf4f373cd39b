package gguf

import (
	"encoding/binary"
	"fmt"
)

// reader goes through the header of one file. Every method checks the bounds first and names field in
// its error, so that no slice expression can fail.
type reader struct {
	file string
	data []byte
	off  int
}

// left returns how many bytes follow.
func (r *reader) left() uint64 { return uint64(len(r.data) - r.off) }

// fail returns the error of a field that starts at off.
func (r *reader) fail(off int, field, format string, args ...any) error {
	return r.failKind(nil, off, field, format, args...)
}

func (r *reader) failKind(kind error, off int, field, format string, args ...any) error {
	return &FormatError{
		File: r.file, Offset: int64(off), Field: field, Reason: fmt.Sprintf(format, args...), Kind: kind,
	}
}

// need returns an error unless n bytes follow.
func (r *reader) need(n uint64, field string) error {
	if n <= r.left() {
		return nil
	}
	return r.failKind(ErrTruncated, r.off, field, "%d bytes are wanted, %d are left", n, r.left())
}

func (r *reader) uint32(field string) (uint32, error) {
	if err := r.need(4, field); err != nil {
		return 0, err
	}
	v := binary.LittleEndian.Uint32(r.data[r.off:])
	r.off += 4
	return v, nil
}

func (r *reader) uint64(field string) (uint64, error) {
	if err := r.need(8, field); err != nil {
		return 0, err
	}
	v := binary.LittleEndian.Uint64(r.data[r.off:])
	r.off += 8
	return v, nil
}

// bytes returns the next n bytes, still in the file.
func (r *reader) bytes(n uint64, field string) ([]byte, error) {
	if err := r.need(n, field); err != nil {
		return nil, err
	}
	b := r.data[r.off : r.off+int(n) : r.off+int(n)]
	r.off += int(n)
	return b, nil
}

// string returns a copy of the next string, of at most limit bytes.
func (r *reader) string(limit uint64, field string) (string, error) {
	at := r.off
	n, err := r.uint64(field)
	if err != nil {
		return "", err
	}
	if n > limit && n <= r.left() {
		return "", r.fail(at, field, "length %d, at most %d is allowed", n, limit)
	}
	b, err := r.bytes(n, field)
	return string(b), err
}

// count reads a number of things that take at least minSize bytes each, and checks that so many can
// follow: a count alone never decides how much is allocated.
func (r *reader) count(minSize int, field string) (int, error) {
	at := r.off
	n, err := r.uint64(field)
	if err != nil {
		return 0, err
	}
	if n > r.left()/uint64(minSize) {
		return 0, r.failKind(ErrTruncated, at, field, "%d of at least %d bytes each are announced, %d bytes are left", n, minSize, r.left())
	}
	return int(n), nil
}
