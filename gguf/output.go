package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// output counts what is written and keeps the first error, after which it writes nothing.
type output struct {
	w   *bufio.Writer
	n   int64
	err error
}

func (o *output) write(b []byte) {
	if o.err != nil {
		return
	}
	n, err := o.w.Write(b)
	o.n += int64(n)
	o.err = err
}

// pad writes zeros up to the next multiple of align.
func (o *output) pad(align int) {
	var zeros [4096]byte
	for left := alignUp(o.n, int64(align)) - o.n; left > 0 && o.err == nil; {
		n := min(left, int64(len(zeros)))
		o.write(zeros[:n])
		left -= n
	}
}

// value writes the type and the value of v.
func (o *output) value(v Value) {
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, 16), uint32(v.typ))
	switch v.typ {
	case TypeString:
		o.write(appendString(b, v.str))
	case TypeArray:
		b = le.AppendUint32(b, uint32(v.elem))
		o.write(le.AppendUint64(b, uint64(v.n)))
		o.write(v.raw)
	default:
		// Little-endian, so that the first bytes of the 64 are the value in any width.
		o.write(le.AppendUint64(b, v.bits)[:4+v.typ.size()])
	}
}

// tensor has t write its bytes, and holds it to size.
func (o *output) tensor(t TensorSource, size int64) error {
	if o.err != nil {
		return fmt.Errorf("gguf: write: %w", o.err)
	}
	w := &tensorOutput{o: o, left: size}
	err := t.Write(w)
	switch {
	case w.tooMany:
		// Before its own error, which is likely to be the short write that it met.
		return &WriteError{Item: tensorField(t.Name), Reason: fmt.Sprintf("its source writes more than its %d bytes", size)}
	case err != nil:
		return fmt.Errorf("gguf: write: tensor %q: %w", t.Name, err)
	case o.err != nil: // which the source passed over
		return fmt.Errorf("gguf: write: %w", o.err)
	case w.left > 0:
		return &WriteError{Item: tensorField(t.Name), Reason: fmt.Sprintf("its source wrote %d bytes of %d", size-w.left, size)}
	}
	return nil
}

// tensorOutput passes on at most as many bytes as a tensor has.
type tensorOutput struct {
	o       *output
	left    int64
	tooMany bool
}

func (w *tensorOutput) Write(b []byte) (int, error) {
	if int64(len(b)) > w.left {
		w.tooMany = true
		return 0, io.ErrShortWrite
	}
	before := w.o.n
	w.o.write(b)
	w.left -= w.o.n - before
	return int(w.o.n - before), w.o.err
}
