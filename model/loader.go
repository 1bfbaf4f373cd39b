package model

import (
	"fmt"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/tensor"
)

// The limits keep a hostile file from asking for absurd work before its tensors are looked at.
const (
	maxLayers  = 4096
	maxExperts = 4096
)

// loader reads a family's hyper-parameters and weights. Its first error is kept, and from then on it
// returns placeholders, so that a family reads as a list.
type loader struct {
	*gguf.Section // of the architecture's keys
	f             *gguf.File
	m             *Model
	target        *Model // that a draft is opened for, or nil
	err           error
	byName        map[string]*tensor.Tensor
}

func newLoader(f *gguf.File, arch string, target *Model) *loader {
	l := &loader{Section: f.Section(arch), f: f, m: &Model{}, target: target, byName: map[string]*tensor.Tensor{}}
	p := &l.m.Params
	p.Arch = arch
	p.Embd = l.Int("embedding_length")
	p.Layers = l.Int("block_count")
	p.Context = l.Int("context_length")
	p.Pooling = Pooling(l.IntOr("pooling_type", int(PoolNone)))
	if l.err = l.Section.Err(); l.err != nil {
		return l
	}
	l.check(p.Embd > 0, "embedding_length", "%d, want more than 0", p.Embd)
	l.check(p.Context > 0, "context_length", "%d, want more than 0", p.Context)
	l.check(p.Layers > 0 && p.Layers <= maxLayers, "block_count", "%d, want 1 to %d", p.Layers, maxLayers)
	if p.Vocab = l.IntOr("vocab_size", 0); p.Vocab == 0 {
		if embd, ok := f.Tensor("token_embd.weight"); ok { // the table decides where the key is absent
			p.Vocab = embd.Shape[1]
		}
	}
	l.check(p.Vocab > 0, "vocab_size", "%d, want more than 0", p.Vocab)
	l.check(p.Pooling <= PoolLast, "pooling_type", "%d, want 0 to %d", p.Pooling, PoolLast)
	return l
}

// check keeps an error about a hyper-parameter unless ok. A key that could not be read comes first: its
// value is 0, which may look wrong as well.
func (l *loader) check(ok bool, key, format string, a ...any) {
	if !ok && l.ok() {
		l.err = &ParamError{File: l.f.Path(0), Key: l.m.Arch + "." + key, Reason: fmt.Sprintf(format, a...)}
	}
}

// ok reports whether nothing has failed so far: loops over counts from the file stop when it has.
func (l *loader) ok() bool {
	if l.err == nil {
		l.err = l.Section.Err()
	}
	return l.err == nil
}

// weight returns the named weight, which must have the given sizes.
func (l *loader) weight(layer int, name string, sizes ...int) *tensor.Tensor {
	if t := l.optional(layer, name, sizes...); t != nil || !l.ok() {
		return t
	}
	l.err = &TensorError{File: l.f.Path(0), Name: l.fullName(layer, name), Have: "nothing", Want: tensor.MakeShape(sizes...).String()}
	return nil
}

// optional is weight for one that may be absent: it then returns nil.
func (l *loader) optional(layer int, name string, sizes ...int) *tensor.Tensor {
	if !l.ok() {
		return nil
	}
	name = l.fullName(layer, name)
	if t, ok := l.byName[name]; ok {
		return t
	}
	info, ok := l.f.Tensor(name)
	if !ok {
		return nil
	}
	if want := tensor.MakeShape(sizes...); info.Shape != want {
		l.err = &TensorError{File: l.f.Path(info.Split), Name: name, Have: info.Shape.String(), Want: want.String()}
		return nil
	}
	if want := typeFor(len(sizes), info.Type); want != "" {
		l.err = &TensorError{File: l.f.Path(info.Split), Name: name, Have: info.Type.String() + " " + info.Shape.String(), Want: want}
		return nil
	}
	t, err := tensor.NewLeaf(tensor.Weight, name, info.Type, info.Shape)
	if err != nil {
		l.err = err
		return nil
	}
	t.Layer = layer
	l.byName[name] = t
	l.m.Weights = append(l.m.Weights, Weight{Tensor: t, Info: info, File: l.f})
	l.m.Parameters += int64(info.Shape.Elems())
	l.m.Bytes += info.Size
	return t
}

// needTarget returns the target, which must be of the given architecture.
func (l *loader) needTarget(arch string) *Model {
	have := ""
	if l.target != nil {
		have = l.target.Arch
	}
	if have != arch && l.err == nil {
		l.err = &DraftError{File: l.f.Path(0), Arch: l.m.Arch, Target: have, Want: arch}
	}
	return l.target
}

// borrow returns a weight of the target, as a leaf of this model.
func (l *loader) borrow(name string) *tensor.Tensor {
	if !l.ok() {
		return nil
	}
	for _, w := range l.target.Weights {
		if w.Name != name {
			continue
		}
		t, err := tensor.NewLeaf(tensor.Weight, "target "+name, w.Type, w.Shape)
		if err != nil {
			l.err = err
			return nil
		}
		t.Layer = -1
		l.m.Weights = append(l.m.Weights, Weight{Tensor: t, Info: w.Info, File: w.File, Target: w.Tensor})
		return t
	}
	l.err = &TensorError{File: l.f.Path(0), Name: "target " + name, Have: "nothing", Want: "a weight of the target"}
	return nil
}

// typeFor returns which types a weight of so many sizes can have, or "" if t is one of them: vectors are
// read element by element, matrices row by row.
func typeFor(sizes int, t tensor.DType) string {
	switch {
	case t == tensor.F32 || t == tensor.F16 || t == tensor.BF16:
		return ""
	case sizes == 1:
		return "F32, F16 or BF16"
	case !t.Quantized():
		return "F32, F16, BF16 or a quantized type"
	}
	return ""
}

// fullName returns a weight's name in the file; layer -1 is before the layers, and one past the last
// is after them.
func (l *loader) fullName(layer int, name string) string {
	if layer < 0 || layer >= l.m.Layers {
		return name
	}
	return fmt.Sprintf("blk.%d.%s", layer, name)
}

// cache says what layer i keeps for attention.
func (l *loader) cache(i int, h heads, window int) {
	l.m.Layer = append(l.m.Layer, kv.LayerConfig{
		Layer: i, HeadsKV: h.kv, KeyDim: h.key, ValueDim: h.value, Window: window, Reuse: -1,
	})
}

// reuse says that layer i reads what layer source has written, and keeps nothing itself.
func (l *loader) reuse(i, source int) {
	c := l.m.Layer[source]
	c.Layer, c.Reuse = i, source
	l.m.Layer = append(l.m.Layer, c)
}

// finish returns the first error.
func (l *loader) finish() error {
	l.ok()
	return l.err
}
