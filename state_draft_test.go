package tenon_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/models/gopher"
	"github.com/tenon-go/tenon/sample"
)

// drafted is a model that can be opened with each kind of draft.
type drafted struct {
	name   string
	target []byte
	draft  []tenon.Option
	sure   bool // the draft is right now and then
	always bool // a state that was saved with the draft needs it
}

func draftedModels(t *testing.T) []drafted {
	fixed := func(kind string) tenon.Option {
		return tenon.WithSpec(tenon.SpecOptions{Types: []string{kind}, Fixed: true})
	}
	shared, mtp := sharedPair()
	llama, nextn := tinymodel.Bytes(t, tinymodel.Config{}), tinymodel.Bytes(t, tinymodel.Qwen35(tinymodel.Config{}))
	return []drafted{
		{"ngram", llama, []tenon.Option{fixed(tenon.DraftNGram)}, true, false},
		{"simple", llama, []tenon.Option{tenon.WithDraftData("same", llama), fixed(tenon.DraftSimple)}, true, false},
		{"shared", tinymodel.Bytes(t, shared), []tenon.Option{tenon.WithDraftData("mtp", tinymodel.Bytes(t, mtp)), fixed(tenon.DraftMTP)}, false, false},
		{"nextn", nextn, []tenon.Option{fixed(tenon.DraftMTP)}, false, true}, // it has more states to go back to
		{"gopher", gopher.Target, []tenon.Option{tenon.WithDraftData("gopher-mtp", gopher.Draft), fixed(tenon.DraftMTP)}, true, false},
	}
}

// TestDraftedTextGoesOn: a text in parts, each saved by a model with or without its draft, is the text in one. Stop
// strings end parts within what a draft has guessed.
func TestDraftedTextGoesOn(t *testing.T) {
	for _, d := range draftedModels(t) {
		t.Run(d.name, func(t *testing.T) {
			open := func(options ...tenon.Option) *tenon.Model {
				m, err := tenon.OpenData(d.name, d.target, append(options, tenon.WithContext(256))...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { m.Close() })
				return m
			}
			plain, with := open(), open(d.draft...)
			for _, sampling := range []sample.Params{{}, {Temperature: 0.7, RepeatPenalty: 1.1, PenaltyLastN: 16, Seed: 3}} {
				opt := tenon.GenerateOptions{MaxTokens: 60, IgnoreEOS: true, Sampling: sampling}
				var whole []int32
				var texts []string
				for tok, err := range plain.Generate(t.Context(), prompt, opt) {
					if err != nil {
						t.Fatal(err)
					}
					if tok.ID >= 0 {
						whole, texts = append(whole, tok.ID), append(texts, tok.Text)
					}
				}
				var got []int32
				var state []byte
				right, ahead, waited := 0, 0, 0 // guesses that were right; tokens that are chosen and not given out
				text := prompt
				for part := 0; len(got) < len(whole); part++ {
					m := with
					if part%3 == 2 && !d.always {
						m = plain
					}
					var stats tenon.Stats
					opt.MaxTokens, opt.Stats, opt.Stop = min(14, len(whole)-len(got)), &stats, nil
					if at := len(got) + 1 + part%4; at+8 < len(whole) {
						opt.Stop = texts[at : at+1] // ends the part there or earlier, wherever the round ends
					}
					if part > 0 {
						opt.Restore = bytes.NewReader(state)
					}
					var ids []int32
					ids, state = savedText(t, m, text, opt)
					got = append(got, ids...)
					if stats.Spec == nil {
						ahead = max(0, ahead-len(ids))
						continue
					}
					ahead += stats.Spec.Tokens() - len(ids)
					if text != "" { // the prompt gives a token without a round
						ahead++
					}
					text = ""
					right, waited = right+stats.Spec.Accepted, waited+ahead
				}
				if !slices.Equal(got, whole) {
					t.Errorf("in parts %v, in one %v", got, whole)
				}
				t.Logf("%d guesses were right, %d tokens waited in a file", right, waited)
				if d.sure && sampling.Temperature == 0 && (right == 0 || waited == 0) {
					t.Error("nothing is tested")
				}
			}
		})
	}
}
