package synthetic

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/recipe"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, want string
	}{
		{"llama-1b:Q4_K_M", "llama-1b:Q4_K_M"},
		{"LLAMA-7B", "llama-7b:Q4_K_M"},
		{"llama:Q8_0", "llama-1b:Q8_0"},
		{"llama:embd=1024,layers=3:Q8_0", "llama:embd=1024,layers=3,heads=16,kv=4,head=64,ff=8192,vocab=32000,context=131072:Q8_0"},
		{"llama-7b:layers=2:f16", "llama:embd=4096,layers=2,heads=32,kv=8,head=128,ff=14336,vocab=32000,context=131072:f16"},
		{"llama-tiny:experts=4:F32", "llama:embd=256,layers=4,heads=8,kv=4,head=32,ff=768,vocab=2048,context=4096,experts=4,used=2:F32"},
	} {
		m, err := Parse(c.name)
		if err != nil || m.String() != c.want {
			t.Errorf("%s is %v, %v; want %s", c.name, m, err, c.want)
			continue
		}
		if again, err := Parse(m.String()); err != nil || again != m {
			t.Errorf("%s comes back as %v, %v", m, again, err)
		}
	}
	for _, bad := range []string{
		"", "llama-9000b", "llama-1b:Q9", "llama:embd=", "llama:wide=4", "llama:heads=7,kv=2", "llama:vocab=100", "llama:head=63",
		"llama-1b:layers=1:Q8_0:Q8_0", "llama:layers=0", "llama:experts=2,used=0", "llama:embd=99999999999999999999",
	} {
		var e *ModelError
		if _, err := Parse(bad); !errors.As(err, &e) || !errors.Is(err, ErrModel) {
			t.Errorf("%q: %v, want a *ModelError", bad, err)
		}
	}
}

// The sizes that people expect from the names.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name           string
		params, bytesM int64 // in millions
	}{
		{"llama-1b:F16", 1104, 2208},
		{"llama-7b:Q4_K_M", 7241, 4367},
		{"llama-7b:Q8_0", 7241, 7695},
	} {
		m, err := Parse(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if p, b := m.Parameters()/1e6, m.Bytes()/1e6; p != c.params || b != c.bytesM {
			t.Errorf("%s: %d M weights in %d MB, want %d and %d", c.name, p, b, c.params, c.bytesM)
		}
	}
}

// write returns the file of a model.
func write(t *testing.T, m Model, threads int) []byte {
	t.Helper()
	var b bytes.Buffer
	var last int64
	opt := Options{Threads: threads, Progress: func(done, total int64) {
		if done <= last || done > total {
			t.Errorf("progress from %d to %d of %d", last, done, total)
		}
		last = done
	}}
	if err := Write(t.Context(), &b, m, opt); err != nil {
		t.Fatal(err)
	}
	if last != m.Bytes() {
		t.Errorf("progress ends at %d of %d", last, m.Bytes())
	}
	return b.Bytes()
}

// Every type is written as asked for, decodes to numbers of the right size about 0, and runs.
func TestTypes(t *testing.T) {
	for _, name := range Types() {
		t.Run(name, func(t *testing.T) {
			m, err := Parse("llama-tiny:layers=8,ff=256,vocab=300:" + name)
			if err != nil {
				t.Fatal(err)
			}
			file := write(t, m, 2)
			f, err := gguf.Parse(file, "m.gguf")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.TensorBytes() != m.Bytes() {
				t.Errorf("%d bytes of weights, want %d", f.TensorBytes(), m.Bytes())
			}
			r, _ := recipe.Find(name)
			mix := &recipe.Model{Layers: 8, Shared: m.Heads / m.KVHeads}
			for info := range f.Tensors() {
				if info.Shape.Dims() < 2 {
					continue
				}
				if want := r.TypeOf(mix, info.Name); info.Type != want {
					t.Errorf("%s is %v, want %v", info.Name, info.Type, want)
				}
				checkValues(t, info, f.Data(info))
			}
			checkRuns(t, file)
		})
	}
}

// checkValues looks at mean and deviation.
func checkValues(t *testing.T, info gguf.TensorInfo, data []byte) {
	t.Helper()
	values := make([]float32, info.Shape.Elems())
	if err := quant.Decode(info.Type, values, data); err != nil {
		t.Fatal(err)
	}
	var sum, squares float64
	for _, v := range values {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(values))
	want := 1 / math.Sqrt(float64(info.Shape[0]))
	mean, deviation := sum/n, math.Sqrt(squares/n)
	// Scales of MXFP4 and of floats are powers of two; K-quants decode to random scales.
	if !(math.Abs(mean) < 0.2*want) || !(deviation > want/2 && deviation < 2*want) {
		t.Errorf("%s %v: mean %g, deviation %g, want 0 and about %g", info.Name, info.Type, mean, deviation, want)
	}
}

// checkRuns has the model say something.
func checkRuns(t *testing.T, file []byte) {
	t.Helper()
	m, err := tenon.OpenData("m.gguf", file, tenon.WithContext(64))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	n := 0
	for _, err := range m.Generate(t.Context(), "the quick", tenon.GenerateOptions{MaxTokens: 4, IgnoreEOS: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < 4 {
		t.Errorf("%d tokens, want 4", n)
	}
	for _, v := range m.Engine().Logits(0) {
		if v-v != 0 || math.Abs(float64(v)) > 100 {
			t.Fatalf("a logit of %g", v)
		}
	}
}

func TestExperts(t *testing.T) {
	m, err := Parse("llama-tiny:layers=2,experts=4,vocab=300:Q4_K_M")
	if err != nil {
		t.Fatal(err)
	}
	checkRuns(t, write(t, m, 1))
}

// Equal models are equal files, whoever writes them; another seed is another file.
func TestSameBytes(t *testing.T) {
	m, err := Parse("llama-tiny:Q4_K_M")
	if err != nil {
		t.Fatal(err)
	}
	one := write(t, m, 1)
	for _, threads := range []int{2, 3, 7} {
		if !bytes.Equal(write(t, m, threads), one) {
			t.Errorf("%d threads write another file", threads)
		}
	}
	m.Seed = 1
	if bytes.Equal(write(t, m, 2), one) {
		t.Error("another seed writes the same file")
	}
}

// No block repeats in a tensor: what is read must be as long as it says.
func TestNoPattern(t *testing.T) {
	f := newFiller(tensor.Q8_0, 0.01)
	b := make([]byte, 1<<20/34*34)
	f.write(b, 3)
	seen := map[string]bool{}
	for ; len(b) > 0; b = b[34:] {
		if s := string(b[2:34]); seen[s] {
			t.Fatal("a block comes twice")
		} else {
			seen[s] = true
		}
	}
}

func TestCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	m, err := Parse("llama-tiny:F16")
	if err != nil {
		t.Fatal(err)
	}
	reason := errors.New("no more")
	ctx, cancel := context.WithCancelCause(t.Context())
	opt := Options{Threads: 2, Progress: func(done, total int64) {
		if done > total/2 {
			cancel(reason)
		}
	}}
	if err := WriteFile(ctx, path, m, opt); !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
		t.Errorf("%v, want that it was cancelled", err)
	}
	for _, name := range []string{path, path + ".partial"} {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want no such file", name, err)
		}
	}
	if err := WriteFile(t.Context(), path, Model{}, Options{}); !errors.Is(err, ErrModel) {
		t.Errorf("an empty model: %v", err)
	}
}

func BenchmarkFill(b *testing.B) {
	for _, typ := range []tensor.DType{tensor.F16, tensor.Q8_0, tensor.Q4_K} {
		b.Run(typ.String(), func(b *testing.B) {
			f := newFiller(typ, 0.01)
			buf := make([]byte, chunkBytes/f.bytes*f.bytes)
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				f.write(buf, 1)
			}
		})
	}
}
