package synthetic

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/recipe"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// Options says how a model is written.
type Options struct {
	Threads  int                     // GOMAXPROCS if 0
	Progress func(done, total int64) // bytes of the weights
}

// WriteFile writes the model to a file. It is written under another name beside path and renamed when it
// is complete.
//
// Errors: *ModelError, the error and the cause of a cancelled ctx, or the file system's.
func WriteFile(ctx context.Context, path string, m Model, opt Options) error {
	meta, tensors, err := m.sources(ctx, opt)
	if err != nil {
		return err
	}
	return gguf.WriteFile(path, meta, tensors)
}

// Write writes the model. Errors: those of WriteFile.
func Write(ctx context.Context, w io.Writer, m Model, opt Options) error {
	meta, tensors, err := m.sources(ctx, opt)
	if err != nil {
		return err
	}
	return gguf.Write(w, meta, tensors)
}

// Bytes returns the size of the model's weights.
func (m Model) Bytes() int64 {
	var sum int64
	for _, t := range m.layout() {
		sum += t.bytes()
	}
	return sum
}

// Parameters returns the number of the model's weights.
func (m Model) Parameters() int64 {
	var sum int64
	for _, t := range m.layout() {
		sum += int64(t.shape.Elems())
	}
	return sum
}

// weight is one tensor of the model.
type weight struct {
	name      string
	typ       tensor.DType
	shape     tensor.Shape
	mean      float64
	deviation float64
}

func (w *weight) bytes() int64 { return int64(w.shape.Rows()) * int64(w.typ.RowBytes(w.shape[0])) }

// layout lists the tensors. Names and shapes are those of the architecture llama in GGUF.
func (m Model) layout() []weight {
	r, _ := recipe.Find(m.Type)
	mix := &recipe.Model{Layers: m.Layers, Experts: m.Experts, Shared: m.Heads / max(m.KVHeads, 1)}
	var all []weight
	matrix := func(name string, sizes ...int) {
		all = append(all, weight{
			name: name, typ: recipe.Fit(r.TypeOf(mix, name), sizes[0]), shape: tensor.MakeShape(sizes...),
			deviation: 1 / math.Sqrt(float64(sizes[0])), // so that a product is as large as its input
		})
	}
	norm := func(name string) {
		all = append(all, weight{name: name, typ: tensor.F32, shape: tensor.MakeShape(m.Embd), mean: 1})
	}
	matrix(recipe.Embeddings, m.Embd, m.Vocab)
	norm("output_norm.weight")
	matrix(recipe.Output, m.Embd, m.Vocab)
	for i := range m.Layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s.weight", i, s) }
		norm(name("attn_norm"))
		matrix(name("attn_q"), m.Embd, m.Heads*m.HeadDim)
		matrix(name("attn_k"), m.Embd, m.KVHeads*m.HeadDim)
		matrix(name("attn_v"), m.Embd, m.KVHeads*m.HeadDim)
		matrix(name("attn_output"), m.Heads*m.HeadDim, m.Embd)
		norm(name("ffn_norm"))
		if m.Experts > 0 {
			all = append(all, weight{
				name: name("ffn_gate_inp"), typ: tensor.F32, shape: tensor.MakeShape(m.Embd, m.Experts), deviation: 1 / math.Sqrt(float64(m.Embd)),
			})
			matrix(name("ffn_gate_exps"), m.Embd, m.FeedForward, m.Experts)
			matrix(name("ffn_up_exps"), m.Embd, m.FeedForward, m.Experts)
			matrix(name("ffn_down_exps"), m.FeedForward, m.Embd, m.Experts)
			continue
		}
		matrix(name("ffn_gate"), m.Embd, m.FeedForward)
		matrix(name("ffn_up"), m.Embd, m.FeedForward)
		matrix(name("ffn_down"), m.FeedForward, m.Embd)
	}
	return all
}

// sources returns what gguf writes.
func (m Model) sources(ctx context.Context, opt Options) (*gguf.Metadata, []gguf.TensorSource, error) {
	if err := m.Check(); err != nil {
		return nil, nil, err
	}
	if opt.Threads <= 0 {
		opt.Threads = runtime.GOMAXPROCS(0)
	}
	w := &writer{ctx: ctx, opt: opt, total: m.Bytes(), fillers: map[fillerKey]*filler{}}
	var all []gguf.TensorSource
	for i, t := range m.layout() {
		seed := m.Seed<<32 ^ uint64(i+1)
		all = append(all, gguf.TensorSource{Name: t.name, Type: t.typ, Shape: t.shape, Write: func(out io.Writer) error {
			return w.weight(out, t, seed)
		}})
	}
	return m.metadata(), all, nil
}

// writer fills tensors, one after the other.
type writer struct {
	ctx         context.Context
	opt         Options
	done, total int64
	fillers     map[fillerKey]*filler
}

type fillerKey struct {
	typ       tensor.DType
	deviation float64
}

// chunkBytes is about what a worker fills at a time.
const chunkBytes = 1 << 20

// weight writes one tensor.
func (w *writer) weight(out io.Writer, t weight, seed uint64) error {
	if t.mean != 0 {
		return w.constant(out, t)
	}
	key := fillerKey{t.typ, t.deviation}
	f := w.fillers[key]
	if f == nil {
		f = newFiller(t.typ, t.deviation)
		w.fillers[key] = f
	}
	size := t.bytes()
	if size%int64(f.bytes) != 0 { // an odd number of 16-bit numbers
		return w.odd(out, t, f, seed)
	}
	chunk := int64(max(1, chunkBytes/f.bytes) * f.bytes)
	n := int((size + chunk - 1) / chunk)
	return w.ordered(out, n, func(i int, buf []byte) []byte {
		buf = buf[:min(chunk, size-int64(i)*chunk)]
		f.write(buf, seed<<24+uint64(i))
		return buf
	}, int(chunk))
}

// odd writes a tensor that ends within four bytes.
func (w *writer) odd(out io.Writer, t weight, f *filler, seed uint64) error {
	size := t.bytes()
	buf := make([]byte, (size+3)/4*4)
	f.write(buf, seed)
	_, err := out.Write(buf[:size])
	w.advance(int(size))
	return err
}

// constant writes a tensor of equal numbers.
func (w *writer) constant(out io.Writer, t weight) error {
	values := make([]float32, t.shape.Elems())
	for i := range values {
		values[i] = float32(t.mean)
	}
	buf := make([]byte, t.bytes())
	if err := quant.Encode(t.typ, buf, values, nil); err != nil {
		return err
	}
	_, err := out.Write(buf)
	w.advance(len(buf))
	return err
}

func (w *writer) advance(bytes int) {
	w.done += int64(bytes)
	if w.opt.Progress != nil {
		w.opt.Progress(w.done, w.total)
	}
}

// ordered has workers make n chunks, at most size bytes each, and writes them in their order while the
// next are made.
func (w *writer) ordered(out io.Writer, n int, fill func(i int, buf []byte) []byte, size int) error {
	workers := min(w.opt.Threads, n)
	type slot struct{ buf, full chan []byte }
	slots := make([]slot, 2*workers)
	for i := range slots {
		slots[i] = slot{make(chan []byte, 1), make(chan []byte, 1)}
		slots[i].buf <- make([]byte, size)
	}
	// Worker k makes chunks k, k+workers ...: each goes through its own slots in turn.
	stop := make(chan struct{})
	defer close(stop)
	for k := range workers {
		go func() {
			for i := k; i < n; i += workers {
				s := slots[i%len(slots)]
				select {
				case buf := <-s.buf:
					s.full <- fill(i, buf)
				case <-stop:
					return
				}
			}
		}()
	}
	for i := range n {
		if err := w.ctx.Err(); err != nil {
			if cause := context.Cause(w.ctx); cause != err {
				return fmt.Errorf("%w: %w", err, cause)
			}
			return err
		}
		s := slots[i%len(slots)]
		full := <-s.full
		if _, err := out.Write(full); err != nil {
			return err
		}
		w.advance(len(full))
		s.buf <- full[:cap(full)]
	}
	return nil
}
