package tenon_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sample"
)

const prompt = "Once upon a time there was a thing"

// nonsense samples freely, so that texts of random weights do not repeat one token.
func nonsense(seed uint64) sample.Params { return sample.Params{Temperature: 1.5, Seed: seed} }

// used returns how many cells of the cache are in use.
func used(m *tenon.Model) int { return m.Engine().Cache().Used(0) }

func TestGenerateIsRepeatable(t *testing.T) {
	m := open(t, tinymodel.Config{})
	other := open(t, tinymodel.Config{}, tenon.WithBatch(3), tenon.WithThreads(1))
	texts := map[string]bool{}
	for _, p := range []sample.Params{{}, nonsense(1), nonsense(2), {Temperature: 1, TopK: 20, TopP: 0.9, RepeatPenalty: 1.3, Seed: 3}} {
		opt := tenon.GenerateOptions{MaxTokens: 40, Sampling: p, IgnoreEOS: true}
		text, ids, err := generate(t.Context(), m, prompt, opt)
		if err != nil || len(ids) != 40 {
			t.Fatalf("%d tokens, %v", len(ids), err)
		}
		if !utf8.ValidString(text) {
			t.Errorf("%q is no UTF-8", text)
		}
		again := m.Generate(t.Context(), prompt, opt)
		for range 2 { // ranging over one value twice is two texts
			var b strings.Builder
			for tok, err := range again {
				if err != nil {
					t.Fatal(err)
				}
				b.WriteString(tok.Text)
			}
			if b.String() != text {
				t.Errorf("%+v: %q, then %q", p, text, b.String())
			}
		}
		if chunked, _, err := generate(t.Context(), other, prompt, opt); err != nil || chunked != text {
			t.Errorf("%+v: %q, with a prompt in chunks %q, %v", p, text, chunked, err)
		}
		texts[text] = true
	}
	if len(texts) != 4 {
		t.Errorf("%d different texts of 4 ways to sample", len(texts))
	}
	if n := used(m); n != 0 {
		t.Errorf("%d cells are in use after all", n)
	}
}

func TestGenerateStats(t *testing.T) {
	m := open(t, tinymodel.Config{})
	stats := tenon.Stats{Tokens: 77, Finish: "old"}
	tokens := 0
	for _, err := range m.Generate(t.Context(), prompt, tenon.GenerateOptions{MaxTokens: 7, IgnoreEOS: true, Stats: &stats}) {
		if err != nil {
			t.Fatal(err)
		}
		tokens++
		if stats.Tokens != tokens || stats.PromptTokens == 0 || stats.Prompt <= 0 {
			t.Errorf("at token %d: %+v", tokens, stats)
		}
	}
	ids, err := m.Tokenizer().Encode(prompt, encodeSpecial)
	if err != nil || stats.PromptTokens != len(ids) || stats.Finish != tenon.FinishLength || stats.Generate <= 0 {
		t.Errorf("%+v, %d tokens in the prompt, %v", stats, len(ids), err)
	}
	if _, _, err := generate(t.Context(), m, "", tenon.GenerateOptions{Stats: &stats}); err == nil || stats != (tenon.Stats{}) {
		t.Errorf("after an error: %+v", stats)
	}
}

func TestGenerateEndsWhereTheModelDoes(t *testing.T) {
	m := open(t, tinymodel.Config{})
	eos, _ := m.Tokenizer().EOS()
	// A bias makes the end certain at once.
	opt := tenon.GenerateOptions{MaxTokens: 5, Sampling: sample.Params{LogitBias: map[int32]float32{eos: 1e6}}, Stats: new(tenon.Stats)}
	text, ids, err := generate(t.Context(), m, prompt, opt)
	if err != nil || text != "" || len(ids) != 0 || opt.Stats.Finish != tenon.FinishEnd || opt.Stats.Tokens != 0 {
		t.Errorf("%q %v %v %+v", text, ids, err, opt.Stats)
	}
	opt.IgnoreEOS = true
	text, ids, err = generate(t.Context(), m, prompt, opt)
	if err != nil || text != "" || !slices.Equal(ids, []int32{eos, eos, eos, eos, eos}) || opt.Stats.Finish != tenon.FinishLength {
		t.Errorf("ignored: %q %v %v %+v", text, ids, err, opt.Stats)
	}
	opt.Special = true
	if text, _, err = generate(t.Context(), m, prompt, opt); err != nil || text != "</s></s></s></s></s>" {
		t.Errorf("with special tokens: %q %v", text, err)
	}
}

// spell returns options that make the model say exactly text, byte by byte, over and over: penalties on
// what was said and falling biases put the bytes in order.
func spelled(t *testing.T, m *tenon.Model, bytes string) sample.Params {
	t.Helper()
	bias := map[int32]float32{}
	for i := range len(bytes) {
		id, ok := m.Tokenizer().ID("<0x" + strings.ToUpper(hex(bytes[i])) + ">")
		if !ok || bias[id] != 0 {
			t.Fatalf("byte %#x is no token, or there twice", bytes[i])
		}
		bias[id] = 1e6 - 1e4*float32(i)
	}
	return sample.Params{LogitBias: bias, PresencePenalty: 1e7, PenaltyLastN: len(bytes)}
}

func hex(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}

func TestGenerateStopsAtStrings(t *testing.T) {
	m := open(t, tinymodel.Config{})
	const said = "abcd€fghijkl"
	for _, c := range []struct {
		stop   []string
		want   string
		finish tenon.Finish
	}{
		{nil, said, tenon.FinishLength},
		{[]string{"x", ""}, said, tenon.FinishLength},
		{[]string{"h"}, "abcd€fg", tenon.FinishStop},
		{[]string{"fghi"}, "abcd€", tenon.FinishStop},
		{[]string{"€"}, "abcd", tenon.FinishStop},
		{[]string{"d€f"}, "abc", tenon.FinishStop},
		{[]string{"abcd€fghijkl"}, "", tenon.FinishStop},
		{[]string{"klm", "ijkx", "fghijkl+"}, said, tenon.FinishLength}, // held back and never complete
		{[]string{"hij", "ghi"}, "abcd€f", tenon.FinishStop},
		{[]string{"ij", "j"}, "abcd€fgh", tenon.FinishStop},
		{[]string{"a"}, "", tenon.FinishStop},
	} {
		opt := tenon.GenerateOptions{MaxTokens: len(said), Stop: c.stop, Sampling: spelled(t, m, said), Stats: new(tenon.Stats)}
		text, _, err := generate(t.Context(), m, "Q", opt)
		if err != nil || text != c.want || opt.Stats.Finish != c.finish {
			t.Errorf("stop at %q: %q, %v, %+v, want %q", c.stop, text, err, opt.Stats, c.want)
		}
	}
}

// Each piece of text is whole characters, and half a character at the end is not lost.
func TestGenerateGivesWholeCharacters(t *testing.T) {
	m := open(t, tinymodel.Config{})
	for n, want := range map[int][]string{3: {"", "", "€"}, 2: {"", "\ufffd"}} {
		var pieces []string
		for tok, err := range m.Generate(t.Context(), "Q", tenon.GenerateOptions{MaxTokens: n, Sampling: spelled(t, m, "€")}) {
			if err != nil {
				t.Fatal(err)
			}
			pieces = append(pieces, tok.Text)
		}
		if !slices.Equal(pieces, want) {
			t.Errorf("%d bytes: %q, want %q", n, pieces, want)
		}
	}
	// What is held back when the model ends comes as a piece without a token.
	eos, _ := m.Tokenizer().EOS()
	p := spelled(t, m, "€ab")
	p.LogitBias[eos] = 1e6 - 4.5e4
	var last tenon.Token
	opt := tenon.GenerateOptions{MaxTokens: 9, Stop: []string{"bc"}, Sampling: p, Stats: new(tenon.Stats)}
	for tok, err := range m.Generate(t.Context(), "Q", opt) {
		if err != nil {
			t.Fatal(err)
		}
		last = tok
	}
	if last != (tenon.Token{ID: -1, Text: "b"}) || opt.Stats.Finish != tenon.FinishEnd || opt.Stats.Tokens != 5 {
		t.Errorf("%+v, %+v", last, opt.Stats)
	}
}

func TestGenerateFullContext(t *testing.T) {
	m := open(t, tinymodel.Config{}, tenon.WithContext(40))
	opt := tenon.GenerateOptions{IgnoreEOS: true, Stats: new(tenon.Stats)}
	_, ids, err := generate(t.Context(), m, "abc", opt)
	// The last token needs no cell: nothing follows it.
	if want := 40 - opt.Stats.PromptTokens + 1; err != nil || len(ids) != want || opt.Stats.Finish != tenon.FinishLength {
		t.Errorf("%d tokens, want %d, %v, %+v", len(ids), want, err, opt.Stats)
	}
	fits := len(ids)
	opt.MaxTokens = fits
	if _, ids, err = generate(t.Context(), m, "abc", opt); err != nil || len(ids) != fits {
		t.Errorf("a limit that just fits: %d tokens, %v", len(ids), err)
	}
	opt.MaxTokens = fits + 1
	if _, ids, err = generate(t.Context(), m, "abc", opt); !errors.Is(err, kv.ErrFull) || len(ids) != fits || opt.Stats.Finish != "" {
		t.Errorf("a limit beyond the context: %d tokens, %v, %+v", len(ids), err, opt.Stats)
	}
	for _, limit := range []int{0, 1} {
		opt.MaxTokens = limit
		if _, ids, err = generate(t.Context(), m, strings.Repeat("q", 60), opt); !errors.Is(err, kv.ErrFull) || len(ids) != 0 {
			t.Errorf("a prompt beyond the context: %d tokens, %v", len(ids), err)
		}
	}
	if n := used(m); n != 0 {
		t.Errorf("%d cells are in use after all", n)
	}
}

func TestGenerateRefuses(t *testing.T) {
	m := open(t, tinymodel.Config{})
	for name, c := range map[string]struct {
		prompt string
		opt    tenon.GenerateOptions
		want   error
	}{
		"an empty prompt":         {"", tenon.GenerateOptions{}, tenon.ErrEmpty},
		"fewer than no tokens":    {"a", tenon.GenerateOptions{MaxTokens: -1}, engine.ErrOption},
		"a stop within character": {"a", tenon.GenerateOptions{Stop: []string{"\xa9"}}, engine.ErrOption},
		"an impossible sampler":   {"a", tenon.GenerateOptions{Sampling: sample.Params{TopP: 2}}, sample.ErrParam},
		"a bias beyond all":       {"a", tenon.GenerateOptions{Sampling: sample.Params{LogitBias: map[int32]float32{320: 1}}}, sample.ErrParam},
	} {
		calls := 0
		for tok, err := range m.Generate(t.Context(), c.prompt, c.opt) {
			calls++
			if !errors.Is(err, c.want) || tok != (tenon.Token{}) {
				t.Errorf("%s: %+v, %v", name, tok, err)
			}
		}
		if calls != 1 {
			t.Errorf("%s: the error came %d times", name, calls)
		}
	}
}

func TestGenerateParsesSpecialTokensIfAsked(t *testing.T) {
	m := open(t, tinymodel.Config{})
	n := func(parse bool) int {
		opt := tenon.GenerateOptions{MaxTokens: 1, ParseSpecial: parse, Stats: new(tenon.Stats), IgnoreEOS: true}
		if _, _, err := generate(t.Context(), m, "a</s>", opt); err != nil {
			t.Fatal(err)
		}
		return opt.Stats.PromptTokens
	}
	if plain, parsed := n(false), n(true); parsed != plain-3 {
		t.Errorf("%d tokens, %d with the end parsed", plain, parsed)
	}
}

func TestLeavingTheLoopFreesTheSequence(t *testing.T) {
	m := open(t, tinymodel.Config{})
	want, _, err := generate(t.Context(), m, prompt, tenon.GenerateOptions{MaxTokens: 8, IgnoreEOS: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for range m.Generate(t.Context(), prompt, tenon.GenerateOptions{IgnoreEOS: true}) {
			if used(m) == 0 {
				t.Error("the sequence is freed within the loop")
			}
			break
		}
		func() {
			defer func() { _ = recover() }()
			for range m.Generate(t.Context(), prompt, tenon.GenerateOptions{IgnoreEOS: true}) {
				panic("out of the loop")
			}
		}()
		if n := used(m); n != 0 {
			t.Errorf("%d cells stay in use", n)
		}
	}
	if text, _, err := generate(t.Context(), m, prompt, tenon.GenerateOptions{MaxTokens: 8, IgnoreEOS: true}); err != nil || text != want {
		t.Errorf("afterwards: %q, %v, want %q", text, err, want)
	}
}

func TestCancelledGenerate(t *testing.T) {
	m := open(t, tinymodel.Config{})
	reason := errors.New("the user has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	tokens := 0
	var last error
	for _, err := range m.Generate(ctx, prompt, tenon.GenerateOptions{IgnoreEOS: true}) {
		if last = err; err == nil {
			if tokens++; tokens == 5 {
				cancel(reason)
			}
		}
	}
	if tokens != 5 || !errors.Is(last, context.Canceled) || !errors.Is(last, reason) {
		t.Errorf("%d tokens, then %v", tokens, last)
	}
	if _, _, err := generate(ctx, m, prompt, tenon.GenerateOptions{}); !errors.Is(err, reason) {
		t.Errorf("cancelled before: %v", err)
	}
	if _, err := m.Embed(ctx, prompt); !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
		t.Errorf("Embed: %v", err)
	}
	if n := used(m); n != 0 {
		t.Errorf("%d cells stay in use", n)
	}
	// A call that waits for its turn is cancelled as well.
	for range m.Generate(t.Context(), prompt, tenon.GenerateOptions{IgnoreEOS: true}) {
		short, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, _, err := generate(short, m, prompt, tenon.GenerateOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while waiting: %v", err)
		}
		stop()
		break
	}
	if _, _, err := generate(t.Context(), m, prompt, tenon.GenerateOptions{MaxTokens: 1}); err != nil {
		t.Error(err)
	}
}

func TestManyTextsAtOnce(t *testing.T) {
	alone := open(t, tinymodel.Config{})
	m := open(t, tinymodel.Config{}, tenon.WithContext(400), tenon.WithSequences(3), tenon.WithBatch(4))
	prompts := []string{"Once upon a time", "a", "The other thing is", "3 + 4 =", prompt, "€", "the the the"}
	want := make([]string, len(prompts))
	vectors := make([][]float32, len(prompts))
	opt := func(i int) tenon.GenerateOptions {
		return tenon.GenerateOptions{MaxTokens: 20, IgnoreEOS: true, Sampling: nonsense(uint64(i))}
	}
	for i, p := range prompts {
		var err error
		if want[i], _, err = generate(t.Context(), alone, p, opt(i)); err != nil {
			t.Fatal(err)
		}
		if vectors[i], err = alone.Embed(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i, p := range prompts {
		wg.Go(func() {
			got, _, err := generate(t.Context(), m, p, opt(i))
			if err != nil || got != want[i] {
				t.Errorf("%q: %q, %v, want %q", p, got, err, want[i])
			}
		})
		wg.Go(func() {
			v, err := m.Embed(t.Context(), p)
			if d := away(v, vectors[i]); err != nil || d > 1e-4 {
				t.Errorf("%q: its embedding is off by %g, %v", p, d, err)
			}
		})
	}
	wg.Wait()
	if n := used(m); n != 0 {
		t.Errorf("%d cells are in use after all", n)
	}
}

func TestCloseWhileGenerating(t *testing.T) {
	m := open(t, tinymodel.Config{Context: 4096}, tenon.WithSequences(2))
	began := make(chan struct{}, 4)
	results := make(chan error, 4)
	for range 4 { // two of them wait
		go func() {
			first := true
			var last error
			for _, err := range m.Generate(context.Background(), prompt, tenon.GenerateOptions{IgnoreEOS: true}) {
				if last = err; first {
					first = false
					began <- struct{}{}
				}
			}
			results <- last
		}()
	}
	<-began
	<-began
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for range 4 {
		select {
		case err := <-results:
			if !errors.Is(err, tenon.ErrClosed) {
				t.Errorf("a call ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a call does not end")
		}
	}
}
