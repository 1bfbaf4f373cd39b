package gguf

import (
	"errors"
	"fmt"
	"iter"
	"os"

	"github.com/tenon-go/tenon/internal/mmap"
	"github.com/tenon-go/tenon/tensor"
)

// TensorInfo describes a tensor of a File.
type TensorInfo struct {
	Name   string
	Type   tensor.DType
	Shape  tensor.Shape // sizes of dimensions that the file leaves out are 1
	Split  int          // which of the File's parts holds it, 0 unless the model is split
	Offset int64        // in bytes from the start of that part
	Size   int64        // in bytes
}

// File is an open model: its metadata and its tensors, of one file or of all parts of a split one.
//
// The Metadata is that of the first part. Changing it does not change the file.
type File struct {
	*Metadata
	parts   []*part
	maps    []*mmap.Mapping // all that Close releases; empty for a parsed File
	tensors []TensorInfo
	index   map[string]int
}

// Open maps and checks the model at path. For a split model path may be any of its parts, named
// NAME-00001-of-00003.gguf and so on, and the others must lie beside it.
//
// Errors: *FormatError; ErrUnsupported for version 1, big-endian files and removed types; or what the
// system said, such as fs.ErrNotExist for a part that is absent.
func Open(path string) (*File, error) {
	f := new(File)
	if err := f.open(path); err != nil {
		_ = f.Close() // what is wrong with the file says more
		return nil, err
	}
	return f, nil
}

// Parse is Open for a file, or one part of a split model, that is in memory already. The File refers to
// data, which must not be changed; name stands for the path in errors.
func Parse(data []byte, name string) (*File, error) {
	p, err := parse(name, data)
	if err != nil {
		return nil, err
	}
	f := new(File)
	return f, f.join([]*part{p})
}

// openPart maps and parses one file. The File owns the mapping from then on, even on an error.
func (f *File) openPart(path string) (*part, error) {
	osFile, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	defer osFile.Close()
	m, err := mmap.File(osFile)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f.maps = append(f.maps, m)
	p, err := parse(path, m.Bytes())
	if err != nil {
		return nil, err
	}
	p.mapping = m
	return p, nil
}

// join makes one model of its parts.
func (f *File) join(parts []*part) error {
	f.parts = parts
	f.Metadata = &parts[0].meta
	f.tensors, f.index = parts[0].tensors, parts[0].index
	for i, p := range parts[1:] {
		for j, t := range p.tensors {
			t.Split = i + 1
			if first, dup := f.index[t.Name]; dup {
				return &FormatError{
					File: p.file, Offset: int64(p.offsetAt[j]), Field: tensorField(t.Name),
					Reason: "it is in " + parts[f.tensors[first].Split].file + " as well",
				}
			}
			f.index[t.Name] = len(f.tensors)
			f.tensors = append(f.tensors, t)
		}
	}
	for _, p := range parts {
		p.tensors, p.index, p.offsetAt = nil, nil, nil // f has them now
	}
	return nil
}

// Close unmaps the file. What Data and Mapping returned must not be used afterwards; the Metadata loses
// its arrays and keeps the rest. Closing again does nothing.
func (f *File) Close() error {
	var errs []error
	if f.Metadata != nil {
		f.release()
	}
	for _, p := range f.parts {
		p.data = nil
	}
	for _, m := range f.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Splits returns the number of parts: 1 unless the model is split.
func (f *File) Splits() int { return len(f.parts) }

// Path returns the path of a part, or the name given to Parse.
func (f *File) Path(split int) string { return f.parts[split].file }

// Version returns the format version of the first part, 2 or 3.
func (f *File) Version() int { return f.parts[0].version }

// Mapping returns all bytes of a part, read-only, from the start of a page unless the File comes from
// Parse: what a device that shares the host's memory can import. It is nil after Close.
func (f *File) Mapping(split int) []byte { return f.parts[split].data }

// Size returns the bytes of all parts together.
func (f *File) Size() int64 {
	var n int64
	for _, p := range f.parts {
		n += int64(len(p.data))
	}
	return n
}

// NumTensors returns the number of tensors.
func (f *File) NumTensors() int { return len(f.tensors) }

// Tensors goes through the tensors in the order in which they are stored.
func (f *File) Tensors() iter.Seq[TensorInfo] {
	return func(yield func(TensorInfo) bool) {
		for _, t := range f.tensors {
			if !yield(t) {
				return
			}
		}
	}
}

// Tensor returns the tensor of the given name, and whether there is one.
func (f *File) Tensor(name string) (TensorInfo, bool) {
	i, ok := f.index[name]
	if !ok {
		return TensorInfo{}, false
	}
	return f.tensors[i], true
}

// TensorBytes returns the bytes of all tensors together, without padding.
func (f *File) TensorBytes() int64 {
	var n int64
	for _, t := range f.tensors {
		n += t.Size
	}
	return n
}

// Data returns the bytes of a tensor of f, read-only and still in the mapping. It is nil after Close.
func (f *File) Data(t TensorInfo) []byte {
	data := f.parts[t.Split].data
	if data == nil {
		return nil
	}
	return data[t.Offset : t.Offset+t.Size : t.Offset+t.Size]
}

// Prefetch tells the system that the bytes of a tensor of f are wanted soon. It does not wait for them.
func (f *File) Prefetch(t TensorInfo) error {
	p := f.parts[t.Split]
	if p.mapping == nil {
		return nil
	}
	if err := p.mapping.Prefetch(int(t.Offset), int(t.Size)); err != nil {
		return fmt.Errorf("gguf: %s: tensor %q: %w", p.file, t.Name, err)
	}
	return nil
}
