package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/tenon-go/tenon/buffer"
)

// bufferMapped compares the host's view, where there is one, with what ReadAt and WriteAt move.
func bufferMapped(_ *session, typ buffer.Type) error {
	b, err := alloc(typ, 5000)
	if err != nil {
		return err
	}
	m := buffer.HostBytes(b)
	if m == nil {
		return b.Close()
	}
	if len(m) != 5000 {
		return fmt.Errorf("HostBytes of a buffer of 5000 has %d bytes", len(m))
	}
	if _, err := b.WriteAt([]byte{1, 2, 3}, 4000); err != nil {
		return err
	}
	if !bytes.Equal(m[4000:4003], []byte{1, 2, 3}) {
		return errors.New("HostBytes does not show what WriteAt wrote")
	}
	m[17] = 42
	want := make([]byte, 5000)
	copy(want[4000:], []byte{1, 2, 3})
	want[17] = 42
	return errors.Join(contains(b, want), b.Close())
}

// bufferImport uses host memory where it lies, if the type can.
func bufferImport(_ *session, typ buffer.Type) error {
	host, err := buffer.NewHost(buffer.Owner{Backend: "Conformance", Device: "Conformance0"}, 0).Alloc(1 << 16)
	if err != nil {
		return err
	}
	b, err := buffer.Import(typ, buffer.HostBytes(host))
	if err != nil {
		return fmt.Errorf("importing host memory: %w", err)
	}
	if b == nil {
		return host.Close()
	}
	if b.Size() != 1<<16 {
		return fmt.Errorf("importing %d bytes gives a buffer of %d", 1<<16, b.Size())
	}
	if _, err := b.WriteAt([]byte("imported"), 1000); err != nil {
		return err
	}
	want := make([]byte, 1<<16)
	copy(want[1000:], "imported")
	if err := errors.Join(contains(b, want), contains(host, want), b.Close()); err != nil {
		return err
	}
	return errors.Join(contains(host, want), host.Close()) // which stays its owner's
}

// bufferConcurrent reads and writes from several goroutines, in ranges that do not overlap.
func bufferConcurrent(_ *session, typ buffer.Type) error {
	const workers, part = 8, 10_007
	b, err := alloc(typ, workers*part)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := range 50 {
				want := bytes.Repeat([]byte{byte(w*50 + i)}, part)
				if _, errs[w] = b.WriteAt(want, int64(w*part)); errs[w] != nil {
					return
				}
				have := make([]byte, part)
				if _, errs[w] = b.ReadAt(have, int64(w*part)); errs[w] != nil {
					return
				}
				if !bytes.Equal(have, want) {
					errs[w] = fmt.Errorf("goroutine %d reads other bytes than it wrote", w)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), b.Close())
}

// bufferCopies moves bytes between every two kinds of memory: the device's, the host's, and that of the
// second device.
func bufferCopies(s *session) error {
	types := append([]buffer.Type{buffer.NewHost(buffer.Owner{Backend: "Conformance", Device: "Conformance0"}, 0)}, s.dev.BufferTypes()...)
	types = append(types, s.opt.Beside.BufferTypes()...)
	for _, to := range types {
		for _, from := range types {
			for _, scratch := range []int{0, 1000, 1 << 20} {
				if err := bufferCopy(s, to, from, scratch); err != nil {
					return fmt.Errorf("from %s to %s: %w", from.Name(), to.Name(), err)
				}
			}
		}
	}
	return nil
}

func bufferCopy(s *session, to, from buffer.Type, scratch int) error {
	const size = 50_003
	src, err := alloc(from, size)
	if err != nil {
		return err
	}
	dst, err := alloc(to, size)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	r := s.rand("copy")
	content, want := make([]byte, size), make([]byte, size)
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	if _, err := src.WriteAt(content, 0); err != nil {
		return err
	}
	for _, c := range [][3]int64{{0, 0, size}, {1, 7, 40_000}, {49_999, 3, 4}, {13, 50_000, 3}, {0, 0, 0}, {size, size, 0}, {4096, 8192, 4096}} {
		if err := buffer.Copy(dst, c[0], src, c[1], c[2], make([]byte, scratch)); err != nil {
			return fmt.Errorf("%d bytes from %d to %d: %w", c[2], c[1], c[0], err)
		}
		copy(want[c[0]:c[0]+c[2]], content[c[1]:])
		if err := contains(dst, want); err != nil {
			return fmt.Errorf("%d bytes from %d to %d: %w", c[2], c[1], c[0], err)
		}
	}
	if err := buffer.Copy(dst, size-3, src, 0, 4, nil); !errors.Is(err, buffer.ErrRange) {
		return fmt.Errorf("a copy beyond the end: %v, want ErrRange", err)
	}
	return errors.Join(contains(src, content), contains(dst, want), src.Close(), dst.Close())
}
