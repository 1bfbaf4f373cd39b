package spec

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNGram(t *testing.T) {
	ctx := context.Background()
	for _, tc := range []struct {
		name string
		opt  NGramOptions
		text []int32 // the last of them is not committed
		max  int
		want []int32
	}{
		{"the latest", NGramOptions{}, []int32{1, 2, 3, 1, 2, 4, 9, 1, 2}, 3, []int32{4, 9, 1}},
		{"the longest", NGramOptions{}, []int32{7, 1, 2, 3, 5, 1, 2, 4, 7, 1, 2}, 2, []int32{3, 5}},
		{"too short a match", NGramOptions{Min: 3}, []int32{1, 2, 5, 6, 1, 2}, 2, nil},
		{"a match of one", NGramOptions{Min: 1}, []int32{5, 8, 6, 5}, 2, []int32{8, 6}},
		{"a repetition", NGramOptions{}, []int32{1, 2, 1, 2, 1, 2}, 5, []int32{1, 2, 1, 2, 1}},
		{"one token again and again", NGramOptions{}, []int32{3, 3, 3}, 4, []int32{3, 3, 3, 3}},
		{"beyond the end", NGramOptions{}, []int32{1, 2, 3, 9, 1, 2, 3}, 6, []int32{9, 1, 2, 3, 9, 1}},
		{"no more than Len", NGramOptions{Len: 2}, []int32{1, 2, 1, 2, 1, 2}, 5, []int32{1, 2}},
		{"nothing", NGramOptions{}, []int32{1, 2, 3, 4}, 5, nil},
		{"one token", NGramOptions{}, []int32{1}, 5, nil},
	} {
		g := NewNGram(tc.opt)
		n := len(tc.text) - 1
		g.Truncate(0, 0)
		for i, id := range tc.text[:n] { // one by one, with a draft after each
			if err := g.Commit(ctx, []Commit{{Seq: 0, Pos: int32(i), Tokens: []int32{id}}}); err != nil {
				t.Fatal(err)
			}
			r := &Request{Pos: int32(i + 1), Last: tc.text[i+1], Max: tc.max}
			if err := g.Draft(ctx, []*Request{r}); err != nil {
				t.Fatal(err)
			}
			if i == n-1 && !slices.Equal(r.Guesses, tc.want) {
				t.Errorf("%s: %v, want %v", tc.name, r.Guesses, tc.want)
			}
		}
	}
}

// TestNGramAgainstSearch compares with a search through the whole text, over random texts that go back and
// on, in two sequences.
func TestNGramAgainstSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	ctx := context.Background()
	opt := NGramOptions{Min: 2, Max: 5}
	hits := 0
	for range 50 {
		g := NewNGram(opt)
		var texts [2][]int32
		for range 60 {
			seq := int32(r.IntN(2))
			text := &texts[seq]
			if r.IntN(8) == 0 {
				*text = (*text)[:r.IntN(len(*text)+1)]
				g.Truncate(seq, int32(len(*text)))
			}
			more := make([]int32, 1+r.IntN(5))
			for i := range more {
				more[i] = r.Int32N(3)
			}
			if err := g.Commit(ctx, []Commit{{Seq: seq, Pos: int32(len(*text)), Tokens: more}}); err != nil {
				t.Fatal(err)
			}
			*text = append(*text, more...)
			req := &Request{Seq: seq, Pos: int32(len(*text)), Last: r.Int32N(3), Max: 4}
			if err := g.Draft(ctx, []*Request{req}); err != nil {
				t.Fatal(err)
			}
			all := append(slices.Clone(*text), req.Last)
			if len(req.Guesses) == 0 {
				continue
			}
			hits++
			if !guessedFrom(all, req.Guesses, opt) {
				t.Fatalf("%v after %v", req.Guesses, all)
			}
		}
	}
	if hits < 1000 {
		t.Errorf("%d drafts", hits)
	}
}

// guessedFrom reports whether guesses is what follows some earlier place of the end of text.
func guessedFrom(text, guesses []int32, opt NGramOptions) bool {
	for n := opt.Max; n >= opt.Min; n-- {
		for at := n; at < len(text); at++ {
			if n < len(text) && slices.Equal(text[at-n:at], text[len(text)-n:]) {
				all := append(slices.Clone(text), guesses...)
				if slices.Equal(all[at:at+len(guesses)], guesses) {
					return true
				}
			}
		}
	}
	return false
}

// BenchmarkNGram looks up in a text of 65,536 tokens.
func BenchmarkNGram(b *testing.B) {
	g := NewNGram(NGramOptions{})
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]int32, 1<<16)
	for i := range text {
		text[i] = r.Int32N(1000)
	}
	ctx := context.Background()
	if err := g.Commit(ctx, []Commit{{Tokens: text}}); err != nil {
		b.Fatal(err)
	}
	req := []*Request{{Pos: int32(len(text)), Last: 5, Max: 4}}
	b.ReportAllocs()
	for b.Loop() {
		req[0].clear()
		if err := g.Draft(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}
