package gguf

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/tenon-go/tenon/internal/mmap"
	"github.com/tenon-go/tenon/tensor"
)

// Limits. The format itself has those of keys and dimensions; the others are far above what real files
// have and keep damaged ones from being taken for real.
const (
	maxKeyBytes  = 1<<16 - 1
	maxNameBytes = 1 << 12
	maxNesting   = 4 // arrays in arrays

	defaultAlignment = 32
	minAlignment     = 8 // so that every element of a tensor is aligned in memory
	maxAlignment     = 1 << 24
)

// The fewest bytes of a key-value pair (key of one byte, one-byte value) and of a tensor description
// (name of one byte, no dimension).
const (
	minPairBytes   = 8 + 1 + 4 + 1
	minTensorBytes = 8 + 1 + 4 + 4 + 8
)

const (
	magic        = "GGUF"
	keyAlignment = "general.alignment"
)

// part is one parsed file: all of a model, or one part of a split one.
type part struct {
	file      string
	data      []byte
	mapping   *mmap.Mapping // nil if data was given
	version   int
	alignment int
	meta      Metadata
	tensors   []TensorInfo
	index     map[string]int // name to place in tensors
	offsetAt  []int          // where the offset of each tensor stands in the file, for errors
}

// parse reads the header of the file in data and checks all of it.
func parse(file string, data []byte) (*part, error) {
	r := &reader{file: file, data: data}
	p := &part{file: file, data: data, index: make(map[string]int)}
	p.meta.file = file
	if err := r.header(p); err != nil {
		return nil, err
	}
	tensorCountAt := r.off
	tensors, err := r.count(minTensorBytes, "tensor count")
	if err != nil {
		return nil, err
	}
	pairs, err := r.count(minPairBytes, "metadata count")
	if err != nil {
		return nil, err
	}
	for i := range pairs {
		if err := r.pair(&p.meta, i); err != nil {
			return nil, err
		}
	}
	if err := r.alignment(p); err != nil {
		return nil, err
	}
	// Again, because the metadata stood between: now the bytes that are left must hold the descriptions.
	if uint64(tensors) > r.left()/minTensorBytes {
		return nil, r.failKind(ErrTruncated, tensorCountAt, "tensor count",
			"%d of at least %d bytes each are announced, %d bytes are left after the metadata", tensors, minTensorBytes, r.left())
	}
	for i := range tensors {
		if err := r.tensor(p, i); err != nil {
			return nil, err
		}
	}
	return p, r.placeTensors(p)
}

// header reads magic and version.
func (r *reader) header(p *part) error {
	if len(r.data) < len(magic) {
		return r.failKind(ErrTruncated, 0, "magic", "the file has %d bytes", len(r.data))
	}
	if string(r.data[:len(magic)]) != magic {
		return r.fail(0, "magic", "%s, want %q", describeMagic(r.data), magic)
	}
	r.off = len(magic)
	v, err := r.uint32("version")
	if err != nil {
		return err
	}
	switch {
	case v == 2, v == 3:
		p.version = int(v)
		return nil
	case v == 1:
		return r.failKind(ErrUnsupported, 4, "version", "version 1 with its 32-bit lengths is not supported, want 2 or 3: convert the model again")
	case v != 0 && v&0xffff == 0:
		return r.failKind(ErrUnsupported, 4, "version", "the file is big-endian (version bytes % x), want little-endian: convert it first", r.data[4:8])
	}
	return r.failKind(ErrUnsupported, 4, "version", "version %d, want 2 or 3", v)
}

// describeMagic says what a file that is no GGUF file is instead: people often have one of these.
func describeMagic(data []byte) string {
	for _, known := range []struct{ prefix, what string }{
		{"lmgg", "a GGML file from before GGUF"},
		{"fmgg", "a GGML file from before GGUF"},
		{"tjgg", "a GGML file from before GGUF"},
		{"algg", "a GGML adapter from before GGUF"},
		{"version https://git-lfs", "a Git LFS pointer, the model itself was not downloaded"},
		{"PK\x03\x04", "a zip archive, such as a PyTorch checkpoint"},
		{"\x1f\x8b", "a gzip-compressed file"},
		{"<!DOCTYPE", "an HTML page, not a model"},
		{"<html", "an HTML page, not a model"},
	} {
		if bytes.HasPrefix(data, []byte(known.prefix)) {
			return known.what
		}
	}
	if len(data) > 8 && data[8] == '{' && binary.LittleEndian.Uint64(data) < uint64(len(data)) {
		return "a safetensors file"
	}
	return "found " + strconv.Quote(string(data[:len(magic)]))
}

// alignment takes the alignment of tensors from the metadata.
func (r *reader) alignment(p *part) error {
	p.alignment = defaultAlignment
	i, ok := p.meta.index[keyAlignment]
	if !ok {
		return nil
	}
	e := p.meta.entries[i]
	v, ok := toUint(e.value)
	if !ok || !validAlignment(v) {
		return r.fail(int(e.off), "key "+strconv.Quote(keyAlignment), "%s, want a power of two from %d to %d",
			e.value.describe(), minAlignment, maxAlignment)
	}
	p.alignment = int(v)
	return nil
}

func validAlignment(v uint64) bool {
	return v >= minAlignment && v <= maxAlignment && v&(v-1) == 0
}

// tensor reads the description of tensor number i into p. Its offset stays relative to the tensor data
// until placeTensors.
func (r *reader) tensor(p *part, i int) error {
	at := r.off
	field := "name of tensor " + strconv.Itoa(i)
	name, err := r.string(maxNameBytes, field)
	if err != nil {
		return err
	}
	if name == "" {
		return r.fail(at, field, "it is empty")
	}
	field = tensorField(name)
	if first, dup := p.index[name]; dup {
		return r.fail(at, field, "number %d has the name of number %d", i, first)
	}
	info := TensorInfo{Name: name}
	if info.Shape, err = r.shape(field); err != nil {
		return err
	}
	typeAt := r.off
	id, err := r.uint32(field + " type")
	if err != nil {
		return err
	}
	if reason := badType(id); reason != "" {
		return r.failKind(ErrUnsupported, typeAt, field, "%s", reason)
	}
	info.Type = tensor.DType(id)
	var reason string
	if info.Size, reason = tensorBytes(info.Type, info.Shape); reason != "" {
		return r.fail(typeAt, field, "%s", reason)
	}
	offsetAt := r.off
	offset, err := r.uint64(field + " offset")
	if err != nil {
		return err
	}
	if offset > math.MaxInt64 {
		return r.failKind(ErrTruncated, offsetAt, field, "offset %d is beyond any file", offset)
	}
	info.Offset = int64(offset)
	p.index[name] = len(p.tensors)
	p.tensors = append(p.tensors, info)
	p.offsetAt = append(p.offsetAt, offsetAt)
	return nil
}

func (r *reader) shape(field string) (tensor.Shape, error) {
	at := r.off
	s := tensor.MakeShape()
	n, err := r.uint32(field + " dimension count")
	if err != nil {
		return s, err
	}
	if n > tensor.MaxDims {
		return s, r.fail(at, field, "%d dimensions, at most %d are allowed", n, tensor.MaxDims)
	}
	for d := range n {
		at = r.off
		size, err := r.uint64(field + " dimension")
		if err != nil {
			return s, err
		}
		if size == 0 || size > math.MaxInt64 {
			return s, r.fail(at, field, "dimension %d is %d, want 1 to 2^63-1", d, size)
		}
		s[d] = int(size)
	}
	return s, nil
}
