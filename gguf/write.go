package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/tenon-go/tenon/tensor"
)

// TensorSource is a tensor to write. Its size follows from Type and Shape.
type TensorSource struct {
	Name  string
	Type  tensor.DType
	Shape tensor.Shape // every size at least 1

	// Write writes the tensor's bytes, exactly as many as its size, in as many calls as it likes. It is
	// called once, when all before it is written, so that a model need never be in memory as a whole.
	Write func(w io.Writer) error
}

// Source returns a tensor of f to write it elsewhere.
func (f *File) Source(t TensorInfo) TensorSource {
	return TensorSource{Name: t.Name, Type: t.Type, Shape: t.Shape, Write: func(w io.Writer) error {
		data := f.Data(t)
		if data == nil {
			return ErrClosed
		}
		_, err := w.Write(data)
		return err
	}}
}

// Writer has the options of writing. The zero Writer is what the function Write uses.
type Writer struct {
	Version int // 2 or 3; 0 stands for 3
}

// Write writes a GGUF file of version 3: the keys of meta and the tensors, each in its order. Tensors
// are aligned to general.alignment if meta has it, to 32 bytes otherwise. Nothing is added to meta, and
// it is checked that it does not say that the file is a part of a split model.
//
// Errors: *WriteError before anything is written, or for a source that writes too few or too many
// bytes; what a source or w returned.
func Write(w io.Writer, meta *Metadata, tensors []TensorSource) error {
	return Writer{}.Write(w, meta, tensors)
}

// WriteFile is Write to a file. It is written under another name beside path and renamed when it is
// complete, so that path never names half a model.
func WriteFile(path string, meta *Metadata, tensors []TensorSource) (err error) {
	partial := path + ".partial"
	out, err := os.Create(partial)
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	if err := errors.Join(Write(out, meta, tensors), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// Write is the function Write with the options of wr.
func (wr Writer) Write(w io.Writer, meta *Metadata, tensors []TensorSource) error {
	plan, err := wr.plan(meta, tensors)
	if err != nil {
		return err
	}
	// Large enough that a system call is rare beside the copying, small beside any tensor.
	out := &output{w: bufio.NewWriterSize(w, 1<<18)}
	out.write(plan.header)
	for _, e := range meta.entries {
		out.write(appendString(nil, e.key))
		out.value(e.value)
	}
	for i, t := range tensors {
		out.write(plan.describe(i, t))
	}
	out.pad(plan.alignment)
	for i, t := range tensors {
		if err := out.tensor(t, plan.sizes[i]); err != nil {
			return err
		}
		out.pad(plan.alignment)
	}
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if out.err != nil {
		return fmt.Errorf("gguf: write: %w", out.err)
	}
	return nil
}

// writePlan is what is known before the first byte.
type writePlan struct {
	header    []byte
	alignment int
	sizes     []int64 // of the tensors, in bytes
	offsets   []int64 // of the tensors, from the start of the tensor data
}

// plan checks everything that a reader would refuse.
func (wr Writer) plan(meta *Metadata, tensors []TensorSource) (*writePlan, error) {
	version := wr.Version
	if version == 0 {
		version = 3
	}
	if version != 2 && version != 3 {
		return nil, &WriteError{Item: "version", Reason: fmt.Sprintf("%d, want 2 or 3", version)}
	}
	p := &writePlan{header: []byte(magic)}
	p.header = binary.LittleEndian.AppendUint32(p.header, uint32(version))
	p.header = binary.LittleEndian.AppendUint64(p.header, uint64(len(tensors)))
	p.header = binary.LittleEndian.AppendUint64(p.header, uint64(meta.Len()))
	if err := p.checkMeta(meta); err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(tensors))
	var offset int64
	for _, t := range tensors {
		size, reason := checkSource(t, names)
		if reason == "" && size > math.MaxInt64-offset-int64(p.alignment) {
			reason = "the size of the file overflows"
		}
		if reason != "" {
			return nil, &WriteError{Item: tensorField(t.Name), Reason: reason}
		}
		names[t.Name] = true
		p.sizes = append(p.sizes, size)
		p.offsets = append(p.offsets, offset)
		offset = alignUp(offset+size, int64(p.alignment))
	}
	return p, nil
}

func (p *writePlan) checkMeta(meta *Metadata) error {
	p.alignment = defaultAlignment
	for _, e := range meta.entries {
		if reason := p.checkPair(e.key, e.value); reason != "" {
			return &WriteError{Item: "key " + strconv.Quote(e.key), Reason: reason}
		}
	}
	return nil
}

func (p *writePlan) checkPair(key string, v Value) (reason string) {
	switch {
	case key == "" || len(key) > maxKeyBytes:
		return fmt.Sprintf("a key of %d bytes, want 1 to %d", len(key), maxKeyBytes)
	case v.closed():
		return "the file of this array is closed"
	case key == keySplitCount:
		if n, ok := toUint(v); !ok || n > 1 {
			return v.describe() + ", but what is written is one file: delete the split.* keys first"
		}
	case key == keyAlignment:
		n, ok := toUint(v)
		if !ok || v.typ != TypeUint32 || !validAlignment(n) {
			return fmt.Sprintf("%s, want uint32, a power of two from %d to %d", v.describe(), minAlignment, maxAlignment)
		}
		p.alignment = int(n)
	}
	return ""
}

// checkSource returns the size of t in bytes, or why it cannot be written.
func checkSource(t TensorSource, names map[string]bool) (size int64, reason string) {
	switch {
	case t.Name == "" || len(t.Name) > maxNameBytes:
		return 0, fmt.Sprintf("a name of %d bytes, want 1 to %d", len(t.Name), maxNameBytes)
	case names[t.Name]:
		return 0, "there are two of this name"
	case !t.Type.Valid():
		return 0, badType(uint32(t.Type))
	case t.Write == nil:
		return 0, "it has no Write function"
	}
	for d, n := range t.Shape {
		if n < 1 {
			return 0, fmt.Sprintf("dimension %d is %d, want at least 1", d, n)
		}
	}
	return tensorBytes(t.Type, t.Shape)
}

// describe returns the description of tensor i.
func (p *writePlan) describe(i int, t TensorSource) []byte {
	le := binary.LittleEndian
	b := appendString(nil, t.Name)
	dims := t.Shape.Dims()
	b = le.AppendUint32(b, uint32(dims))
	for _, n := range t.Shape[:dims] {
		b = le.AppendUint64(b, uint64(n))
	}
	b = le.AppendUint32(b, uint32(t.Type))
	return le.AppendUint64(b, uint64(p.offsets[i]))
}
