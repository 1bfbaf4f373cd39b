package kv

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// Mirror is a Reader of a copy: the shared layers alone, in memory that the borrower's devices own. Sync
// sends the rows that were written since the last one, and nothing else.
type Mirror struct {
	lease
	buffers []buffer.Buffer
	copies  []mirrored
	dirty   [][]uint64 // by group of the source: cells written since the last Sync
	scratch []byte     // for copies through the host
	bytes   int64
}

// mirrorScratch is how many bytes pass through the host at a time, where they must.
const mirrorScratch = 1 << 16

// mirrored is one K or V tensor and its copy.
type mirrored struct {
	from, to *tensor.Tensor
	group    int
}

// NewMirror is Share for a borrower that cannot read the source's memory: each shared layer gets a copy
// in its Memory, once for all borrower's layers that read it there. Whatever Share compares is compared
// here, but for owners.
//
// Errors: *ShareError, *ConfigError, ErrClosed; *buffer.AllocError, wrapped, and then nothing stays
// allocated.
func NewMirror(src *Cache, cfg ShareConfig) (*Mirror, error) {
	l, err := borrow(src, &cfg, false)
	if err != nil {
		return nil, err
	}
	m := &Mirror{lease: l, scratch: make([]byte, mirrorScratch)}
	type key struct {
		source int
		memory buffer.Type
	}
	made := map[key]Layer{}
	for _, want := range cfg.Layers {
		have := l.layers[want.Layer]
		k := key{have.Source, want.Memory}
		copied, ok := made[k]
		if !ok {
			if copied, err = m.copyLayer(have, want.Memory); err != nil {
				return nil, errors.Join(fmt.Errorf("kv: a mirror of layer %d: %w", have.Source, err), m.free())
			}
			made[k] = copied
		}
		m.layers[want.Layer] = copied
	}
	for _, g := range src.groups { // what is there already has never been sent
		dirty := make([]uint64, len(g.unused))
		for b := range dirty {
			dirty[b] = g.inUse(b)
		}
		m.dirty = append(m.dirty, dirty)
	}
	src.mirrors = append(src.mirrors, m)
	src.lend(cfg.Borrower)
	return m, nil
}

// copyLayer allocates the copy of one layer.
func (m *Mirror) copyLayer(l Layer, memory buffer.Type) (Layer, error) {
	var err error
	if l.K, err = m.copyTensor(l.K, l.Group, memory); err == nil {
		l.V, err = m.copyTensor(l.V, l.Group, memory)
	}
	return l, err
}

func (m *Mirror) copyTensor(from *tensor.Tensor, group int, memory buffer.Type) (*tensor.Tensor, error) {
	to, err := tensor.NewLeaf(tensor.Cache, from.Name+".mirror", from.Type, from.Shape)
	if err != nil {
		return nil, err
	}
	to.Layer = from.Layer
	b, err := memory.Alloc(int64(to.Bytes()))
	if err != nil {
		return nil, err
	}
	m.buffers = append(m.buffers, b)
	m.bytes += b.Size()
	m.copies = append(m.copies, mirrored{from, to, group})
	return to, to.Bind(b, 0)
}

// Bytes returns what the copies take, in bytes; 0 after Close.
func (m *Mirror) Bytes() int64 { return m.bytes }

// BytesOn returns what the copies on one device take, in bytes; 0 after Close.
func (m *Mirror) BytesOn(owner buffer.Owner) (bytes int64) {
	for _, b := range m.buffers {
		if b.Type().Owner() == owner {
			bytes += b.Size()
		}
	}
	return bytes
}

// wrote notes that cell i of a group has other contents now.
func (m *Mirror) wrote(group, i int) { m.dirty[group][i/blockCells] |= 1 << (i % blockCells) }

// Sync sends the rows that were written since the last Sync and returns how many bytes they are. Rows of
// tokens that are gone again, such as guesses that were wrong, are not sent. On an error all of them
// count as not sent. It does not allocate on the Go heap. Errors: ErrClosed, a device's.
func (m *Mirror) Sync() (int64, error) {
	if m.closed {
		return 0, fmt.Errorf("kv: %w", ErrClosed)
	}
	for i, g := range m.src.groups {
		for b := range m.dirty[i] {
			m.dirty[i][b] &= g.inUse(b)
		}
	}
	var sent int64
	for _, c := range m.copies {
		row := int64(c.from.Stride[1])
		err := runsOf(m.dirty[c.group], func(from, to int) error {
			at, n := int64(from)*row, int64(to-from)*row
			err := buffer.Copy(c.to.Storage.Buffer, c.to.Storage.Offset+at, c.from.Storage.Buffer, c.from.Storage.Offset+at, n, m.scratch)
			if err == nil {
				sent += n
			}
			return err
		})
		if err != nil {
			return sent, fmt.Errorf("kv: mirror of %s: %w", c.from.Name, err)
		}
	}
	for _, d := range m.dirty {
		clear(d)
	}
	return sent, nil
}

// runsOf calls f for each run of neighbours in a set, in order, until one fails.
func runsOf(set []uint64, f func(from, to int) error) error {
	end := len(set) * blockCells
	for from := scan(set, 0, 0); from < end; {
		to := scan(set, from, ^uint64(0))
		if err := f(from, to); err != nil {
			return err
		}
		from = scan(set, to, 0)
	}
	return nil
}

// scan returns the first member of set from i on, or, with flip all ones, the first that is none; or the
// end of the set.
func scan(set []uint64, i int, flip uint64) int {
	from := ^uint64(0) << (i % blockCells)
	for b := i / blockCells; b < len(set); b++ {
		if w := (set[b] ^ flip) & from; w != 0 {
			return b*blockCells + bits.TrailingZeros64(w)
		}
		from = ^uint64(0)
	}
	return len(set) * blockCells
}

// Close frees the copies and gives the source free.
func (m *Mirror) Close() error {
	if m.closed {
		return nil
	}
	m.release()
	if i := slices.Index(m.src.mirrors, m); i >= 0 {
		m.src.mirrors = slices.Delete(m.src.mirrors, i, i+1)
	}
	return m.free()
}

func (m *Mirror) free() error {
	var errs []error
	for _, b := range m.buffers {
		errs = append(errs, b.Close())
	}
	m.buffers, m.copies, m.bytes = nil, nil, 0
	return errors.Join(errs...)
}
