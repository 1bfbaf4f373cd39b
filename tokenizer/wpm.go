package tokenizer

import (
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"
)

// wpm is what a WPM vocabulary needs to encode. Its tokens that start a word begin with U+2581.
type wpm struct {
	lengths      []int // in bytes, of the texts of tokens, the longest first
	lowercase    bool
	stripAccents bool
}

func (t *Tokenizer) loadWPM(r *reader) {
	w := &wpm{lowercase: r.bool(keyLowercase, true)}
	w.stripAccents = r.bool(keyStripAccents, w.lowercase)
	for _, text := range t.texts {
		w.lengths = append(w.lengths, len(text))
	}
	slices.Sort(w.lengths)
	w.lengths = slices.Compact(w.lengths)
	slices.Reverse(w.lengths)
	t.wpm = w
}

// encodeWPM appends the tokens of plain text.
func (t *Tokenizer) encodeWPM(dst []int32, sc *scratch, text string) []int32 {
	sc.text = appendNormalized(sc.text[:0], text)
	sc.word = append(sc.word[:0], escapedSpace...)
	s := sc.text
	for i := 0; i < len(s); {
		r, n := runeAt(s, i)
		i += n
		if t.wpm.stripAccents {
			r = baseRune(r)
		}
		c := classOf(r)
		switch {
		case c&space != 0:
			dst = t.flushWord(dst, sc)
			continue
		case r == 0 || r == utf8.RuneError || c&control != 0:
			continue
		case t.wpm.stripAccents && c&mark != 0:
			continue
		}
		alone := c&punct != 0 || r < 0x7F && c&symbol != 0 || isBERTHan(r)
		if alone {
			dst = t.flushWord(dst, sc)
		}
		if t.wpm.lowercase {
			r = unicode.ToLower(r)
		}
		sc.word = utf8.AppendRune(sc.word, r)
		if alone {
			dst = t.flushWord(dst, sc)
		}
	}
	return t.flushWord(dst, sc)
}

// flushWord appends the tokens of the word collected in sc, if there is one, and starts the next.
func (t *Tokenizer) flushWord(dst []int32, sc *scratch) []int32 {
	word := sc.word
	sc.word = sc.word[:len(escapedSpace)]
	if len(word) == len(escapedSpace) {
		return dst
	}
	slot := t.cache.slot(word)
	dst, ok := cacheLookup(slot, dst, word)
	if !ok {
		start := len(dst)
		dst = t.coverWord(dst, word)
		cacheStore(slot, word, dst[start:])
	}
	return dst
}

// coverWord appends the tokens that cover word, each the longest that fits, or the unknown token if they
// do not cover all of it.
func (t *Tokenizer) coverWord(dst []int32, word []byte) []int32 {
	start := len(dst)
	for len(word) > 0 {
		lengths := t.wpm.lengths
		first := sort.Search(len(lengths), func(i int) bool { return lengths[i] <= len(word) })
		found := false
		for _, n := range lengths[first:] {
			if id, ok := t.ids.find(word[:n]); ok {
				dst = append(dst, id)
				word = word[n:]
				found = true
				break
			}
		}
		if !found {
			return append(dst[:start], t.special[UNK])
		}
	}
	return dst
}

// isBERTHan says whether r is a word of its own in BERT. One block begins later than Unicode's: so it does
// in the tokenizer that the models were trained with.
func isBERTHan(r rune) bool {
	return isHan(r) && (r < 0x2B820 || r >= 0x2B920) && (r <= 0x2CEAF || r >= 0x2F800)
}

// baseRune returns the first character of the canonical decomposition of r: its base letter. llama.cpp
// drops the rest, and so keeps only the first consonant of a Hangul syllable.
func baseRune(r rune) rune {
	if r < 0xC0 {
		return r
	}
	if 0xAC00 <= r && r < 0xD7A4 {
		return 0x1100 + (r-0xAC00)/588
	}
	if base, ok := loadBases()[r]; ok {
		return base
	}
	return r
}
