package tokenizer

import (
	"math"
	"slices"
	"unicode/utf8"
)

// escapedSpace stands for a space in vocabularies that are not byte-level: U+2581.
const escapedSpace = "▁"

// spm is what an SPM vocabulary needs to encode.
type spm struct {
	ids    *textTable
	order  []uint32 // by id: merges go by falling score
	ofByte [256]int32
}

func (t *Tokenizer) loadSPM(r *reader) {
	scores := r.scores(len(t.texts))
	if r.err != nil {
		return
	}
	if !r.meta.Has(keyScores) {
		t.note("%s is missing: all scores are taken as 0, so that merges go from left to right", keyScores)
	}
	s := &spm{ids: &t.ids, order: make([]uint32, len(scores))}
	for id, score := range scores {
		s.order[id] = fallingOrder(score)
	}
	for i := range s.ofByte {
		s.ofByte[i] = none
		if id, ok := t.ids.get(byteName(byte(i))); ok {
			s.ofByte[i] = id
		} else if id, ok := t.ids.find([]byte{byte(i)}); ok {
			s.ofByte[i] = id
		}
	}
	t.joins = newJoinSet()
	for _, text := range t.texts {
		t.joins.addText(text)
	}
	t.spm = s
	t.loadOne()
}

// fallingOrder maps a score to an integer that is lower the higher the score. Both zeros are one score.
func fallingOrder(score float32) uint32 {
	u := math.Float32bits(score + 0)
	if u>>31 == 0 {
		return ^(u | 1<<31)
	}
	return u
}

// rank implements pairRanker: what is a token together may merge.
func (s *spm) rank(word []byte, x, y *part) (uint32, int32) {
	if id, ok := s.ids.find(word[x.lo:y.hi]); ok {
		return s.order[id], id
	}
	return noRank, none
}

// encodeSPM appends the tokens of plain text, with a space before it if prefix is set.
func (t *Tokenizer) encodeSPM(dst []int32, sc *scratch, text string, prefix bool) ([]int32, error) {
	sc.text = sc.text[:0]
	if prefix {
		sc.text = append(sc.text, escapedSpace...)
	}
	sc.text = appendEscaped(sc.text, text)
	return t.encodeJoined(dst, sc, sc.text)
}

func (t *Tokenizer) encodeSPMWord(dst []int32, sc *scratch, word []byte) ([]int32, error) {
	sc.syms = appendChars(sc.syms[:0], word)
	for _, p := range mergeParts(sc, t.spm, word, sc.syms) {
		if p.id == none {
			if id, ok := t.ids.find(word[p.lo:p.hi]); ok {
				p.id = id
			}
		}
		if p.id != none {
			dst = append(dst, p.id)
			continue
		}
		for _, c := range word[p.lo:p.hi] {
			id := t.spm.ofByte[c]
			if id == none {
				id = t.special[UNK]
			}
			if id == none {
				return dst, &NoTokenError{Byte: c}
			}
			dst = append(dst, id)
		}
	}
	return dst, nil
}

// appendEscaped appends text with every space as U+2581.
func appendEscaped[T string | []byte](dst []byte, text T) []byte {
	for i := range len(text) {
		if c := text[i]; c == ' ' {
			dst = append(dst, escapedSpace...)
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// appendChars appends a part for each character of word.
func appendChars(parts []part, word []byte) []part {
	parts = slices.Grow(parts, utf8.RuneCount(word))
	for i := 0; i < len(word); {
		n := min(charLen(word[i]), len(word)-i)
		parts = append(parts, part{lo: int32(i), hi: int32(i + n), id: none})
		i += n
	}
	return parts
}
