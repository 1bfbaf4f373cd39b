// Package frames carries a stream of bytes in frames that are checked one by one, so that a reader never hands on a byte
// that is not as it was written, and never asks for memory on the word of a damaged file.
//
// A frame is the length of its payload, the payload, and the CRC-32C of the frame's number and both, integers
// being little-endian uint32. A frame without payload ends the stream.
package frames

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrDamaged is matched by the error of a stream that is cut short or not as it was written.
var ErrDamaged = errors.New("damaged")

// DamageError says where a stream is damaged. It matches ErrDamaged.
type DamageError struct {
	Offset int64 // of the frame, in bytes from where the Reader began
	Reason string
}

// Error returns one line.
func (e *DamageError) Error() string {
	return fmt.Sprintf("the frame at byte %d %s", e.Offset, e.Reason)
}

// Unwrap returns ErrDamaged.
func (e *DamageError) Unwrap() error { return ErrDamaged }

// maxPayload is the most that a frame holds.
const maxPayload = 1 << 18

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns that of frame number n, whose length and payload are in frame.
func checksum(n uint32, frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint32(nil, n), castagnoli), castagnoli, frame)
}

// Writer is an io.WriteCloser that makes frames of what it is given.
type Writer struct {
	w     io.Writer
	frame []byte // length and payload of the frame in the making
	n     uint32
	err   error
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, frame: make([]byte, 4, 4+maxPayload+4)}
}

// Write adds b to the stream. Errors: those of the underlying writer, from then on.
func (w *Writer) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) && w.err == nil {
		n := min(len(b)-done, 4+maxPayload-len(w.frame))
		w.frame = append(w.frame, b[done:done+n]...)
		if done += n; len(w.frame) == 4+maxPayload {
			w.flush()
		}
	}
	return done, w.err
}

// Close ends the stream. It does not close the underlying writer.
func (w *Writer) Close() error {
	if len(w.frame) > 4 {
		w.flush()
	}
	w.flush()
	return w.err
}

func (w *Writer) flush() {
	if w.err != nil {
		return
	}
	binary.LittleEndian.PutUint32(w.frame, uint32(len(w.frame)-4))
	w.frame = binary.LittleEndian.AppendUint32(w.frame, checksum(w.n, w.frame))
	_, w.err = w.w.Write(w.frame)
	w.frame = w.frame[:4]
	w.n++
}

// Reader is an io.Reader of what a Writer wrote. It reads no byte behind the end of the stream.
type Reader struct {
	r     io.Reader
	at    int64
	frame []byte
	left  []byte // of the frame's payload
	n     uint32
	err   error
}

// NewReader returns a Reader from r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Read reads from the stream. Errors: io.EOF at its end, *DamageError, those of the underlying reader.
func (r *Reader) Read(b []byte) (int, error) {
	if len(r.left) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.left) == 0 {
		return 0, r.err
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *Reader) next() error {
	damaged := func(format string, args ...any) error {
		return &DamageError{Offset: r.at, Reason: fmt.Sprintf(format, args...)}
	}
	full := func(b []byte) error {
		_, err := io.ReadFull(r.r, b)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return damaged("is cut short")
		}
		return err
	}
	if r.frame == nil {
		r.frame = make([]byte, 4+maxPayload+4)
	}
	if err := full(r.frame[:4]); err != nil {
		return err
	}
	size := binary.LittleEndian.Uint32(r.frame)
	if size > maxPayload {
		return damaged("has %d bytes, at most %d are allowed", size, maxPayload)
	}
	body := r.frame[:4+size]
	if err := full(r.frame[4 : 8+size]); err != nil {
		return err
	}
	if have, want := checksum(r.n, body), binary.LittleEndian.Uint32(r.frame[4+size:]); have != want {
		return damaged("has the checksum %#08x, want %#08x", have, want)
	}
	r.at += int64(8 + size)
	r.n++
	if size == 0 {
		return io.EOF
	}
	r.left = body[4:]
	return nil
}
