package engine

import (
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/model"
)

// weights are the buffers that a model's weights lie in.
type weights struct {
	buffers []buffer.Buffer
	mapped  map[buffer.Owner]int64 // bytes used where they lie in the file
	copied  map[buffer.Owner]int64 // bytes uploaded
}

// home is where some weights of a file go: memory of one device.
type home struct {
	file    *gguf.File
	typ     buffer.Type
	weights []model.Weight
}

// loadWeights binds every weight of m: to the mapped file where the device can use that, and to memory
// of its own otherwise. memory says where each weight goes. A weight that is the target's too is
// bound to the target's memory if readable says that it can be read there.
func loadWeights(m *model.Model, memory func(w model.Weight) buffer.Type, readable func(t buffer.Type) bool, progress func(done, total int64)) (*weights, error) {
	w := &weights{mapped: map[buffer.Owner]int64{}, copied: map[buffer.Owner]int64{}}
	var homes []home
	for _, x := range m.Weights {
		if x.Target != nil && readable(x.Target.Storage.Buffer.Type()) {
			if err := x.Bind(x.Target.Storage.Buffer, x.Target.Storage.Offset); err != nil {
				return nil, err
			}
			continue
		}
		typ := memory(x)
		i := 0
		for i < len(homes) && (homes[i].typ != typ || homes[i].file != x.File) {
			i++
		}
		if i == len(homes) {
			homes = append(homes, home{file: x.File, typ: typ})
		}
		homes[i].weights = append(homes[i].weights, x)
	}
	done := int64(0)
	told := func(n int64) {
		if done += n; progress != nil {
			progress(done, m.Bytes)
		}
	}
	for _, h := range homes {
		if err := w.load(h, told); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

// load binds the weights of one home.
func (w *weights) load(h home, told func(n int64)) error {
	imported, err := w.importFile(h.file, h.typ)
	if err != nil {
		return err
	}
	if imported != nil {
		for _, x := range h.weights {
			if err := x.Bind(imported[x.Info.Split], x.Info.Offset); err != nil {
				return err
			}
			w.mapped[h.typ.Owner()] += x.Info.Size
			told(x.Info.Size)
		}
		return nil
	}
	return w.upload(h, told)
}

// importFile returns a buffer of typ over each part of the mapped file, or nil if typ cannot use it.
func (w *weights) importFile(f *gguf.File, typ buffer.Type) ([]buffer.Buffer, error) {
	var parts []buffer.Buffer
	for i := range f.Splits() {
		b, err := buffer.Import(typ, f.Mapping(i))
		if err != nil {
			return nil, err
		}
		if b == nil {
			return nil, nil
		}
		w.buffers = append(w.buffers, b)
		parts = append(parts, b)
	}
	return parts, nil
}

// upload copies the weights into buffers that are as large as the device allows.
func (w *weights) upload(h home, told func(n int64)) error {
	align := int64(h.typ.Alignment())
	for rest := h.weights; len(rest) > 0; {
		size, n := int64(0), 0
		for n < len(rest) {
			next := (size+align-1)&^(align-1) + rest[n].Info.Size
			if next > h.typ.MaxSize() && n > 0 {
				break
			}
			size, n = next, n+1
		}
		b, err := h.typ.Alloc(size)
		if err != nil {
			return fmt.Errorf("engine: weights: %w", err)
		}
		w.buffers = append(w.buffers, b)
		w.copied[h.typ.Owner()] += size
		at := int64(0)
		for _, x := range rest[:n] {
			at = (at + align - 1) &^ (align - 1)
			if _, err := b.WriteAt(h.file.Data(x.Info), at); err != nil {
				return fmt.Errorf("engine: weight %s: %w", x.Name, err)
			}
			if err := x.Bind(b, at); err != nil {
				return err
			}
			at += x.Info.Size
			told(x.Info.Size)
		}
		rest = rest[n:]
	}
	return nil
}

func (w *weights) close() error {
	var errs []error
	for _, b := range w.buffers {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
