package kv

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// LayerConfig says what the cache keeps for one layer of a model.
type LayerConfig struct {
	Layer    int // the model's layer
	HeadsKV  int // heads of K and V
	KeyDim   int // elements of K per head
	ValueDim int // elements of V per head
	Window   int // tokens that a token sees, itself included; 0 means all

	// Rotation says in a few words how keys are turned by their position, such as "RoPE of 64, base
	// 10000"; empty is not at all. The cache only compares it: queries of a borrower must be turned alike.
	Rotation string

	// Reuse is -1, or the layer whose cache this one reads and does not write (Gemma). Heads, sizes,
	// window and rotation must then be those of that layer, and Memory nil, so that a Reuse that was
	// forgotten is noticed.
	Reuse int

	Memory buffer.Type // where K and V lie
}

// Config says what a cache must hold.
type Config struct {
	Layers   []LayerConfig
	Cells    int // tokens that it holds, over all sequences
	MaxSeqs  int // sequences are numbered from 0 to MaxSeqs-1
	MaxBatch int // tokens of one Batch
	TypeK    tensor.DType
	TypeV    tensor.DType

	// Pad is what the number of cells read is rounded up to, so that shapes of graphs repeat.
	// 0 means an eighth of Cells as a power of two, at least 32 and at most 256.
	Pad int

	// States are the recurrent layers, and Snapshots how many tokens can be removed from the end of a
	// sequence again that they have seen: each costs a state of every sequence.
	States    []StateConfig
	Snapshots int

	// FullWindow gives windowed groups as many cells as the others and lets none expire, so that a
	// sequence can be rolled back anywhere.
	FullWindow bool

	// Apart gives each sequence cells of its own, this many, where a token's cell follows from its position:
	// then the order in which attention adds up does not depend on other sequences. It needs FullWindow, and
	// MaxSeqs times as many Cells. 0 is not.
	Apart int
}

// The largest values of a Config, so that sizes in bytes and positions stay in range.
const (
	maxCells   = 1 << 30
	maxSeqs    = 1<<16 - 1
	maxBits    = 1 << 33 // of the sets of cells, one for each sequence
	maxGeom    = 1 << 20
	maxWindow  = math.MaxInt32
	defaultPad = 256
	leastPad   = 32
)

func (cfg *Config) pad() int {
	if cfg.Pad > 0 {
		return cfg.Pad
	}
	pad := leastPad
	for pad < defaultPad && pad*8 < cfg.Cells {
		pad *= 2
	}
	return pad
}

// check returns the first thing wrong with cfg, or nil.
func (cfg *Config) check() error {
	if len(cfg.Layers) == 0 {
		return &ConfigError{-1, "Layers", "empty", "at least one"}
	}
	for _, f := range []struct {
		name             string
		have, least, top int
	}{
		{"Cells", cfg.Cells, 1, maxCells},
		{"MaxSeqs", cfg.MaxSeqs, 1, maxSeqs},
		{"MaxBatch", cfg.MaxBatch, 1, maxCells},
		{"Pad", cfg.Pad, 0, maxCells},
		{"Apart", cfg.Apart, 0, cfg.Cells / max(cfg.MaxSeqs, 1)},
	} {
		if err := inRange(-1, f.name, f.have, f.least, f.top); err != nil {
			return err
		}
	}
	if cfg.Apart > 0 && !cfg.FullWindow {
		return &ConfigError{-1, "FullWindow", "false", "true where sequences are Apart"}
	}
	if cfg.Cells*cfg.MaxSeqs > maxBits {
		return inRange(-1, "MaxSeqs", cfg.MaxSeqs, 1, maxBits/cfg.Cells)
	}
	for _, f := range []struct {
		name string
		t    tensor.DType
	}{{"TypeK", cfg.TypeK}, {"TypeV", cfg.TypeV}} {
		if f.t != tensor.F32 && f.t != tensor.F16 && f.t != tensor.BF16 && !f.t.Quantized() {
			return &ConfigError{-1, f.name, f.t.String(), "F32, F16, BF16 or a quantized type"}
		}
	}
	byLayer := make(map[int]*LayerConfig, len(cfg.Layers))
	for i := range cfg.Layers {
		l := &cfg.Layers[i]
		if err := inRange(l.Layer, "Layer", l.Layer, 0, math.MaxInt32); err != nil {
			return err
		}
		if byLayer[l.Layer] != nil {
			return &ConfigError{l.Layer, "Layer", "listed twice", "each layer once"}
		}
		byLayer[l.Layer] = l
		if err := cfg.checkLayer(l); err != nil {
			return err
		}
	}
	for i := range cfg.Layers {
		if err := checkReuse(&cfg.Layers[i], byLayer); err != nil {
			return err
		}
	}
	return cfg.checkStates()
}

func (cfg *Config) checkLayer(l *LayerConfig) error {
	for _, f := range []struct {
		name             string
		have, least, top int
	}{
		{"HeadsKV", l.HeadsKV, 1, maxGeom},
		{"KeyDim", l.KeyDim, 1, maxGeom},
		{"ValueDim", l.ValueDim, 1, maxGeom},
		{"Window", l.Window, 0, maxWindow},
		{"Reuse", l.Reuse, -1, math.MaxInt32},
	} {
		if err := inRange(l.Layer, f.name, f.have, f.least, f.top); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name string
		t    tensor.DType
		dim  int
	}{{"KeyDim", cfg.TypeK, l.KeyDim}, {"ValueDim", cfg.TypeV, l.ValueDim}} {
		if elems, _ := f.t.Block(); f.dim%elems != 0 {
			return &ConfigError{
				l.Layer, f.name, strconv.Itoa(f.dim),
				fmt.Sprintf("a multiple of %d, the block of %s", elems, f.t),
			}
		}
	}
	return nil
}

// checkReuse checks the layer that l reuses, or that l has memory of its own.
func checkReuse(l *LayerConfig, byLayer map[int]*LayerConfig) error {
	if l.Reuse < 0 {
		if l.Memory == nil {
			return &ConfigError{l.Layer, "Memory", "nil", "a buffer type"}
		}
		return nil
	}
	have := fmt.Sprintf("layer %d", l.Reuse)
	src := byLayer[l.Reuse]
	switch {
	case src == nil:
		return &ConfigError{l.Layer, "Reuse", have, "a layer of this cache"}
	case src == l:
		return &ConfigError{l.Layer, "Reuse", have, "another layer, or -1"}
	case src.Reuse >= 0:
		return &ConfigError{l.Layer, "Reuse", have + fmt.Sprintf(", which reuses layer %d", src.Reuse), "a layer that is written"}
	case l.Memory != nil:
		return &ConfigError{l.Layer, "Memory", l.Memory.Name(), fmt.Sprintf("nil, as it reuses layer %d", l.Reuse)}
	case l.Rotation != src.Rotation:
		return &ConfigError{l.Layer, "Rotation", strconv.Quote(l.Rotation), fmt.Sprintf("%q, as it reuses layer %d", src.Rotation, l.Reuse)}
	}
	for _, f := range []struct {
		name       string
		have, want int
	}{
		{"HeadsKV", l.HeadsKV, src.HeadsKV},
		{"KeyDim", l.KeyDim, src.KeyDim},
		{"ValueDim", l.ValueDim, src.ValueDim},
		{"Window", l.Window, src.Window},
	} {
		if f.have != f.want {
			return &ConfigError{
				l.Layer, f.name, strconv.Itoa(f.have),
				fmt.Sprintf("%d, as it reuses layer %d", f.want, l.Reuse),
			}
		}
	}
	return nil
}

func inRange(layer int, field string, have, least, top int) error {
	if have < least || have > top {
		return &ConfigError{layer, field, strconv.Itoa(have), fmt.Sprintf("%d to %d", least, top)}
	}
	return nil
}

// groups returns the groups of cfg, which is checked: that without a window first, then by window.
func (cfg *Config) groups() []Group {
	var gs []Group
	for _, l := range cfg.Layers {
		if !slices.ContainsFunc(gs, func(g Group) bool { return g.Window == l.Window }) {
			gs = append(gs, Group{Window: l.Window, Cells: cfg.groupCells(l.Window)})
		}
	}
	slices.SortFunc(gs, func(a, b Group) int { return a.Window - b.Window })
	return gs
}

// groupCells returns the cells of the group with the given window. What a windowed sequence can still
// be asked for is one window, and a batch is placed before the tokens that it pushes out are freed.
func (cfg *Config) groupCells(window int) int {
	if window == 0 || cfg.FullWindow || window >= cfg.Cells {
		return cfg.Cells
	}
	return min(cfg.Cells, roundUp(window*cfg.MaxSeqs+cfg.MaxBatch, cfg.pad()))
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
