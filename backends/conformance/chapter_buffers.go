package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/buffer"
)

func bufferCases(t *table) {
	each := func(name string, run func(s *session, typ buffer.Type) error) {
		t.check(ChapterBuffers, name, func(_ context.Context, s *session) (measure, error) {
			for _, typ := range s.dev.BufferTypes() {
				if err := run(s, typ); err != nil {
					return measure{}, fmt.Errorf("memory %s: %w", typ.Name(), err)
				}
			}
			return measure{}, nil
		})
	}
	t.check(ChapterBuffers, "types", func(_ context.Context, s *session) (measure, error) { return measure{}, bufferTypes(s) })
	each("zeroed", bufferZeroed)
	each("zero-size", bufferZeroSize)
	each("read-write", bufferReadWrite)
	each("range-errors", bufferRanges)
	each("too-large", bufferTooLarge)
	each("close", bufferClose)
	each("many", bufferMany)
	each("fill", bufferFill)
	each("mapped", bufferMapped)
	each("import", bufferImport)
	each("concurrent", bufferConcurrent)
	t.check(ChapterBuffers, "copies", func(_ context.Context, s *session) (measure, error) { return measure{}, bufferCopies(s) })
}

// bufferTypes checks what a device says of its memory.
func bufferTypes(s *session) error {
	owner := s.dev.Info().Owner
	if owner.Backend == "" || owner.Device == "" {
		return fmt.Errorf("Info().Owner is %+v, want both names", owner)
	}
	types := s.dev.BufferTypes()
	again := s.dev.BufferTypes()
	if len(types) == 0 || len(again) != len(types) {
		return fmt.Errorf("BufferTypes has %d types, then %d", len(types), len(again))
	}
	seen := map[buffer.Type]bool{}
	for i, t := range types {
		a := t.Alignment()
		switch {
		case t != again[i]:
			return fmt.Errorf("type %d is another value at the second call", i)
		case seen[t]:
			return fmt.Errorf("type %s is listed twice", t.Name())
		case !s.dev.CanUse(t):
			return fmt.Errorf("CanUse(%s) is false for memory that the device owns", t.Name())
		case t.Owner() != owner:
			return fmt.Errorf("type %s is owned by %+v, want %+v", t.Name(), t.Owner(), owner)
		case t.Name() == "":
			return fmt.Errorf("type %d has no name", i)
		case a < 1 || a&(a-1) != 0:
			return fmt.Errorf("the alignment of %s is %d, want a power of two", t.Name(), a)
		case t.MaxSize() < 1<<20:
			return fmt.Errorf("the largest buffer of %s is %d bytes", t.Name(), t.MaxSize())
		}
		seen[t] = true
	}
	if s.dev.CanUse(nil) {
		return errors.New("CanUse(nil) is true")
	}
	return nil
}

// alloc allocates, and checks what comes.
func alloc(typ buffer.Type, size int64) (buffer.Buffer, error) {
	b, err := typ.Alloc(size)
	switch {
	case err != nil:
		return nil, fmt.Errorf("Alloc(%d): %w", size, err)
	case b == nil:
		return nil, fmt.Errorf("Alloc(%d) returned neither a buffer nor an error", size)
	case b.Size() != size:
		return nil, fmt.Errorf("Alloc(%d) returned a buffer of %d bytes", size, b.Size())
	case b.Type() != typ:
		return nil, fmt.Errorf("a buffer of %s says that it is of %s", typ.Name(), b.Type().Name())
	}
	return b, nil
}

// oddSizes are sizes of buffers that no page or vector divides.
var oddSizes = []int64{1, 3, 63, 64, 65, 4095, 4097, 100_003}

func bufferZeroed(_ *session, typ buffer.Type) error {
	for range 3 { // memory that comes back from an earlier buffer too
		for _, size := range oddSizes {
			b, err := alloc(typ, size)
			if err != nil {
				return err
			}
			p := bytes.Repeat([]byte{0xa5}, int(size))
			if n, err := b.ReadAt(p, 0); err != nil || int64(n) != size {
				return moved("ReadAt", n, size, err)
			}
			for i, v := range p {
				if v != 0 {
					return fmt.Errorf("byte %d of %d new ones is %#x, want 0", i, size, v)
				}
			}
			if _, err := b.WriteAt(bytes.Repeat([]byte{0xff}, int(size)), 0); err != nil {
				return err
			}
			if err := b.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func bufferZeroSize(_ *session, typ buffer.Type) error {
	b, err := alloc(typ, 0)
	if err != nil {
		return err
	}
	if n, err := b.ReadAt(nil, 0); n != 0 || err != nil {
		return moved("ReadAt", n, 0, err)
	}
	if n, err := b.WriteAt(nil, 0); n != 0 || err != nil {
		return moved("WriteAt", n, 0, err)
	}
	if _, err := b.ReadAt(make([]byte, 1), 0); !errors.Is(err, buffer.ErrRange) {
		return fmt.Errorf("ReadAt of a byte of an empty buffer: %v, want ErrRange", err)
	}
	return errors.Join(buffer.Fill(b, 0, 0, 1), b.Close())
}

// bufferReadWrite writes and reads pieces of all sizes at odd places, against a copy in Go memory.
func bufferReadWrite(s *session, typ buffer.Type) error {
	const size = 100_003
	b, err := alloc(typ, size)
	if err != nil {
		return err
	}
	r := s.rand("read-write" + typ.Name())
	model := make([]byte, size)
	for i := range 300 {
		n := r.IntN(1 << r.IntN(16))
		off := r.IntN(size - n + 1)
		if i%2 == 0 {
			for j := range n {
				model[off+j] = byte(r.Uint32())
			}
			if got, err := b.WriteAt(model[off:off+n], int64(off)); err != nil || got != n {
				return moved("WriteAt", got, int64(n), err)
			}
			continue
		}
		p := make([]byte, n)
		if got, err := b.ReadAt(p, int64(off)); err != nil || got != n {
			return moved("ReadAt", got, int64(n), err)
		}
		if !bytes.Equal(p, model[off:off+n]) {
			return fmt.Errorf("ReadAt of %d bytes at %d gives other bytes than were written", n, off)
		}
	}
	return errors.Join(contains(b, model), b.Close())
}

// contains reports whether b holds want.
func contains(b buffer.Buffer, want []byte) error {
	p := make([]byte, len(want))
	if n, err := b.ReadAt(p, 0); err != nil || n != len(p) {
		return moved("ReadAt", n, int64(len(p)), err)
	}
	for i := range p {
		if p[i] != want[i] {
			return fmt.Errorf("byte %d is %#x, want %#x", i, p[i], want[i])
		}
	}
	return nil
}

// bufferRanges asks for what lies outside: an error, and nothing is moved.
func bufferRanges(_ *session, typ buffer.Type) error {
	const size = 1000
	b, err := alloc(typ, size)
	if err != nil {
		return err
	}
	want := bytes.Repeat([]byte{7}, size)
	if _, err := b.WriteAt(want, 0); err != nil {
		return err
	}
	for _, c := range []struct{ off, n int64 }{
		{-1, 1}, {-1, 0}, {size, 1}, {size + 1, 0}, {0, size + 1}, {size - 1, 2}, {math.MinInt64, 8}, {math.MaxInt64, 1}, {math.MaxInt64 - 3, 8},
	} {
		p := bytes.Repeat([]byte{9}, int(c.n))
		if n, err := b.WriteAt(p, c.off); !errors.Is(err, buffer.ErrRange) || n != 0 {
			return fmt.Errorf("WriteAt of %d bytes at %d of %d: %d, %v, want ErrRange", c.n, c.off, size, n, err)
		}
		if n, err := b.ReadAt(p, c.off); !errors.Is(err, buffer.ErrRange) || n != 0 {
			return fmt.Errorf("ReadAt of %d bytes at %d of %d: %d, %v, want ErrRange", c.n, c.off, size, n, err)
		}
		if !bytes.Equal(p, bytes.Repeat([]byte{9}, int(c.n))) {
			return fmt.Errorf("ReadAt of %d bytes at %d of %d moved something", c.n, c.off, size)
		}
		if err := buffer.Fill(b, c.off, c.n, 9); !errors.Is(err, buffer.ErrRange) {
			return fmt.Errorf("a Fill of %d bytes at %d of %d: %v, want ErrRange", c.n, c.off, size, err)
		}
	}
	return errors.Join(contains(b, want), b.Close())
}

// bufferTooLarge asks for more than there can be: an error that says how much was asked for.
func bufferTooLarge(s *session, typ buffer.Type) error {
	sizes := []int64{-1, math.MinInt64}
	if most := typ.MaxSize(); most < math.MaxInt64 {
		sizes = append(sizes, most+1, math.MaxInt64)
	}
	for _, size := range sizes {
		b, err := typ.Alloc(size)
		var e *buffer.AllocError
		if !errors.As(err, &e) || !errors.Is(err, buffer.ErrNoMemory) {
			if b != nil {
				err = errors.Join(err, b.Close())
			}
			return fmt.Errorf("Alloc(%d) of memory whose buffers have at most %d bytes: %v, want an *AllocError", size, typ.MaxSize(), err)
		}
		if e.Size != size {
			return fmt.Errorf("Alloc(%d): the error speaks of %d bytes", size, e.Size)
		}
	}
	// What the machine does not have may be promised, but not refused in another way.
	if total := s.dev.Info().MemoryTotal; total > 0 && 4*total <= typ.MaxSize() {
		b, err := typ.Alloc(4 * total)
		if err == nil {
			return b.Close()
		}
		if !errors.Is(err, buffer.ErrNoMemory) {
			return fmt.Errorf("an Alloc of four times the device's memory: %v, want ErrNoMemory", err)
		}
	}
	b, err := alloc(typ, 100) // and then there is memory again
	if err != nil {
		return err
	}
	return b.Close()
}

func bufferClose(_ *session, typ buffer.Type) error {
	b, err := alloc(typ, 100)
	if err != nil {
		return err
	}
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		return fmt.Errorf("a second Close: %w", err)
	}
	if _, err := b.ReadAt(make([]byte, 8), 0); err == nil {
		return errors.New("ReadAt of a closed buffer has no error")
	}
	if _, err := b.WriteAt(make([]byte, 8), 0); err == nil {
		return errors.New("WriteAt to a closed buffer has no error")
	}
	if buffer.HostBytes(b) != nil {
		return errors.New("a closed buffer still has host memory")
	}
	return nil
}

// bufferMany keeps many buffers at a time: none shares a byte with another.
func bufferMany(_ *session, typ buffer.Type) error {
	all := make([]buffer.Buffer, 200)
	for i := range all {
		var err error
		if all[i], err = alloc(typ, int64(1+i*37%500)); err != nil {
			return fmt.Errorf("buffer %d: %w", i, err)
		}
		if err := buffer.Fill(all[i], 0, all[i].Size(), byte(i)); err != nil {
			return err
		}
	}
	for i, b := range all {
		if err := contains(b, bytes.Repeat([]byte{byte(i)}, int(b.Size()))); err != nil {
			return fmt.Errorf("buffer %d of many: %w", i, err)
		}
		if err := b.Close(); err != nil {
			return err
		}
	}
	return nil
}

func bufferFill(s *session, typ buffer.Type) error {
	const size = 70_001
	b, err := alloc(typ, size)
	if err != nil {
		return err
	}
	model := make([]byte, size)
	r := s.rand("fill" + typ.Name())
	for range 60 {
		n := r.IntN(1 << r.IntN(16))
		off := r.IntN(size - n + 1)
		v := byte(r.Uint32())
		if err := buffer.Fill(b, int64(off), int64(n), v); err != nil {
			return fmt.Errorf("a Fill of %d bytes at %d: %w", n, off, err)
		}
		for i := range n {
			model[off+i] = v
		}
	}
	return errors.Join(contains(b, model), b.Close())
}
