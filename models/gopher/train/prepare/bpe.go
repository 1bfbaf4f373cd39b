package main

import (
	"container/heap"
	"fmt"
	"sort"
	"unicode"
	"unicode/utf8"

	"github.com/tenon-go/tenon/gguf"
)

// eachWord calls f with the pieces that merges do not cross, as the qwen2 pre-tokenizer cuts them.
// Only the counts depend on it: the tokenizer itself decides in the end.
func eachWord(text []byte, f func([]byte)) {
	for len(text) > 0 {
		n := wordLen(text)
		f(text[:n])
		text = text[n:]
	}
}

func wordLen(p []byte) int {
	r, n := utf8.DecodeRune(p)
	next := func(i int) (rune, int) { return utf8.DecodeRune(p[i:]) }
	letters := func(i int) int {
		for i < len(p) {
			r, n := next(i)
			if !unicode.IsLetter(r) {
				break
			}
			i += n
		}
		return i
	}
	if unicode.IsLetter(r) {
		return letters(0)
	}
	if r != '\n' && r != '\r' && !unicode.IsNumber(r) && n < len(p) {
		if r2, _ := next(n); unicode.IsLetter(r2) {
			return letters(n)
		}
	}
	if unicode.IsNumber(r) {
		return n
	}
	// One space and punctuation, with the line ends after it.
	i := 0
	if r == ' ' {
		i = 1
	}
	j := i
	for j < len(p) {
		r, n := next(j)
		if unicode.IsSpace(r) || unicode.IsLetter(r) || unicode.IsNumber(r) {
			break
		}
		j += n
	}
	if j > i {
		for j < len(p) && (p[j] == '\n' || p[j] == '\r') {
			j++
		}
		return j
	}
	// White space: up to the last line end in it, or all but its last character.
	end, line, last := 0, 0, 0
	for end < len(p) {
		r, n := next(end)
		if !unicode.IsSpace(r) {
			break
		}
		last = end
		end += n
		if r == '\n' || r == '\r' {
			line = end
		}
	}
	switch {
	case line > 0:
		return line
	case end < len(p) && last > 0:
		return last
	}
	return max(end, n)
}

// word is a distinct piece, as symbols.
type word struct {
	symbols []int32
	count   int
}

type pair struct{ a, b int32 }

type queued struct {
	pair
	count int
}

type queue []queued

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].count != q[j].count {
		return q[i].count > q[j].count
	}
	return q[i].a < q[j].a || q[i].a == q[j].a && q[i].b < q[j].b
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(queued)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// trainBPE returns n merges, the most frequent pair first. Symbols 0 to 255 are bytes, 256+i is the
// result of merge i.
func trainBPE(counts map[string]int, n int) []pair {
	texts := make([]string, 0, len(counts))
	for t := range counts {
		texts = append(texts, t)
	}
	sort.Strings(texts) // so that the result does not depend on the map's order
	words := make([]word, len(texts))
	pairs := map[pair]int{}
	where := map[pair]map[int32]struct{}{}
	note := func(p pair, w int32, count int) {
		pairs[p] += count
		if count > 0 {
			if where[p] == nil {
				where[p] = map[int32]struct{}{}
			}
			where[p][w] = struct{}{}
		}
	}
	for i, t := range texts {
		w := word{count: counts[t]}
		for _, b := range []byte(t) {
			w.symbols = append(w.symbols, int32(b))
		}
		words[i] = w
		for j := 1; j < len(w.symbols); j++ {
			note(pair{w.symbols[j-1], w.symbols[j]}, int32(i), w.count)
		}
	}
	var q queue
	for p, c := range pairs {
		q = append(q, queued{p, c})
	}
	heap.Init(&q)
	var merges []pair
	for len(merges) < n && len(q) > 0 {
		best := heap.Pop(&q).(queued)
		if c := pairs[best.pair]; c != best.count {
			if c > 0 {
				heap.Push(&q, queued{best.pair, c}) // the count was out of date
			}
			continue
		}
		id := int32(256 + len(merges))
		merges = append(merges, best.pair)
		changed := map[pair]struct{}{}
		for wi := range where[best.pair] {
			w := &words[wi]
			for j := 1; j < len(w.symbols); j++ {
				note(pair{w.symbols[j-1], w.symbols[j]}, wi, -w.count)
			}
			w.symbols = merge(w.symbols, best.pair, id)
			for j := 1; j < len(w.symbols); j++ {
				p := pair{w.symbols[j-1], w.symbols[j]}
				note(p, wi, w.count)
				changed[p] = struct{}{}
			}
		}
		delete(where, best.pair)
		delete(pairs, best.pair)
		for p := range changed {
			heap.Push(&q, queued{p, pairs[p]})
		}
	}
	return merges
}

func merge(s []int32, p pair, id int32) []int32 {
	out := s[:0]
	for i := 0; i < len(s); i++ {
		if i+1 < len(s) && s[i] == p.a && s[i+1] == p.b {
			out = append(out, id)
			i++
		} else {
			out = append(out, s[i])
		}
	}
	return out
}

// Vocabulary puts the vocabulary into a model's metadata, in the form of byte-level BPE.
func Vocabulary(meta *gguf.Metadata, merges []pair) {
	text := make([]string, 256, vocabSize)
	for b := range text {
		text[b] = string(byteRune(byte(b)))
	}
	lines := make([]string, len(merges))
	for i, m := range merges {
		lines[i] = fmt.Sprintf("%s %s", text[m.a], text[m.b])
		text = append(text, text[m.a]+text[m.b])
	}
	types := make([]int32, len(text), len(text)+1)
	for i := range types {
		types[i] = 1 // normal
	}
	text, types = append(text, endOfText), append(types, 3) // control
	end := uint32(len(text) - 1)
	meta.Set("tokenizer.ggml.model", gguf.ValueOf("gpt2"))
	meta.Set("tokenizer.ggml.pre", gguf.ValueOf("qwen2"))
	meta.Set("tokenizer.ggml.tokens", gguf.ArrayOf(text))
	meta.Set("tokenizer.ggml.token_type", gguf.ArrayOf(types))
	meta.Set("tokenizer.ggml.merges", gguf.ArrayOf(lines))
	meta.Set("tokenizer.ggml.bos_token_id", gguf.ValueOf(end))
	meta.Set("tokenizer.ggml.eos_token_id", gguf.ValueOf(end))
	meta.Set("tokenizer.ggml.add_bos_token", gguf.ValueOf(true))
}

// byteRune returns the printable character that stands for a byte in byte-level BPE.
func byteRune(b byte) rune {
	n := rune(256)
	for c := range 256 {
		printable := c >= '!' && c <= '~' || c >= 0xa1 && c <= 0xac || c >= 0xae
		if c == int(b) {
			if printable {
				return rune(c)
			}
			return n
		}
		if !printable {
			n++
		}
	}
	panic("unreachable")
}
