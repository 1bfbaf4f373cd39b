package tenon_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tokenizer"
)

var encodeSpecial = tokenizer.EncodeOptions{AddSpecial: true}

// away returns the length of the difference of two vectors.
func away(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

func pooling(p model.Pooling) tinymodel.Config {
	return tinymodel.Config{Meta: func(m *gguf.Metadata) { m.Set("llama.pooling_type", gguf.ValueOf(uint32(p))) }}
}

func TestEmbed(t *testing.T) {
	const text, other = "A sentence about cats", "3 + 4 = 7"
	seen := map[model.Pooling][]float32{}
	for _, p := range []model.Pooling{model.PoolNone, model.PoolMean, model.PoolCLS, model.PoolLast} {
		m := open(t, pooling(p))
		chunks := open(t, pooling(p), tenon.WithBatch(3))
		v, err := m.Embed(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		if d := away(v, make([]float32, 64)); math.Abs(d-1) > 1e-6 {
			t.Errorf("pooling %d: length %g", p, d)
		}
		again, err := m.Embed(t.Context(), text)
		if err != nil || away(v, again) != 0 {
			t.Errorf("pooling %d: equal texts are %g apart, %v", p, away(v, again), err)
		}
		if w, err := chunks.Embed(t.Context(), text); err != nil || away(v, w) > 1e-4 {
			t.Errorf("pooling %d: in chunks it is %g away, %v", p, away(v, w), err)
		}
		w, err := m.Embed(t.Context(), other)
		if p == model.PoolCLS { // the first token, which is the same and sees nothing else
			if err != nil || away(v, w) > 1e-6 {
				t.Errorf("first tokens are %g apart, %v", away(v, w), err)
			}
		} else if err != nil || away(v, w) < 0.01 {
			t.Errorf("pooling %d: different texts are %g apart, %v", p, away(v, w), err)
		}
		if n := used(m); n != 0 {
			t.Errorf("%d cells stay in use", n)
		}
		seen[p] = v
	}
	if away(seen[model.PoolNone], seen[model.PoolMean]) != 0 {
		t.Error("no pooling is not the mean")
	}
	if away(seen[model.PoolMean], seen[model.PoolLast]) < 0.01 || away(seen[model.PoolCLS], seen[model.PoolLast]) < 0.01 {
		t.Error("different poolings give the same")
	}
}

func TestEmbedRefuses(t *testing.T) {
	m := open(t, tinymodel.Config{}, tenon.WithContext(32))
	if _, err := m.Embed(t.Context(), ""); !errors.Is(err, tenon.ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := m.Embed(t.Context(), strings.Repeat("q", 50)); !errors.Is(err, kv.ErrFull) {
		t.Errorf("too long a text: %v", err)
	}
	if n := used(m); n != 0 {
		t.Errorf("%d cells stay in use", n)
	}
	if _, err := m.Embed(t.Context(), "q"); err != nil {
		t.Error(err)
	}
}
