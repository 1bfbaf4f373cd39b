package kv

import (
	"errors"
	"fmt"
	"math/bits"

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
	scratch []byte
	bytes   int64
}

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
	m := &Mirror{lease: l}
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
	for _, g := range src.groups {
		m.dirty = append(m.dirty, make([]uint64, len(g.unused)))
	}
	for i, g := range src.groups { // what is there already has never been sent
		for b := range m.dirty[i] {
			m.dirty[i][b] = g.inUse(b)
		}
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

// Bytes returns what the copies take, in bytes.
func (m *Mirror) Bytes() int64 { return m.bytes }

// wrote notes that cell i of a group has other contents now.
func (m *Mirror) wrote(group, i int) { m.dirty[group][i/blockCells] |= 1 << (i % blockCells) }

// Sync sends the rows that were written since the last Sync and returns how many bytes they are. On an
// error they count as not sent.
func (m *Mirror) Sync() (int64, error) {
	if m.closed || m.src.closed {
		return 0, fmt.Errorf("kv: %w", ErrClosed)
	}
	if m.scratch == nil {
		m.scratch = make([]byte, 1<<16)
	}
	var sent int64
	for _, c := range m.copies {
		row := int64(c.from.Stride[1])
		err := runsOf(m.dirty[c.group], func(from, to int) error {
			n := int64(to-from) * row
			sent += n
			at := int64(from) * row
			return buffer.Copy(c.to.Storage.Buffer, c.to.Storage.Offset+at, c.from.Storage.Buffer, c.from.Storage.Offset+at, n, m.scratch)
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

// runsOf calls f for each run of neighbours in a set.
func runsOf(set []uint64, f func(from, to int) error) error {
	from := -1
	for b, w := range set {
		if w == 0 || w == ^uint64(0) { // the usual words: nothing begins or ends inside
			if w != 0 && from < 0 {
				from = b * blockCells
			}
			if w == 0 && from >= 0 {
				if err := f(from, b*blockCells); err != nil {
					return err
				}
				from = -1
			}
			continue
		}
		for i := 0; i < blockCells; {
			rest := w >> i
			if from < 0 {
				if rest == 0 {
					break
				}
				i += bits.TrailingZeros64(rest)
				from = b*blockCells + i
				continue
			}
			ones := bits.TrailingZeros64(^rest)
			if i+ones >= blockCells {
				break // goes on in the next word
			}
			i += ones
			if err := f(from, b*blockCells+i); err != nil {
				return err
			}
			from = -1
		}
	}
	if from >= 0 {
		return f(from, len(set)*blockCells)
	}
	return nil
}

// Close frees the copies and gives the source free.
func (m *Mirror) Close() error {
	if m.closed {
		return nil
	}
	m.release()
	for i, x := range m.src.mirrors {
		if x == m {
			m.src.mirrors = append(m.src.mirrors[:i:i], m.src.mirrors[i+1:]...)
			break
		}
	}
	return m.free()
}

func (m *Mirror) free() error {
	var errs []error
	for _, b := range m.buffers {
		errs = append(errs, b.Close())
	}
	m.buffers = nil
	return errors.Join(errs...)
}
