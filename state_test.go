package tenon_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/models/gopher"
	"github.com/tenon-go/tenon/sample"
)

// savedText generates and returns the tokens and the state at the end.
func savedText(t *testing.T, m *tenon.Model, prompt string, opt tenon.GenerateOptions) ([]int32, []byte) {
	t.Helper()
	var state bytes.Buffer
	opt.Save = &state
	_, ids, err := generate(t.Context(), m, prompt, opt)
	if err != nil {
		t.Fatal(err)
	}
	if used(m) != 0 {
		t.Errorf("%d cells are still in use", used(m))
	}
	return ids, state.Bytes()
}

// TestRestoredTextGoesOn: a text in parts, each by another Model, is the text in one.
func TestRestoredTextGoesOn(t *testing.T) {
	for name, file := range map[string][]byte{
		"llama":  tinymodel.Bytes(t, tinymodel.Config{}),
		"qwen35": tinymodel.Bytes(t, tinymodel.Qwen35(tinymodel.Config{})),
		"gemma4": tinymodel.Bytes(t, tinymodel.SharedTarget(tinymodel.Config{})),
		"gopher": gopher.Target,
	} {
		open := func() *tenon.Model {
			m, err := tenon.OpenData(name, file)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			return m
		}
		t.Run(name, func(t *testing.T) {
			opt := tenon.GenerateOptions{
				MaxTokens: 40, IgnoreEOS: true, Sampling: sample.Params{Temperature: 1.5, TopP: 0.95, RepeatPenalty: 1.2, PenaltyLastN: 16, Seed: 3},
			}
			_, whole, err := generate(t.Context(), open(), prompt, opt)
			if err != nil {
				t.Fatal(err)
			}
			opt.MaxTokens = 9
			got, state := savedText(t, open(), prompt, opt)
			for len(got) < len(whole) {
				var stats tenon.Stats
				opt.MaxTokens = min(13, len(whole)-len(got))
				opt.Sampling.Seed++ // the sampler goes on as it was
				opt.Restore, opt.Stats = bytes.NewReader(state), &stats
				var ids []int32
				ids, state = savedText(t, open(), "", opt)
				got = append(got, ids...)
				if stats.Restored == 0 || stats.Restored != stats.PromptTokens {
					t.Errorf("restored %d of %d tokens", stats.Restored, stats.PromptTokens)
				}
			}
			if !slices.Equal(got, whole) {
				t.Errorf("in parts %v, in one %v", got, whole)
			}
		})
	}
}

// TestRestoredPrompt: what a prompt has in common with the saved text is not processed again.
func TestRestoredPrompt(t *testing.T) {
	for name, c := range map[string]tinymodel.Config{"llama": {}, "qwen35": tinymodel.Qwen35(tinymodel.Config{})} {
		m := open(t, c)
		opt := tenon.GenerateOptions{MaxTokens: 8, IgnoreEOS: true}
		_, state := savedText(t, m, prompt, opt)
		for _, text := range []string{prompt, prompt + " and another", "Once upon", "something else", strings.Repeat(prompt, 2)} {
			_, want, err := generate(t.Context(), m, text, opt)
			if err != nil {
				t.Fatal(err)
			}
			var stats tenon.Stats
			opt := opt
			opt.Restore, opt.Stats = bytes.NewReader(state), &stats
			_, got, err := generate(t.Context(), m, text, opt)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q goes on with %v, %v; want %v", name, text, got, err, want)
			}
			if stats.Restored >= stats.PromptTokens || name == "llama" && strings.HasPrefix(text, "Once upon") && stats.Restored < 2 {
				t.Errorf("%s: %q: restored %d of %d tokens", name, text, stats.Restored, stats.PromptTokens)
			}
		}
		if used(m) != 0 {
			t.Errorf("%d cells are still in use", used(m))
		}
	}
}

func TestStateThatIsRefused(t *testing.T) {
	m, other := open(t, tinymodel.Config{}), open(t, tinymodel.Config{Seed: 1})
	opt := tenon.GenerateOptions{MaxTokens: 5, IgnoreEOS: true}
	_, state := savedText(t, m, prompt, opt)
	for name, c := range map[string]struct {
		m     *tenon.Model
		state []byte
		want  error
	}{
		"foreign": {other, state, engine.ErrForeign},
		"damaged": {m, state[:len(state)-30], engine.ErrDamaged},
		"empty":   {m, nil, engine.ErrForeign},
	} {
		for _, text := range []string{"", prompt} {
			opt := opt
			opt.Restore = bytes.NewReader(c.state)
			var saved bytes.Buffer
			opt.Save = &saved
			_, ids, err := generate(t.Context(), c.m, text, opt)
			if !errors.Is(err, engine.ErrState) || !errors.Is(err, c.want) || len(ids) > 0 || saved.Len() > 0 || used(c.m) != 0 {
				t.Errorf("%s: %d tokens, %v", name, len(ids), err)
			}
		}
	}
	with := opt
	with.Restore, with.Sampling = bytes.NewReader(state), sample.Params{RepeatPenalty: 1.3}
	if _, _, err := generate(t.Context(), m, "", with); !errors.Is(err, sample.ErrState) {
		t.Errorf("another window of penalties: %v, want sample.ErrState", err)
	}
	full := errors.New("the disk is full")
	with = opt
	with.Save = writerFunc(func([]byte) (int, error) { return 0, full })
	if _, ids, err := generate(t.Context(), m, prompt, with); !errors.Is(err, full) || len(ids) != 5 {
		t.Errorf("a writer that fails: %d tokens, %v", len(ids), err)
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestStateOfAFullContext: a text that has filled the context and goes on in a larger one.
func TestStateOfAFullContext(t *testing.T) {
	opt := tenon.GenerateOptions{IgnoreEOS: true}
	small, large := open(t, tinymodel.Config{}, tenon.WithContext(32)), open(t, tinymodel.Config{}, tenon.WithContext(64))
	opt.MaxTokens = 40
	_, want, err := generate(t.Context(), large, "Once upon", opt)
	if err != nil {
		t.Fatal(err)
	}
	opt.MaxTokens = 0
	got, state := savedText(t, small, "Once upon", opt)
	opt.Restore = bytes.NewReader(state)
	if ids, _ := savedText(t, small, "", opt); len(ids) != 0 {
		t.Errorf("%d tokens in a context that is full", len(ids))
	}
	opt.Restore, opt.MaxTokens = bytes.NewReader(state), 40-len(got)
	more, _ := savedText(t, large, "", opt)
	if got = append(got, more...); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	opt.Restore = bytes.NewReader(state)
	if _, _, err := generate(t.Context(), open(t, tinymodel.Config{}, tenon.WithContext(16)), "", opt); !errors.Is(err, kv.ErrFull) {
		t.Errorf("in a context that is too small: %v, want ErrFull", err)
	}
}
