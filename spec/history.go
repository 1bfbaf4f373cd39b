package spec

// history is what a drafter knows of a sequence's tokens: those from position base on.
type history struct {
	base   int32
	tokens []int32
}

// commit adds tokens at pos. Where tokens in between are not known (they were copied from another
// sequence, say) it starts anew, and reports that.
func (h *history) commit(pos int32, tokens []int32) (anew bool) {
	if pos != h.end() {
		h.base, h.tokens, anew = pos, h.tokens[:0], true
	}
	h.tokens = append(h.tokens, tokens...)
	return anew
}

// truncate keeps the tokens before position n.
func (h *history) truncate(n int32) {
	if n <= h.base {
		h.base, h.tokens = n, h.tokens[:0]
		return
	}
	h.tokens = h.tokens[:min(int(n-h.base), len(h.tokens))]
}

// end returns the position after the last token.
func (h *history) end() int32 { return h.base + int32(len(h.tokens)) }

// shared returns how many leading tokens of a and b are equal, where the first n are known to be.
func shared(a, b []int32, n int) int {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
