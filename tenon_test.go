package tenon_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tokenizer"
)

// open opens the tiny model that c describes, until t ends.
func open(t testing.TB, c tinymodel.Config, options ...tenon.Option) *tenon.Model {
	t.Helper()
	m, err := tenon.Open(tinymodel.Path(t, c), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// generate returns the text and the ids of a whole call.
func generate(ctx context.Context, m *tenon.Model, prompt string, opt tenon.GenerateOptions) (text string, ids []int32, err error) {
	var b strings.Builder
	for tok, err := range m.Generate(ctx, prompt, opt) {
		if err != nil {
			return b.String(), ids, err
		}
		b.WriteString(tok.Text)
		if tok.ID >= 0 {
			ids = append(ids, tok.ID)
		}
	}
	return b.String(), ids, nil
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tiny := tinymodel.Path(t, tinymodel.Config{})
	for name, c := range map[string]struct {
		path    string
		options []tenon.Option
		want    error
	}{
		"no such file":        {filepath.Join(dir, "none.gguf"), nil, fs.ErrNotExist},
		"an empty file":       {write("empty.gguf", ""), nil, gguf.ErrFormat},
		"no model":            {write("text.gguf", strings.Repeat("This is no model. ", 100)), nil, gguf.ErrFormat},
		"no device":           {tiny, []tenon.Option{tenon.WithDevices("Abacus0")}, backends.ErrNoDevice},
		"a device twice":      {tiny, []tenon.Option{tenon.WithDevices("CPU", "cpu")}, engine.ErrOption},
		"negative threads":    {tiny, []tenon.Option{tenon.WithThreads(-1)}, engine.ErrOption},
		"negative context":    {tiny, []tenon.Option{tenon.WithContext(-1)}, engine.ErrOption},
		"negative batch":      {tiny, []tenon.Option{tenon.WithBatch(-1)}, engine.ErrOption},
		"negative sequences":  {tiny, []tenon.Option{tenon.WithSequences(-1)}, engine.ErrOption},
		"a cache of integers": {tiny, []tenon.Option{tenon.WithCacheTypes(tensor.I8, tensor.I8)}, kv.ErrConfig},
		"another architecture": {tinymodel.Path(t, tinymodel.Config{Meta: func(m *gguf.Metadata) {
			m.Set("general.architecture", gguf.ValueOf("gpt9"))
		}}), nil, model.ErrArch},
		"another tokenizer": {tinymodel.Path(t, tinymodel.Config{Meta: func(m *gguf.Metadata) {
			m.Set("tokenizer.ggml.model", gguf.ValueOf("runes"))
		}}), nil, tokenizer.ErrUnsupported},
		"no tokenizer": {tinymodel.Path(t, tinymodel.Config{Meta: func(m *gguf.Metadata) {
			m.Delete("tokenizer.ggml.model")
		}}), nil, tokenizer.ErrMetadata},
	} {
		m, err := tenon.Open(c.path, c.options...)
		if m != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want an error that matches %v", name, err, c.want)
		}
	}
	if m, err := tenon.Open(dir); m != nil || err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder: %v", err)
	}
}

// A tokenizer that knows tokens without logits would fail at the first of them; one that does not know
// all would fail when the model says such a one. Open says it at once.
func TestOpenComparesVocabularies(t *testing.T) {
	for _, change := range []int{-1, 1} {
		path := tinymodel.Path(t, tinymodel.Config{Meta: func(m *gguf.Metadata) {
			tokens, _ := m.Strings("tokenizer.ggml.tokens")
			scores, _ := m.Floats("tokenizer.ggml.scores")
			types, _ := m.Ints("tokenizer.ggml.token_type")
			if change < 0 {
				tokens, scores, types = tokens[:319], scores[:319], types[:319]
			} else {
				tokens, scores, types = append(tokens, "more"), append(scores, -1), append(types, 1)
			}
			m.Set("tokenizer.ggml.tokens", gguf.ArrayOf(tokens))
			m.Set("tokenizer.ggml.scores", gguf.ArrayOf(scores))
			m.Set("tokenizer.ggml.token_type", gguf.ArrayOf(types))
		}})
		m, err := tenon.Open(path)
		var e *tenon.VocabError
		if m != nil || !errors.Is(err, tenon.ErrVocab) || !errors.As(err, &e) || e.Tokens != 320+change || e.Logits != 320 || e.File != path {
			t.Errorf("%d tokens more: %v", change, err)
		}
	}
}

func TestOptionsAreInForce(t *testing.T) {
	var done, total int64
	m := open(t, tinymodel.Config{HeadDim: 32}, tenon.WithContext(64), tenon.WithBatch(16), tenon.WithSequences(3), tenon.WithThreads(2),
		tenon.WithCacheTypes(tensor.Q8_0, tensor.F32), tenon.WithExact(), tenon.WithDevices("cpu"),
		tenon.WithProgress(func(d, n int64) { done, total = d, n }))
	o := m.Engine().Options()
	if o.Context != 64 || o.Batch != 16 || o.Sequences != 3 || o.CacheK != tensor.Q8_0 || o.CacheV != tensor.F32 || !o.Exact {
		t.Errorf("%+v", o)
	}
	if len(o.Devices) != 1 || o.Devices[0] != o.Fallback || !strings.Contains(strings.Join(o.Devices[0].Info().Features, " "), "2 threads") {
		t.Errorf("devices %+v, fallback %+v", o.Devices[0].Info(), o.Fallback.Info())
	}
	if done != m.Params().Bytes || total != done || done == 0 {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	if m.Params().Arch != "llama" || m.Tokenizer().Size() != 320 || !m.Metadata().Has("general.name") {
		t.Errorf("%+v", m.Params())
	}
	if mem := m.Memory(); len(mem) != 1 || mem[0].Mapped != done || mem[0].Total() == 0 {
		t.Errorf("%+v", mem)
	}

	byDefault := open(t, tinymodel.Config{}).Engine().Options()
	if byDefault.Context != 128 || byDefault.Batch != 128 || byDefault.Sequences != 1 || byDefault.CacheK != tensor.F16 || byDefault.CacheV != tensor.F16 {
		t.Errorf("%+v", byDefault)
	}
	exact := open(t, tinymodel.Config{}, tenon.WithCacheTypes(tensor.F32, tensor.F32)).Engine().Options()
	if exact.CacheK != tensor.F32 || exact.CacheV != tensor.F32 {
		t.Errorf("%+v", exact)
	}
}

func TestClosedModel(t *testing.T) {
	m := open(t, tinymodel.Config{})
	if _, _, err := generate(t.Context(), m, "a", tenon.GenerateOptions{MaxTokens: 2}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := generate(t.Context(), m, "a", tenon.GenerateOptions{}); !errors.Is(err, tenon.ErrClosed) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := m.Embed(t.Context(), "a"); !errors.Is(err, tenon.ErrClosed) {
		t.Errorf("Embed: %v", err)
	}
	for _, d := range m.Memory() {
		if d.Total() != 0 {
			t.Errorf("%+v", d)
		}
	}
	if m.Params().Vocab != 320 || m.Tokenizer() == nil {
		t.Error("what needs no memory is gone")
	}
}
