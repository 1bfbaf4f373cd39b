package kv

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// ErrShare is what every *ShareError matches.
var ErrShare = errors.New("the KV cache cannot be shared so")

// ShareLayer says that a layer of a borrower reads a layer of the source, and what it expects there.
type ShareLayer struct {
	Layer    int // the borrower's
	Source   int // the source's; if that reuses another's cache, it is the other's that is read
	HeadsKV  int
	KeyDim   int         // per head
	ValueDim int         // per head
	Window   int         // tokens that a token sees, itself included; 0 means all
	Memory   buffer.Type // of the device that the borrower's layer is assigned to
}

// ShareConfig says what a borrower wants of a source.
type ShareConfig struct {
	Borrower string // who it is, for messages: the name of its model, for example
	Layers   []ShareLayer

	// TypeK, TypeV, Cells and MaxSeqs are what the borrower was asked to keep. What is nil or 0 was left
	// open. Nothing is converted or resized quietly: what differs from the source is refused.
	TypeK, TypeV   *tensor.DType
	Cells, MaxSeqs int

	// Readable reports whether a device of the borrower's that can run its attention can read memory of t
	// where it lies, beside the layer's own memory. Nil means that none can.
	Readable func(t buffer.Type) bool
}

// ShareField says what a ShareError is about.
type ShareField string

// The fields, in the order in which they are compared.
const (
	ShareSource   ShareField = "source layer"
	ShareWindow   ShareField = "window"
	ShareOwnerK   ShareField = "K owner"
	ShareOwnerV   ShareField = "V owner"
	ShareTypeK    ShareField = "K type"
	ShareTypeV    ShareField = "V type"
	ShareHeads    ShareField = "heads"
	ShareKeyDim   ShareField = "key size"
	ShareValueDim ShareField = "value size"
	ShareLayout   ShareField = "layout"
	ShareCells    ShareField = "cells"
	ShareStreams  ShareField = "sequences"
)

// ShareError is the first difference between what a layer of a borrower expects and what the source
// has. It matches ErrShare.
type ShareError struct {
	Borrower        string
	Layer, SrcLayer int
	Field           ShareField
	Have, Want      string // the source's, the borrower's
}

// Error returns one line with both sides and, for owners, the ways out.
func (e *ShareError) Error() string {
	switch e.Field {
	case ShareOwnerK, ShareOwnerV:
		return fmt.Sprintf("kv: layer %d shares the %c cache of layer %d, which %s owns, but runs on %s: "+
			"place the draft on %s (--spec-draft-device %s), or mirror it (--spec-kv mirror)",
			e.Layer, e.Field[0], e.SrcLayer, e.Have, e.Want, e.Have, e.Have)
	case ShareSource:
		return fmt.Sprintf("kv: layer %d shares the cache of layer %d, which has none: %s", e.Layer, e.SrcLayer, e.Have)
	}
	return fmt.Sprintf("kv: layer %d shares the cache of layer %d, whose %s is %s, but wants %s",
		e.Layer, e.SrcLayer, e.Field, e.Have, e.Want)
}

// Unwrap returns ErrShare.
func (e *ShareError) Unwrap() error { return ErrShare }

// Reader is a source's cells, read by a borrower: directly (Shared) or through a copy (Mirror).
//
// It follows the source: what is written, removed or moved there is seen here. It belongs to the
// source's goroutine.
type Reader interface {
	// Layer returns what layer i of the borrower reads.
	Layer(i int) (Layer, bool)
	// Groups, Group and ReadCells are the source's.
	Groups() int
	Group(i int) Group
	ReadCells(i int) int
	// FillMask writes the mask of group i for tokens at the given positions of the given sequences, that
	// are not in the cache themselves: as Cache.FillMask does for those that are.
	FillMask(i int, dst []float32, pos, seq []int32, n int) error
	// Sync brings a copy up to date and returns how many bytes were copied for that. Work that writes
	// the source must be done.
	Sync() (int64, error)
	// Close gives the source free. It does not end the source. A second call does nothing.
	Close() error
}

// Shared is a Reader of the source's own memory. Nothing that it offers changes the source.
type Shared struct {
	lease
}

// lease is what Shared and Mirror have in common.
type lease struct {
	src    *Cache
	name   string
	layers map[int]Layer
	closed bool
}

// Share lends src to a borrower, which reads the source's memory where it lies. All is compared here:
// what Share accepts can be placed, and what cannot be shared is refused before anything is allocated.
// While it is lent, src cannot be closed.
//
// Errors: *ShareError for the first difference, *ConfigError for a list of layers that is empty or
// names one twice, ErrClosed.
func Share(src *Cache, cfg ShareConfig) (*Shared, error) {
	l, err := borrow(src, &cfg, true)
	if err != nil {
		return nil, err
	}
	src.lend(cfg.Borrower)
	return &Shared{l}, nil
}

// borrow compares cfg with src and returns the layers as they are in src. owners says whether memory is
// compared too.
func borrow(src *Cache, cfg *ShareConfig, owners bool) (lease, error) {
	l := lease{src: src, name: cfg.Borrower, layers: make(map[int]Layer, len(cfg.Layers))}
	if src.closed {
		return l, fmt.Errorf("kv: share: %w", ErrClosed)
	}
	if len(cfg.Layers) == 0 {
		return l, &ConfigError{-1, "Layers", "empty", "at least one"}
	}
	for i := range cfg.Layers {
		want := &cfg.Layers[i]
		if _, twice := l.layers[want.Layer]; twice {
			return l, &ConfigError{want.Layer, "Layer", "listed twice", "once"}
		}
		if want.Memory == nil {
			return l, &ConfigError{want.Layer, "Memory", "nil", "that of its device"}
		}
		have, ok := src.Layer(want.Source)
		if !ok {
			return l, &ShareError{cfg.Borrower, want.Layer, want.Source, ShareSource, fmt.Sprintf("there are %s", src.layerNames()), ""}
		}
		if err := cfg.compare(src, want, have, owners); err != nil {
			return l, err
		}
		l.layers[want.Layer] = have
	}
	return l, nil
}

// compare returns the first difference between a layer and what is wanted of it.
func (cfg *ShareConfig) compare(src *Cache, want *ShareLayer, have Layer, owners bool) error {
	var first error
	check := func(field ShareField, same bool, h, w any) {
		if !same && first == nil {
			first = &ShareError{cfg.Borrower, want.Layer, have.Source, field, fmt.Sprint(h), fmt.Sprint(w)}
		}
	}
	number := func(field ShareField, h, w int) { check(field, h == w, h, w) }
	number(ShareWindow, have.Window, want.Window)
	if owners {
		check(ShareOwnerK, cfg.readable(have.K, want), have.K.Storage.Buffer.Type().Owner(), want.Memory.Owner())
		check(ShareOwnerV, cfg.readable(have.V, want), have.V.Storage.Buffer.Type().Owner(), want.Memory.Owner())
	}
	if cfg.TypeK != nil {
		check(ShareTypeK, have.K.Type == *cfg.TypeK, have.K.Type, *cfg.TypeK)
	}
	if cfg.TypeV != nil {
		check(ShareTypeV, have.V.Type == *cfg.TypeV, have.V.Type, *cfg.TypeV)
	}
	number(ShareHeads, have.HeadsKV, want.HeadsKV)
	number(ShareKeyDim, have.KeyDim, want.KeyDim)
	number(ShareValueDim, have.ValueDim, want.ValueDim)
	for _, x := range []struct {
		t    *tensor.Tensor
		size int
	}{{have.K, have.KeyDim}, {have.V, have.ValueDim}} {
		// One row for each cell, one head after the other: what a graph's views take for granted.
		check(ShareLayout, x.t.Shape[0] == x.size*have.HeadsKV && x.t.Contiguous(), x.t, "a packed row for each cell")
	}
	if cfg.Cells != 0 {
		number(ShareCells, src.cells(), cfg.Cells)
	}
	if cfg.MaxSeqs != 0 {
		number(ShareStreams, src.maxSeqs, cfg.MaxSeqs)
	}
	return first
}

// readable reports whether the borrower's layer can read t where it lies.
func (cfg *ShareConfig) readable(t *tensor.Tensor, want *ShareLayer) bool {
	memory := t.Storage.Buffer.Type()
	return memory.Owner() == want.Memory.Owner() || cfg.Readable != nil && cfg.Readable(memory)
}

// cells returns how many tokens the cache was made for: windows have fewer cells.
func (c *Cache) cells() int {
	n := 0
	for _, g := range c.groups {
		n = max(n, g.cells)
	}
	return n
}

// layerNames lists the layers that have a cache, for a message.
func (c *Cache) layerNames() string {
	var layers []int
	for i := range c.layers {
		layers = append(layers, i)
	}
	slices.Sort(layers)
	return fmt.Sprintf("%d layers with one, the last is %d", len(layers), layers[len(layers)-1])
}

// Layer returns what layer i of the borrower reads.
func (l *lease) Layer(i int) (Layer, bool) {
	x, ok := l.layers[i]
	return x, ok
}

// Groups returns the number of groups of the source.
func (l *lease) Groups() int { return l.src.Groups() }

// Group returns window and cells of group i.
func (l *lease) Group(i int) Group { return l.src.Group(i) }

// ReadCells returns how many leading cells of group i attention has to read now.
func (l *lease) ReadCells(i int) int { return l.src.ReadCells(i) }

// FillMask writes the mask of group i for tokens that are not in the cache.
//
//	dst F32 [n, len(pos)]: 0 where the token sees the cell, -Inf elsewhere
//
// Errors: *MaskError, *SeqError, ErrClosed.
func (l *lease) FillMask(i int, dst []float32, pos, seq []int32, n int) error {
	if l.closed || l.src.closed {
		return fmt.Errorf("kv: %w", ErrClosed)
	}
	g := l.src.groups[i]
	if n < g.readCells() || n > g.cells || len(seq) != len(pos) || len(dst) != n*len(pos) {
		return &MaskError{i, n, g.readCells(), g.cells, len(pos), len(dst)}
	}
	for t, p := range pos {
		if seq[t] < 0 || int(seq[t]) >= l.src.maxSeqs {
			return &SeqError{int(seq[t]), t, fmt.Sprintf("does not exist, want 0 to %d", l.src.maxSeqs-1)}
		}
		p0, p1 := g.visible(p, false)
		fillRow(dst[t*n:(t+1)*n], g, seq[t], p0, p1, maskF32)
	}
	return nil
}

// Sync has nothing to do: the memory is the source's own.
func (s *Shared) Sync() (int64, error) { return 0, nil }

// Close gives the source free.
func (s *Shared) Close() error {
	s.release()
	return nil
}

func (l *lease) release() {
	if !l.closed {
		l.closed = true
		l.src.giveBack(l.name)
	}
}

// lend and giveBack keep the list of those who read the cache's memory without owning it.
func (c *Cache) lend(name string) { c.borrowers = append(c.borrowers, name) }

func (c *Cache) giveBack(name string) {
	if i := slices.Index(c.borrowers, name); i >= 0 {
		c.borrowers = slices.Delete(c.borrowers, i, i+1)
	}
}

var (
	_ Reader = (*Shared)(nil)
	_ Reader = (*Mirror)(nil)
)
