package buffer

// The faster ways. Each is an optional interface that a Buffer or Type may fulfil, behind one helper
// that works on every Buffer, as io.Copy stands before io.WriterTo.

// Mapper is a Buffer whose bytes the host can address.
type Mapper interface {
	// HostBytes returns the buffer's memory itself, valid until Close.
	HostBytes() []byte
}

// HostBytes returns the memory of b if the host can address it, and nil otherwise.
func HostBytes(b Buffer) []byte {
	if m, ok := b.(Mapper); ok {
		return m.HostBytes()
	}
	return nil
}

// Copier is a Buffer that can take bytes from another without a way through the host.
type Copier interface {
	// CopyFrom copies n bytes and reports true, or reports false if it has no way from src.
	CopyFrom(offset int64, src Buffer, srcOffset, n int64) (bool, error)
}

// Copy copies n bytes from src to dst by the fastest way that both offer. scratch is used when the
// bytes have to pass through the host and neither end is mapped; it may be nil.
// The ranges must not overlap.
func Copy(dst Buffer, offset int64, src Buffer, srcOffset, n int64, scratch []byte) error {
	if err := CheckRange(dst.Size(), offset, n); err != nil {
		return err
	}
	if err := CheckRange(src.Size(), srcOffset, n); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	if c, ok := dst.(Copier); ok {
		if done, err := c.CopyFrom(offset, src, srcOffset, n); done || err != nil {
			return err
		}
	}
	if from := HostBytes(src); from != nil {
		_, err := dst.WriteAt(from[srcOffset:srcOffset+n], offset)
		return err
	}
	if to := HostBytes(dst); to != nil {
		_, err := src.ReadAt(to[offset:offset+n], srcOffset)
		return err
	}
	if len(scratch) == 0 {
		scratch = make([]byte, min(n, 1<<20))
	}
	for done := int64(0); done < n; {
		part := scratch[:min(n-done, int64(len(scratch)))]
		if _, err := src.ReadAt(part, srcOffset+done); err != nil {
			return err
		}
		if _, err := dst.WriteAt(part, offset+done); err != nil {
			return err
		}
		done += int64(len(part))
	}
	return nil
}

// Filler is a Buffer that can set bytes without a way through the host.
type Filler interface {
	Fill(offset, n int64, value byte) error
}

// Fill sets n bytes of b at offset to value.
func Fill(b Buffer, offset, n int64, value byte) error {
	if err := CheckRange(b.Size(), offset, n); err != nil {
		return err
	}
	if f, ok := b.(Filler); ok {
		return f.Fill(offset, n, value)
	}
	if m := HostBytes(b); m != nil {
		fill(m[offset:offset+n], value)
		return nil
	}
	block := make([]byte, min(n, 1<<16))
	fill(block, value)
	for done := int64(0); done < n; {
		part := block[:min(n-done, int64(len(block)))]
		if _, err := b.WriteAt(part, offset+done); err != nil {
			return err
		}
		done += int64(len(part))
	}
	return nil
}

func fill(p []byte, value byte) {
	if value == 0 {
		clear(p)
		return
	}
	for i := range p {
		p[i] = value
	}
}

// Importer is a Type that can use host memory where it lies.
type Importer interface {
	// Import returns a Buffer over host, whose memory stays the caller's and must outlive it, or
	// nil if this memory cannot be used (its alignment, for example).
	Import(host []byte) (Buffer, error)
}

// Import returns a Buffer of type t over host if t can use it where it lies, and nil otherwise.
func Import(t Type, host []byte) (Buffer, error) {
	if i, ok := t.(Importer); ok {
		return i.Import(host)
	}
	return nil, nil
}
