package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// bpe is what a BPE vocabulary needs to encode. Its symbols are the tokens, and after them texts that are no
// token and occur in merges all the same.
type bpe struct {
	pre    preTokenizer
	merges pairTable

	extra    []string         // texts of the symbols after the tokens
	extraIDs map[string]int32 // symbols by text

	byteSymbol [256]int32 // the symbol of each byte, unless the vocabulary is in raw UTF-8
	ofByte     [256]int32 // the token for a byte of a text that is no token, none to leave it out
}

// byteRunes is the alphabet of byte-level BPE: the character that stands for each byte. Bytes that print
// stand for themselves, the others for U+0100 and what follows.
var byteRunes = func() (runes [256]rune) {
	next := rune(0x100)
	for b := range runes {
		switch {
		case '!' <= b && b <= '~', 0xA1 <= b && b <= 0xAC, 0xAE <= b:
			runes[b] = rune(b)
		default:
			runes[b] = next
			next++
		}
	}
	return runes
}()

// runeBytes is the way back from byteRunes: the byte plus one, 0 for what stands for none.
var runeBytes = func() (m [0x180]uint16) {
	for b, r := range byteRunes {
		m[r] = uint16(b) + 1
	}
	return m
}()

func (t *Tokenizer) loadBPE(r *reader, pre preTokenizer) {
	b := &bpe{pre: pre, extraIDs: make(map[string]int32)}
	t.bpe = b
	if !r.meta.Has(keyMerges) && t.pre != "kimi-k2" {
		r.fail(keyMerges, "no such key", "an array of strings")
	}
	merges := readKey(r, keyMerges, r.meta.Strings, nil)
	if r.err == nil && len(merges) > math.MaxInt32 {
		r.fail(keyMerges, fmt.Sprintf("%d merges", len(merges)), fmt.Sprintf("at most %d", math.MaxInt32))
	}
	if r.err != nil {
		return
	}
	if pre.rawUTF8 {
		t.joins = newJoinSet()
	}
	t.loadMerges(merges)
	for i := range 256 {
		b.byteSymbol[i] = none
		if s, ok := t.symbol(string(byteRunes[i])); ok {
			b.byteSymbol[i] = s
		}
		name := string([]byte{byte(i)})
		if pre.rawUTF8 {
			name = byteName(byte(i))
		}
		b.ofByte[i] = none
		if id, ok := t.ids.get(name); ok {
			b.ofByte[i] = id
		}
	}
	if pre.rawUTF8 {
		t.loadOne()
	}
}

// byteName is the text of the token of a byte where the vocabulary is not byte-level.
func byteName(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// symbol returns the symbol whose text is text.
func (t *Tokenizer) symbol(text string) (int32, bool) {
	if id, ok := t.ids.get(text); ok {
		return id, true
	}
	id, ok := t.bpe.extraIDs[text]
	return id, ok
}

// intern returns the symbol whose text is text, a new one if need be.
func (t *Tokenizer) intern(text string) int32 {
	if id, ok := t.symbol(text); ok {
		return id
	}
	id := int32(len(t.texts) + len(t.bpe.extra))
	t.bpe.extra = append(t.bpe.extra, text)
	t.bpe.extraIDs[text] = id
	return id
}

// rank implements pairRanker.
func (b *bpe) rank(_ []byte, x, y *part) (uint32, int32) {
	if x.id < 0 || y.id < 0 {
		return noRank, none
	}
	return b.merges.get(x.id, y.id)
}

// encodeBPE appends the tokens of plain text.
func (t *Tokenizer) encodeBPE(dst []int32, sc *scratch, text string) ([]int32, error) {
	sc.text = appendNormalized(sc.text[:0], text)
	s := sc.text
	if t.bpe.pre.rawUTF8 {
		sc.word = appendEscaped(sc.word[:0], s)
		sc.text, sc.word = sc.word, sc.text
		s = sc.text
	}
	sc.ends, sc.otherEnds = splitText(t.bpe.pre.passes, s, sc.ends, sc.otherEnds)
	lo := 0
	for _, hi := range sc.ends {
		word := s[lo:hi]
		lo = int(hi)
		if t.bpe.pre.rawUTF8 {
			var err error
			if dst, err = t.encodeLine(dst, sc, word); err != nil {
				return dst, err
			}
			continue
		}
		slot := t.cache.slot(word)
		var ok bool
		if dst, ok = cacheLookup(slot, dst, word); !ok {
			start := len(dst)
			dst = t.encodeByteWord(dst, sc, word)
			cacheStore(slot, word, dst[start:])
		}
	}
	return dst, nil
}

// encodeByteWord appends the tokens of a word of byte-level BPE.
func (t *Tokenizer) encodeByteWord(dst []int32, sc *scratch, word []byte) []int32 {
	b := t.bpe
	if b.pre.ignoreMerges {
		sc.word = sc.word[:0]
		for _, c := range word {
			sc.word = utf8.AppendRune(sc.word, byteRunes[c])
		}
		if id, ok := t.ids.find(sc.word); ok {
			return append(dst, id)
		}
	}
	parts := slices.Grow(sc.syms[:0], len(word))
	for i, c := range word {
		parts = append(parts, part{lo: int32(i), hi: int32(i + 1), id: b.byteSymbol[c]})
	}
	sc.syms = parts
	for _, p := range mergeParts(sc, b, word, parts) {
		if p.id >= 0 && int(p.id) < len(t.texts) {
			dst = append(dst, p.id)
			continue
		}
		// llama.cpp spells a symbol that is no token with the tokens of its bytes as encoded, and leaves out
		// those that have none.
		for _, c := range word[p.lo:p.hi] {
			sc.word = utf8.AppendRune(sc.word[:0], byteRunes[c])
			for _, e := range sc.word {
				if id := b.ofByte[e]; id != none {
					dst = append(dst, id)
				}
			}
		}
	}
	return dst
}

// encodeLine appends the tokens of a line, or a run of line ends, of BPE over raw UTF-8.
func (t *Tokenizer) encodeLine(dst []int32, sc *scratch, line []byte) ([]int32, error) {
	if t.bpe.pre.wholeLines && line[0] == '\n' {
		if id, ok := t.ids.find(line); ok {
			return append(dst, id), nil
		}
	}
	return t.encodeJoined(dst, sc, line)
}

// encodeRawWord appends the tokens of a word of BPE over raw UTF-8.
func (t *Tokenizer) encodeRawWord(dst []int32, sc *scratch, word []byte) []int32 {
	b := t.bpe
	sc.syms = appendChars(sc.syms[:0], word)
	for i := range sc.syms {
		p := &sc.syms[i]
		if id, ok := t.ids.find(word[p.lo:p.hi]); ok {
			p.id = id
		} else if id, ok := b.extraIDs[string(word[p.lo:p.hi])]; ok {
			p.id = id
		}
	}
	for _, p := range mergeParts(sc, b, word, sc.syms) {
		if p.id >= 0 && int(p.id) < len(t.texts) {
			dst = append(dst, p.id)
			continue
		}
		for _, c := range word[p.lo:p.hi] {
			if id := b.ofByte[c]; id != none {
				dst = append(dst, id)
			}
		}
	}
	return dst
}

// decodeBytes appends the bytes that a token of byte-level BPE stands for. A character outside the alphabet
// stands for itself: it comes from tokens that were added to the vocabulary as they are.
func decodeBytes(dst []byte, text string) []byte {
	for len(text) > 0 {
		if text[0] < utf8.RuneSelf { // as every ASCII character stands for itself
			dst = append(dst, text[0])
			text = text[1:]
			continue
		}
		r, n, ok := decodeLoose(text)
		if ok && int(r) < len(runeBytes) && runeBytes[r] != 0 && utf8.RuneLen(r) == n {
			dst = append(dst, byte(runeBytes[r]-1))
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}
