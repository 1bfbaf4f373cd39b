package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is what the pre-tokenizers ask about a character: its Unicode major category and whether it is white
// space. Unassigned characters have no bit.
type class uint8

const (
	letter  class = 1 << iota // \p{L}
	number                    // \p{N}
	punct                     // \p{P}
	symbol                    // \p{S}
	mark                      // \p{M}
	control                   // \p{C} without the unassigned
	space                     // \s; such a character may have a category bit as well
)

// classes holds the class of every code point in two steps, so that pages that are alike are stored once.
var classes struct {
	index [(unicode.MaxRune + 1) / 256]uint16
	pages [][256]class
}

// unicode15_1 lists what Unicode 15.1 added to the 15.0 of the standard library.
var unicode15_1 = []struct {
	lo, hi rune
	c      class
}{
	{0x2FFC, 0x2FFF, symbol},
	{0x31EF, 0x31EF, symbol},
	{0x2EBF0, 0x2EE5D, letter},
}

// loadClasses builds the table on first use: 2 ms that programs without a tokenizer do not pay.
var loadClasses = sync.OnceFunc(func() {
	flat := make([]class, unicode.MaxRune+1)
	for c, table := range map[class]*unicode.RangeTable{
		letter: unicode.L, number: unicode.N, punct: unicode.P, symbol: unicode.S, mark: unicode.M, space: unicode.White_Space,
	} {
		addTable(flat, table, c)
	}
	for _, table := range []*unicode.RangeTable{unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs} {
		addTable(flat, table, control)
	}
	for _, x := range unicode15_1 {
		for r := x.lo; r <= x.hi; r++ {
			flat[r] |= x.c
		}
	}
	seen := make(map[[256]class]uint16)
	for i := range classes.index {
		page := [256]class(flat[i*256:])
		k, ok := seen[page]
		if !ok {
			k = uint16(len(classes.pages))
			seen[page] = k
			classes.pages = append(classes.pages, page)
		}
		classes.index[i] = k
	}
})

func addTable(flat []class, table *unicode.RangeTable, c class) {
	for _, x := range table.R16 {
		for r := uint32(x.Lo); r <= uint32(x.Hi); r += uint32(x.Stride) {
			flat[r] |= c
		}
	}
	for _, x := range table.R32 {
		for r := x.Lo; r <= x.Hi; r += x.Stride {
			flat[r] |= c
		}
	}
}

// classOf returns the class of r, none for the end of the text (-1).
func classOf(r rune) class {
	if uint32(r) > unicode.MaxRune {
		return 0
	}
	return classes.pages[classes.index[r>>8]][r&0xFF]
}

// runeAt returns the character at s[i:] and its length in bytes, or -1 and 0 at the end. s must come from
// appendNormalized: lengths are taken from the lead byte, so that surrogates pass.
func runeAt(s []byte, i int) (rune, int) {
	if i < len(s) && s[i] < utf8.RuneSelf {
		return rune(s[i]), 1
	}
	return runeAtSlow(s, i)
}

func runeAtSlow(s []byte, i int) (rune, int) {
	if i >= len(s) {
		return -1, 0
	}
	r, n, ok := decodeLoose(s[i:])
	if !ok {
		return utf8.RuneError, 1
	}
	return r, n
}

// decodeLoose decodes the first character of s as llama.cpp does: by the lead byte and the continuation
// bits alone. Surrogates and overlong forms are taken, as is what lies above U+10FFFF.
func decodeLoose[T string | []byte](s T) (r rune, n int, ok bool) {
	b := s[0]
	switch {
	case b < 0x80:
		return rune(b), 1, true
	case b < 0xC0 || b >= 0xF8:
		return 0, 1, false
	case b < 0xE0:
		r, n = rune(b&0x1F), 2
	case b < 0xF0:
		r, n = rune(b&0x0F), 3
	default:
		r, n = rune(b&0x07), 4
	}
	if len(s) < n {
		return 0, 1, false
	}
	for k := 1; k < n; k++ {
		if s[k]&0xC0 != 0x80 {
			return 0, 1, false
		}
		r = r<<6 | rune(s[k]&0x3F)
	}
	return r, n, true
}

// appendNormalized appends text as llama.cpp sees it: every byte that starts no character becomes U+FFFD,
// overlong forms become short ones, surrogates stay. A code point above U+10FFFF, on which llama.cpp
// aborts, becomes one U+FFFD.
func appendNormalized[T string | []byte](dst []byte, text T) []byte {
	for len(text) > 0 {
		n := validPrefix(text)
		dst = append(dst, text[:n]...)
		text = text[n:]
		if len(text) == 0 {
			break
		}
		r, size, ok := decodeLoose(text)
		switch {
		case !ok || r > unicode.MaxRune:
			dst = append(dst, "\uFFFD"...)
		case 0xD800 <= r && r < 0xE000:
			dst = append(dst, text[:size]...)
		default:
			dst = utf8.AppendRune(dst, r)
		}
		text = text[size:]
	}
	return dst
}

// validPrefix returns the length of the longest prefix of text that is valid UTF-8.
func validPrefix[T string | []byte](text T) int {
	i := 0
	for i < len(text) {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n, ok := decodeLoose(text[i:])
		if !ok || utf8.RuneLen(r) != n {
			break
		}
		i += n
	}
	return i
}

// charLen returns the length that the lead byte b announces. A continuation byte is a character of its own.
func charLen(b byte) int {
	switch {
	case b < 0xC0:
		return 1
	case b < 0xE0:
		return 2
	case b < 0xF0:
		return 3
	default:
		return 4
	}
}

// span returns the end of the run of characters at s[i:] that have a class in mask.
func span(s []byte, i int, mask class) int {
	for {
		r, n := runeAt(s, i)
		if classOf(r)&mask == 0 {
			return i
		}
		i += n
	}
}

// spanNot returns the end of the run of characters at s[i:] that have no class in mask.
func spanNot(s []byte, i int, mask class) int {
	for {
		r, n := runeAt(s, i)
		if n == 0 || classOf(r)&mask != 0 {
			return i
		}
		i += n
	}
}
