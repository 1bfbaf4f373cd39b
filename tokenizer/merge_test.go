package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// naiveMerge does by definition what mergeParts does fast: the lowest rank, then the leftmost, one by one.
func naiveMerge(tok *Tokenizer, word string) []int32 {
	var ids []int32
	for i := range len(word) {
		ids = append(ids, tok.bpe.byteSymbol[word[i]])
	}
	for {
		best, at, into := uint32(noRank), -1, int32(none)
		for i := 0; i+1 < len(ids); i++ {
			if rank, id := tok.bpe.merges.get(ids[i], ids[i+1]); rank < best {
				best, at, into = rank, i, id
			}
		}
		if at < 0 {
			return ids
		}
		ids = slices.Replace(ids, at, at+2, into)
	}
}

// randomMerges returns n merges over the letters a, b and c and what was merged before.
func randomMerges(rng *rand.Rand, n int) []string {
	symbols := []string{"a", "b", "c"}
	seen := map[string]bool{}
	var merges []string
	for len(merges) < n {
		l, r := symbols[rng.IntN(len(symbols))], symbols[rng.IntN(len(symbols))]
		if seen[l+r] || len(l+r) > 8 {
			continue
		}
		seen[l+r] = true
		merges = append(merges, l+" "+r)
		symbols = append(symbols, l+r)
	}
	rng.Shuffle(len(merges), func(i, j int) { merges[i], merges[j] = merges[j], merges[i] })
	return merges
}

// TestMergeAgainstDefinition covers short words, long ones, and the border between the two ways.
func TestMergeAgainstDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for range 20 {
		tok := bpeVocab("superbpe", randomMerges(rng, 40)...).build(t)
		for _, n := range []int{1, 2, 3, 7, shortWord - 1, shortWord, shortWord + 1, 60, 300} {
			word := make([]byte, n)
			for i := range word {
				word[i] = "abc"[rng.IntN(3)]
			}
			got, err := tok.Encode(string(word), EncodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if want := naiveMerge(tok, string(word)); !slices.Equal(got, want) {
				t.Fatalf("word %q:\n got %q\nwant %q", word, piecesOf(tok, got), piecesOf(tok, want))
			}
		}
	}
}

// TestLongWords: a megabyte without a space must take time about linear in its length.
func TestLongWords(t *testing.T) {
	for name, v := range map[string]*vocab{"SPM": spmVocab(), "BPE": bpeVocab("gpt-2", helloMerges...), "WPM": wpmVocab()} {
		tok := v.build(t)
		for _, unit := range []string{"hello", "l", " ", "日本", "\n", "\xff", "7"} {
			n := (1 << 20) / len(unit)
			text := strings.Repeat(unit, n)
			start := time.Now()
			ids, err := tok.Encode(text, EncodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			// Quadratic time would be minutes.
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s: %d times %q took %v for %d tokens", name, n, unit, d, len(ids))
			}
		}
	}
}

// TestJoinedWords: cutting SPM text into words must not change its tokens.
func TestJoinedWords(t *testing.T) {
	v := spmVocab()
	v.scored("o▁", -30) // joins
	v.scored("o▁w", -31)
	v.scored("lo▁w", -32)
	tok := v.build(t)
	for _, pair := range []struct {
		a, b string
		want bool
	}{{"o", "▁", true}, {"▁", "w", true}, {"l", "▁", false}, {"d", "h", false}, {"日", "é", false}} {
		a, _ := char(pair.a)
		b, _ := char(pair.b)
		if got := tok.joins.has(a, b); got != pair.want {
			t.Errorf("%q may join %q: %v, want %v", pair.a, pair.b, got, pair.want)
		}
	}
	testJoined(t, tok, tok.encodeSPMWord)
}

// TestJoinedRawWords is TestJoinedWords for BPE whose symbols are characters.
func TestJoinedRawWords(t *testing.T) {
	v := bpeVocab("gemma4", "▁ w", "o ▁", "l o", "h e", "he l", "lo ▁w", "▁ ▁", "é 日", "o r")
	tok := v.build(t)
	testJoined(t, tok, func(dst []int32, sc *scratch, word []byte) ([]int32, error) {
		return tok.encodeRawWord(dst, sc, word), nil
	})
}

func testJoined(t *testing.T, tok *Tokenizer, whole func(dst []int32, sc *scratch, word []byte) ([]int32, error)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	units := []string{"hello", "▁", "▁", "world", "o", "l", "lo", "é", "日", "\xe2", "\xf0", "w", "the"}
	for range 3000 {
		var b strings.Builder
		for range 1 + rng.IntN(12) {
			b.WriteString(units[rng.IntN(len(units))])
		}
		text := []byte(b.String())
		want, err := whole(nil, new(scratch), text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tok.encodeJoined(nil, new(scratch), text)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q (%v)", text, piecesOf(tok, got), piecesOf(tok, want), err)
		}
	}
}

func TestFallingOrder(t *testing.T) {
	scores := []float32{3e38, 7, 1.5, 1e-40, 0, -1e-40, -1.5, -7, -3e38}
	for i := range len(scores) - 1 {
		if fallingOrder(scores[i]) >= fallingOrder(scores[i+1]) {
			t.Errorf("%v does not go before %v", scores[i], scores[i+1])
		}
	}
	negativeZero := float32(0)
	negativeZero = -negativeZero * 1
	if fallingOrder(negativeZero) != fallingOrder(0) {
		t.Error("the two zeros differ")
	}
}

// TestWordCache: words that share a place in the cache do not take each other's tokens.
func TestWordCache(t *testing.T) {
	tok := bpeVocab("gpt-2", helloMerges...).build(t)
	fresh := bpeVocab("gpt-2", helloMerges...).build(t)
	rng := rand.New(rand.NewPCG(2, 9))
	words := make([]string, 3*cacheSlots)
	for i := range words {
		b := make([]byte, 1+rng.IntN(10))
		for k := range b {
			b[k] = byte('a' + rng.IntN(26))
		}
		words[i] = string(b)
		if _, err := tok.Encode(words[i], EncodeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range words[:2000] {
		got, err1 := tok.Encode(w, EncodeOptions{})
		want := fresh.encodeByteWord(nil, new(scratch), []byte(w))
		if err1 != nil || !slices.Equal(got, want) {
			t.Fatalf("%q: got %v, want %v (%v)", w, got, want, err1)
		}
	}
}
