package tenon_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
	"github.com/tenon-go/tenon/tensor"
)

// sharedPair returns the configurations of a target and of a draft that reads its cache.
func sharedPair() (target, draft tinymodel.Config) {
	target = tinymodel.SharedTarget(tinymodel.Config{})
	return target, tinymodel.SharedDraft(tinymodel.Config{Embd: 48}, target)
}

// TestSpeculationChangesNothing compares what is generated with and without each kind of draft.
func TestSpeculationChangesNothing(t *testing.T) {
	target, mtp := sharedPair()
	simple := tinymodel.Config{Layers: 1}
	for _, tc := range []struct {
		name   string
		target tinymodel.Config
		draft  *tinymodel.Config
		spec   tenon.SpecOptions
	}{
		{"mtp", target, &mtp, tenon.SpecOptions{}},
		{"mtp, always", target, &mtp, tenon.SpecOptions{Fixed: true, Max: 4}},
		{"ngram and mtp", target, &mtp, tenon.SpecOptions{Types: []string{"ngram", "draft-mtp"}, Fixed: true, NGram: spec.NGramOptions{Min: 1}}},
		{"mtp in the target's file", tinymodel.Qwen35(tinymodel.Config{}), nil, tenon.SpecOptions{Types: []string{"draft-mtp"}, Fixed: true}},
		{"simple", tinymodel.Config{}, &simple, tenon.SpecOptions{Fixed: true}},
		{"itself", tinymodel.Config{}, &tinymodel.Config{}, tenon.SpecOptions{Fixed: true, Max: 5, PMin: 0.1}},
		{"ngram", tinymodel.Config{}, nil, tenon.SpecOptions{Types: []string{"ngram"}, Fixed: true, NGram: spec.NGramOptions{Min: 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spec.OnFailure = func(name string, err error) { t.Errorf("%s: %v", name, err) }
			options := []tenon.Option{tenon.WithSpec(tc.spec), tenon.WithExact(), tenon.WithBatch(7), tenon.WithContext(120), tenon.WithCacheTypes(tensor.F32, tensor.F32)}
			if tc.draft != nil {
				options = append(options, tenon.WithDraft(tinymodel.Path(t, *tc.draft)))
			}
			without, with := open(t, tc.target, options[1:5]...), open(t, tc.target, options...)
			for _, opt := range []tenon.GenerateOptions{
				{IgnoreEOS: true},
				{MaxTokens: 20, IgnoreEOS: true},
				{MaxTokens: 60, Sampling: nonsense(4)},
				{MaxTokens: 60, Sampling: sample.Params{Temperature: 0.9, TopK: 30, RepeatPenalty: 1.4, PresencePenalty: 0.3, Seed: 9}, Stop: []string{"he", "xyz"}},
				{MaxTokens: 1},
			} {
				var plain, fast tenon.Stats
				opt.Stats = &plain
				text, ids, err := generate(t.Context(), without, prompt, opt)
				if err != nil {
					t.Fatal(err)
				}
				opt.Stats = &fast
				got, gotIDs, err := generate(t.Context(), with, prompt, opt)
				if err != nil {
					t.Fatal(err)
				}
				if got != text || !slices.Equal(gotIDs, ids) || fast.Finish != plain.Finish || fast.Tokens != plain.Tokens {
					t.Errorf("%+v: %q (%d tokens, %s), without speculation %q (%d, %s)", opt.Sampling, got, fast.Tokens, fast.Finish, text, plain.Tokens, plain.Finish)
				}
				if plain.Spec != nil || fast.Spec == nil || fast.Spec.Tokens() < len(gotIDs)-1 {
					t.Errorf("statistics: %+v and %+v of %d tokens", plain.Spec, fast.Spec, len(gotIDs))
				}
			}
			if n := used(with); n != 0 {
				t.Errorf("%d cells are still in use", n)
			}
			all := with.Speculation()
			t.Logf("%d rounds, %d of %d guesses right", all.Rounds, all.Accepted, all.Drafted)
			if all.Drafted == 0 && tc.spec.Fixed {
				t.Error("nothing was drafted")
			}
			if without.Speculation() != nil {
				t.Error("statistics of speculation without it")
			}
		})
	}
}

// TestSpeculationTogether generates several texts at a time.
func TestSpeculationTogether(t *testing.T) {
	target, draft := sharedPair()
	exact := []tenon.Option{tenon.WithExact(), tenon.WithCacheTypes(tensor.F32, tensor.F32), tenon.WithContext(400), tenon.WithSequences(3)}
	without := open(t, target, exact...)
	with := open(t, target, append(exact, tenon.WithDraft(tinymodel.Path(t, draft)), tenon.WithSpec(tenon.SpecOptions{Fixed: true}))...)
	var group sync.WaitGroup
	for i := range 6 {
		group.Go(func() {
			opt := tenon.GenerateOptions{MaxTokens: 25, Sampling: nonsense(uint64(i)), IgnoreEOS: true}
			prompt := fmt.Sprintf("%s number %d", prompt, i*i)
			want, _, err := generate(t.Context(), without, prompt, opt)
			if err != nil {
				t.Error(err)
			}
			got, _, err := generate(t.Context(), with, prompt, opt)
			if err != nil || got != want {
				t.Errorf("%q, %v; alone and without speculation %q", got, err, want)
			}
		})
	}
	group.Wait()
}

// TestSpeculationCancelled ends a text in the middle; the next is whole.
func TestSpeculationCancelled(t *testing.T) {
	target, draft := sharedPair()
	failed := func(name string, err error) { t.Errorf("%s: %v", name, err) }
	m := open(t, target, tenon.WithDraft(tinymodel.Path(t, draft)), tenon.WithSpec(tenon.SpecOptions{Fixed: true, OnFailure: failed}))
	opt := tenon.GenerateOptions{MaxTokens: 30, IgnoreEOS: true}
	want, _, err := generate(t.Context(), m, prompt, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err = range m.Generate(ctx, prompt, opt) {
		if n++; n == 7 {
			cancel()
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v after %d tokens, want context.Canceled", err, n)
	}
	if got, _, err := generate(t.Context(), m, prompt, opt); err != nil || got != want {
		t.Errorf("afterwards %q, %v; before %q", got, err, want)
	}
}

// TestShareErrorFromOpen pins a draft where it cannot read the target's cache. The error is a value that
// says where it can; there, and mirrored, it runs.
func TestShareErrorFromOpen(t *testing.T) {
	machine, err := sim.NewMachine(sim.Config{Name: "Sima0"}, sim.Config{Name: "Simb0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := machine.Register(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	})
	target, draft := sharedPair()
	path, draftPath := tinymodel.Path(t, target), tinymodel.Path(t, draft)
	options := func(o tenon.SpecOptions) []tenon.Option {
		o.Fixed = true
		return []tenon.Option{tenon.WithDevices("Sima0"), tenon.WithDraft(draftPath), tenon.WithSpec(o)}
	}
	m, err := tenon.Open(path, options(tenon.SpecOptions{Devices: []string{"Simb0"}})...)
	var share *kv.ShareError
	if m != nil || !errors.As(err, &share) || !errors.Is(err, kv.ErrShare) {
		t.Fatalf("%v, want a *kv.ShareError", err)
	}
	if share.Field != kv.ShareOwnerK || share.Have != "Sima0" || share.Want != "Simb0" || !strings.Contains(err.Error(), "--spec-draft-device Sima0") {
		t.Errorf("%+v: %v", share, err)
	}
	var texts []string
	for _, o := range []tenon.SpecOptions{{}, {Devices: []string{"Sima0"}}, {Devices: []string{"Simb0"}, Mirror: true}} {
		m, err := tenon.Open(path, options(o)...)
		if err != nil {
			t.Fatal(err)
		}
		var stats tenon.Stats
		text, _, err := generate(t.Context(), m, prompt, tenon.GenerateOptions{MaxTokens: 12, IgnoreEOS: true, Stats: &stats})
		if err != nil {
			t.Error(err)
		}
		if (stats.Spec.Copied > 0) != o.Mirror || len(stats.Spec.Failed) > 0 {
			t.Errorf("%+v: %+v", o, stats.Spec)
		}
		texts = append(texts, text)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if texts[0] != texts[1] || texts[1] != texts[2] {
		t.Errorf("%q", texts)
	}
}

// TestSpecMistakes opens what cannot be.
func TestSpecMistakes(t *testing.T) {
	target, mtp := sharedPair()
	path, mtpPath, llama := tinymodel.Path(t, target), tinymodel.Path(t, mtp), tinymodel.Path(t, tinymodel.Config{})
	other := tinymodel.Path(t, tinymodel.Config{Vocab: 300})
	renamed := tinymodel.Path(t, tinymodel.Config{Meta: func(m *gguf.Metadata) {
		m.Set("tokenizer.ggml.eos_token_id", gguf.ValueOf(uint32(1)))
	}})
	f16, f32 := tensor.F16, tensor.F32
	for _, tc := range []struct {
		name, target, draft string
		spec                tenon.SpecOptions
		want                error
	}{
		{"no drafter", llama, "", tenon.SpecOptions{}, engine.ErrOption},
		{"an unknown drafter", llama, "", tenon.SpecOptions{Types: []string{"oracle"}}, engine.ErrOption},
		{"a draft that nothing runs", llama, llama, tenon.SpecOptions{Types: []string{"ngram"}}, engine.ErrOption},
		{"simple without a model", llama, "", tenon.SpecOptions{Types: []string{"draft-simple"}}, engine.ErrOption},
		{"mtp without a model", llama, "", tenon.SpecOptions{Types: []string{"draft-mtp"}}, model.ErrDraft},
		{"mtp of another kind", llama, llama, tenon.SpecOptions{Types: []string{"draft-mtp"}}, model.ErrDraft},
		{"a target of another kind", llama, mtpPath, tenon.SpecOptions{}, model.ErrDraft},
		{"a negative depth", llama, llama, tenon.SpecOptions{Max: -1}, engine.ErrOption},
		{"more at least than at most", llama, llama, tenon.SpecOptions{Max: 2, Min: 3}, engine.ErrOption},
		{"an improbability", llama, llama, tenon.SpecOptions{PMin: 1.5}, engine.ErrOption},
		{"a mirror of nothing", llama, llama, tenon.SpecOptions{Mirror: true}, engine.ErrOption},
		{"weights of a draft that reads the cache", path, mtpPath, tenon.SpecOptions{Placement: engine.Placement{HostExperts: 1}}, engine.ErrOption},
		{"layers of nothing", llama, "", tenon.SpecOptions{Types: []string{"ngram"}, Placement: engine.Placement{Split: []float64{1}}}, engine.ErrOption},
		{"devices of nothing", llama, "", tenon.SpecOptions{Types: []string{"ngram"}, Devices: []string{"CPU"}}, engine.ErrOption},
		{"another type of keys", path, mtpPath, tenon.SpecOptions{TypeK: &f32}, kv.ErrShare},
		{"another type of values", path, mtpPath, tenon.SpecOptions{TypeK: &f16, TypeV: &f32}, kv.ErrShare},
		{"fewer tokens", llama, other, tenon.SpecOptions{}, spec.ErrVocab},
		{"another EOS", llama, renamed, tenon.SpecOptions{}, spec.ErrVocab},
	} {
		options := []tenon.Option{tenon.WithSpec(tc.spec)}
		if tc.draft != "" {
			options = append(options, tenon.WithDraft(tc.draft))
		}
		m, err := tenon.Open(tc.target, options...)
		if m != nil || !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if _, err := tenon.Open(llama, tenon.WithDraft(llama+".absent")); err == nil {
		t.Error("a draft that is not there was opened")
	}
}
