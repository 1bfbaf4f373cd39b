package kv

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// ErrShare is what every *ShareError matches.
var ErrShare = errors.New("the KV cache cannot be shared so")

// ShareLayer says that a layer of a borrower reads a layer of the source, and what it expects there.
type ShareLayer struct {
	Layer    int // the borrower's
	Source   int // the source's, or -1 if it has none such; if that reuses another's cache, that is read
	HeadsKV  int
	KeyDim   int         // per head
	ValueDim int         // per head
	Window   int         // tokens that a token sees, itself included; 0 means all
	Rotation string      // as LayerConfig.Rotation: how its queries are turned
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

	// Readable reports whether one of the devices that the borrower's graphs are planned for can use memory
	// of t where it lies: attention then runs there, or what it reads is copied on from there. Nil means
	// that none can, but for the layer's own.
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
	ShareRotation ShareField = "rotation"
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
	// Owners are all devices that own what the borrower reads, if Field is about an owner: where the
	// borrower could run.
	Owners []string
}

// Error returns one line with both sides and, for owners, the ways out.
func (e *ShareError) Error() string {
	switch {
	case e.Field == ShareOwnerK || e.Field == ShareOwnerV:
		all := strings.Join(e.Owners, ",")
		return fmt.Sprintf("kv: layer %d shares the %c cache of layer %d, which %s owns, but runs on %s: "+
			"place the draft on %s (--spec-draft-device %s), or mirror it (--spec-kv mirror)",
			e.Layer, e.Field[0], e.SrcLayer, e.Have, e.Want, all, all)
	case e.Field == ShareSource && e.SrcLayer < 0:
		return fmt.Sprintf("kv: layer %d shares the cache of %s, but there is none such: there are %s", e.Layer, e.Want, e.Have)
	case e.Field == ShareSource:
		return fmt.Sprintf("kv: layer %d shares the cache of layer %d, which has none: there are %s", e.Layer, e.SrcLayer, e.Have)
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
	// Layer returns what layer i of the borrower reads, and whether it reads anything: nothing after Close.
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
// compared too. The borrower's layers are compared in their order, each as a whole.
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
			return l, &ShareError{
				Borrower: cfg.Borrower, Layer: want.Layer, SrcLayer: want.Source, Field: ShareSource,
				Have: src.layerNames(), Want: kindName(want.Window),
			}
		}
		if first := cfg.compare(src, want, have, owners); first != nil {
			return l, first
		}
		l.layers[want.Layer] = have
	}
	return l, nil
}

// compare returns the first difference between a layer and what is wanted of it, or nil.
func (cfg *ShareConfig) compare(src *Cache, want *ShareLayer, have Layer, owners bool) error {
	var first *ShareError
	check := func(field ShareField, same bool, h, w any) {
		if !same && first == nil {
			first = &ShareError{
				Borrower: cfg.Borrower, Layer: want.Layer, SrcLayer: have.Source, Field: field,
				Have: fmt.Sprint(h), Want: fmt.Sprint(w),
			}
		}
	}
	number := func(field ShareField, h, w int) { check(field, h == w, h, w) }
	check(ShareWindow, have.Window == want.Window, windowName(have.Window), windowName(want.Window))
	if owners {
		check(ShareOwnerK, cfg.readable(have.K, want), ownerOf(have.K), want.Memory.Owner())
		check(ShareOwnerV, cfg.readable(have.V, want), ownerOf(have.V), want.Memory.Owner())
		if first != nil && first.Field != ShareWindow {
			first.Owners = cfg.owners(src)
		}
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
		rows := tensor.MakeShape(x.size*have.HeadsKV, src.groups[have.Group].cells)
		check(ShareLayout, x.t.Shape == rows && x.t.Contiguous(), x.t, fmt.Sprintf("packed rows, %v", rows))
	}
	check(ShareRotation, have.Rotation == want.Rotation, rotationName(have.Rotation), rotationName(want.Rotation))
	if cfg.Cells != 0 {
		number(ShareCells, src.cells, cfg.Cells)
	}
	if cfg.MaxSeqs != 0 {
		number(ShareStreams, src.maxSeqs, cfg.MaxSeqs)
	}
	if first == nil {
		return nil // not a nil *ShareError, which would be an error
	}
	return first
}

func ownerOf(t *tensor.Tensor) buffer.Owner { return t.Storage.Buffer.Type().Owner() }

// owners lists the devices that own what the borrower's layers read, each once, in the order of the
// layers: a way out that helps one layer and not the next is none.
func (cfg *ShareConfig) owners(src *Cache) []string {
	var names []string
	for _, want := range cfg.Layers {
		have, ok := src.Layer(want.Source)
		if !ok {
			continue
		}
		for _, t := range []*tensor.Tensor{have.K, have.V} {
			if name := ownerOf(t).Device; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func windowName(window int) string {
	if window == 0 {
		return "all tokens"
	}
	return fmt.Sprintf("%d tokens", window)
}

func kindName(window int) string {
	if window == 0 {
		return "a layer that sees all tokens"
	}
	return fmt.Sprintf("a layer with a window of %d tokens", window)
}

func rotationName(rotation string) string {
	if rotation == "" {
		return "none"
	}
	return rotation
}

// readable reports whether the borrower's layer can read t where it lies.
func (cfg *ShareConfig) readable(t *tensor.Tensor, want *ShareLayer) bool {
	memory := t.Storage.Buffer.Type()
	return memory.Owner() == want.Memory.Owner() || cfg.Readable != nil && cfg.Readable(memory)
}

// layerNames lists the layers that have a cache, for a message.
func (c *Cache) layerNames() string {
	layers := slices.Sorted(maps.Keys(c.layers))
	switch n := len(layers); n {
	case 0:
		return "none"
	case 1:
		return fmt.Sprintf("1, of layer %d", layers[0])
	default:
		return fmt.Sprintf("%d, of layers %d to %d", n, layers[0], layers[n-1])
	}
}

// Layer returns what layer i of the borrower reads, and whether it reads anything: nothing after Close.
func (l *lease) Layer(i int) (Layer, bool) {
	x, ok := l.layers[i]
	return x, ok && !l.closed
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
// A token sees the cells of its sequence at its own position and below, and in a windowed group only
// those less than a window below. n is at least ReadCells(i) and at most the group's cells.
// Errors: *MaskError, *SeqError, *PosError, ErrClosed.
func (l *lease) FillMask(i int, dst []float32, pos, seq []int32, n int) error {
	if l.closed {
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
		if p < 0 || p > maxPos {
			return &PosError{int(seq[t]), t, int(p), fmt.Sprintf("cannot be, want 0 to %d", maxPos)}
		}
		p0, p1 := g.visible(p, false)
		fillRow(dst[t*n:(t+1)*n], g, seq[t], p0, p1, maskF32)
	}
	return nil
}

// Sync has nothing to do: the memory is the source's own. Errors: ErrClosed.
func (s *Shared) Sync() (int64, error) {
	if s.closed {
		return 0, fmt.Errorf("kv: %w", ErrClosed)
	}
	return 0, nil
}

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
