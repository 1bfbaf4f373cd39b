package tokenizer

import "unicode/utf8"

// joinSet holds which characters may merge with the one that follows. Nothing merges across two that stand next to each
// other in no token, so that text can be cut there into words, and words can be remembered. What it holds may be more
// than is true: a text is then cut at fewer places.
type joinSet struct {
	ascii [utf8.RuneSelf]asciiSet // by the first character; U+2581 counts as 0
	other []uint64                // bits by hash of two characters that are not both in ascii
}

type asciiSet [2]uint64

// joinBits is the number of bits of joinSet.other. A vocabulary of Chinese and Japanese sets about a tenth of them.
const joinBits = 1 << 20

func newJoinSet() *joinSet { return &joinSet{other: make([]uint64, joinBits/64)} }

// char returns a number for the character that text begins with, and its length in bytes. Numbers below
// utf8.RuneSelf are places in joinSet.ascii.
func char[T string | []byte](text T) (c uint32, n int) {
	b := text[0]
	if b < utf8.RuneSelf {
		return uint32(b), 1
	}
	n = min(charLen(b), len(text))
	if n == 3 && text[0] == escapedSpace[0] && text[1] == escapedSpace[1] && text[2] == escapedSpace[2] {
		return 0, 3
	}
	for i := range n {
		c = c<<8 | uint32(text[i])
	}
	return c, n
}

// addText adds what stands next to each other in a token.
func (j *joinSet) addText(text string) {
	last, n := char(text)
	for text = text[n:]; text != ""; text = text[n:] {
		var c uint32
		c, n = char(text)
		j.add(last, c)
		last = c
	}
}

// addMerge adds what a merge of left and right joins.
func (j *joinSet) addMerge(left, right string) {
	last, n := char(left)
	for left = left[n:]; left != ""; left = left[n:] {
		last, n = char(left)
	}
	first, _ := char(right)
	j.add(last, first)
}

func (j *joinSet) add(a, b uint32) {
	if a|b < utf8.RuneSelf {
		j.ascii[a][b/64] |= 1 << (b % 64)
		return
	}
	bit := joinBit(a, b)
	j.other[bit/64] |= 1 << (bit % 64)
}

func (j *joinSet) has(a, b uint32) bool {
	if a|b < utf8.RuneSelf {
		return j.ascii[a][b/64]>>(b%64)&1 != 0
	}
	bit := joinBit(a, b)
	return j.other[bit/64]>>(bit%64)&1 != 0
}

func joinBit(a, b uint32) uint64 {
	return (uint64(a)<<32 | uint64(b)) * 0x9E3779B97F4A7C15 >> 40 % joinBits
}

// wordEnd returns the length of the first word of text.
func (j *joinSet) wordEnd(text []byte) int {
	last, n := char(text)
	for i := n; i < len(text); i += n {
		var c uint32
		if c, n = char(text[i:]); !j.has(last, c) {
			return i
		}
		last = c
	}
	return len(text)
}

// encodeJoined cuts text, in which spaces are U+2581, into words and appends their tokens.
func (t *Tokenizer) encodeJoined(dst []int32, sc *scratch, text []byte) ([]int32, error) {
	for len(text) > 0 {
		word := text[:t.joins.wordEnd(text)]
		text = text[len(word):]
		if len(word) == 1 && t.ofOne[word[0]] != none {
			dst = append(dst, t.ofOne[word[0]])
			continue
		}
		slot := t.cache.slot(word)
		var ok bool
		if dst, ok = cacheLookup(slot, dst, word); ok {
			continue
		}
		start := len(dst)
		var err error
		if dst, err = t.encodeWord(dst, sc, word); err != nil {
			return dst, err
		}
		cacheStore(slot, word, dst[start:])
	}
	return dst, nil
}

// encodeWord appends the tokens of a word of characters.
func (t *Tokenizer) encodeWord(dst []int32, sc *scratch, word []byte) ([]int32, error) {
	if t.kind == SPM {
		return t.encodeSPMWord(dst, sc, word)
	}
	return t.encodeRawWord(dst, sc, word), nil
}

// loadOne remembers the tokens of words of one byte, where that is one token.
func (t *Tokenizer) loadOne() {
	sc := new(scratch)
	for b := range t.ofOne {
		t.ofOne[b] = none
		if ids, err := t.encodeWord(nil, sc, []byte{byte(b)}); err == nil && len(ids) == 1 {
			t.ofOne[b] = ids[0]
		}
	}
}
