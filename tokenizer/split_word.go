package tokenizer

import "unicode/utf8"

// contraction says where a pre-tokenizer looks for the English endings 's 't 'm 'd 're 've 'll.
type contraction uint8

const (
	noContraction contraction = iota
	ownWord                   // an ending is a word of its own
	wordEnd                   // an ending belongs to the word before it
)

// wordRule is the family of pre-tokenizers that llama-bpe, qwen2 and gpt-4o belong to. In its plainest form:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// Something in it matches everywhere, so there are no gaps.
type wordRule struct {
	contraction contraction
	word        wordKind
	letters     class  // what words consist of: letter, or letter|mark
	digits      int    // most digits in a word of digits, 0 for any number
	notPunct    class  // what ends a run of punctuation
	trail       string // ASCII characters after punctuation that belong to it
	trailMax    int    // how many of them, 0 for any number
}

// wordKind is the shape of the words of letters.
type wordKind uint8

const (
	plainWords  wordKind = iota // a run of letters
	casedWords                  // ASCII lower case does not go before ASCII upper case
	hanWords                    // runs of Han are words of their own
	phraseWords                 // words joined by single spaces
)

var (
	llama3Words = wordRule{contraction: ownWord, letters: letter, digits: 3, notPunct: space | letter | number, trail: "\r\n"}
	gpt4oWords  = wordRule{
		contraction: wordEnd, word: casedWords, letters: letter, digits: 3, notPunct: space | letter | number, trail: "\r\n/",
	}
)

// pass returns w, changed, as a pass.
func (w wordRule) pass(change func(*wordRule)) pass {
	if change != nil {
		change(&w)
	}
	return &w
}

func (w *wordRule) split(dst []int32, s []byte, lo, hi int) []int32 {
	s = s[:hi]
	for i := lo; i < hi; {
		i = w.next(s, i)
		dst = append(dst, int32(i))
	}
	return dst
}

// next returns the end of the word at s[i:].
func (w *wordRule) next(s []byte, i int) int {
	if w.contraction == ownWord {
		if end := contractionEnd(s, i, true); end > i {
			return end
		}
	}
	r, n := runeAt(s, i)
	c := classOf(r)
	if w.word == hanWords && isHan(r) {
		return hanEnd(s, i)
	}
	if end := w.lettersEnd(s, i, r, n, c); end > i {
		if w.contraction == wordEnd {
			end = contractionEnd(s, end, true)
		}
		return end
	}
	if c&number != 0 {
		return w.digitsEnd(s, i)
	}
	if r == ' ' {
		r, n = runeAt(s, i+1)
		c = classOf(r)
		if n > 0 && c&w.notPunct == 0 {
			return w.punctEnd(s, i+1)
		}
		return spaceEnd(s, i, true)
	}
	if c&w.notPunct == 0 {
		return w.punctEnd(s, i)
	}
	return spaceEnd(s, i, true)
}

// lettersEnd returns the end of the word of letters at s[i:], or i. One other character before the
// letters belongs to it, unless that is a digit or ends a line.
func (w *wordRule) lettersEnd(s []byte, i int, r rune, n int, c class) int {
	start := i
	if !w.starts(r, c) {
		if r == '\r' || r == '\n' || c&(letter|number) != 0 {
			return i
		}
		next, m := runeAt(s, i+n)
		if m == 0 || !w.starts(next, classOf(next)) {
			return i
		}
		start += n
	}
	switch w.word {
	case casedWords:
		return casedEnd(s, start, w.letters)
	case hanWords:
		for {
			r, n := runeAt(s, start)
			if !w.starts(r, classOf(r)) {
				return start
			}
			start += n
		}
	case phraseWords:
		return phraseEnd(s, start)
	}
	return span(s, start, w.letters)
}

// starts says whether a word of letters may start with r.
func (w *wordRule) starts(r rune, c class) bool {
	return c&w.letters != 0 && (w.word != hanWords || !isHan(r))
}

// hanEnd returns the end of the run of Han at s[i:].
func hanEnd(s []byte, i int) int {
	for {
		r, n := runeAt(s, i)
		if !isHan(r) {
			return i
		}
		i += n
	}
}

// casedEnd returns the end of `U*l+|U+l*`, with U any letter but a-z and l any letter but A-Z. The letters
// of other scripts and those with accents are both: llama.cpp knows no case beyond ASCII.
func casedEnd(s []byte, i int, letters class) int {
	end, lastBoth := i, -1
	for {
		r, n := runeAt(s, end)
		if classOf(r)&letters == 0 || r < 0x80 && r >= 'a' {
			break
		}
		end += n
		if r >= 0x80 {
			lastBoth = end
		}
	}
	lower := end
	for {
		r, n := runeAt(s, lower)
		if classOf(r)&letters == 0 || r <= 'Z' {
			break
		}
		lower += n
	}
	if lower > end {
		return lower
	}
	// Only the first alternative needs an l at the end. It gives back upper case until it has one.
	if lastBoth >= 0 {
		return lastBoth
	}
	return end
}

// phraseEnd returns the end of `(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`.
func phraseEnd(s []byte, i int) int {
	for {
		r, n := runeAt(s, i)
		if r == ' ' {
			next, _ := runeAt(s, i+1)
			if classOf(next)&letter == 0 {
				return i
			}
		} else if classOf(r)&(letter|mark) == 0 {
			return i
		}
		i += n
	}
}

func (w *wordRule) digitsEnd(s []byte, i int) int {
	for k := 0; w.digits == 0 || k < w.digits; k++ {
		r, n := runeAt(s, i)
		if classOf(r)&number == 0 {
			break
		}
		i += n
	}
	return i
}

// punctEnd returns the end of the punctuation at s[i:] with the characters that trail it.
func (w *wordRule) punctEnd(s []byte, i int) int {
	i = spanNot(s, i, w.notPunct)
	for k := 0; i < len(s) && (w.trailMax == 0 || k < w.trailMax); k++ {
		if !containsByte(w.trail, s[i]) {
			break
		}
		i++
	}
	return i
}

// contractionEnd returns the end of 's 't 'm 'd 're 've 'll at s[i:], or i. fold takes upper case too.
func contractionEnd(s []byte, i int, fold bool) int {
	if i+1 >= len(s) || s[i] != '\'' {
		return i
	}
	var lower byte
	if fold {
		lower = 0x20
	}
	switch s[i+1] | lower {
	case 's', 't', 'm', 'd':
		return i + 2
	case 'r', 'v':
		if i+2 < len(s) && s[i+2]|lower == 'e' {
			return i + 3
		}
	case 'l':
		if i+2 < len(s) && s[i+2]|lower == 'l' {
			return i + 3
		}
	}
	return i
}

// spaceEnd returns the end of the white space that makes a word at s[i:]: `\s*[\r\n]+` if lines is set, else
// `\s+(?!\S)`, which leaves the last white space to the word after it, else `\s+`.
func spaceEnd(s []byte, i int, lines bool) int {
	end, last, line := i, i, i
	for {
		r, n := runeAt(s, end)
		if classOf(r)&space == 0 {
			break
		}
		last = end
		end += n
		if r == '\r' || r == '\n' {
			line = end
		}
	}
	switch {
	case lines && line > i:
		return line
	case end < len(s) && last > i:
		return last
	}
	return end
}

// cascadePass cuts white space that ends no line into runs of 512, 256 ... 4, 2 and 1 characters.
type cascadePass struct{}

func (cascadePass) split(dst []int32, s []byte, lo, hi int) []int32 {
	s = s[:hi]
	if c := s[hi-1]; c == '\n' || c == '\r' || span(s, lo, space) < hi {
		return append(dst, int32(hi))
	}
	count := utf8.RuneCount(s[lo:])
	for size := 512; count > 0; {
		if count < size {
			size /= 2
			continue
		}
		for range size {
			_, n := runeAt(s, lo)
			lo += n
		}
		dst = append(dst, int32(lo))
		count -= size
	}
	return dst
}

// gpt2Pass is `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
type gpt2Pass struct{}

func (gpt2Pass) split(dst []int32, s []byte, lo, hi int) []int32 {
	s = s[:hi]
	for i := lo; i < hi; {
		i = gpt2End(s, i)
		dst = append(dst, int32(i))
	}
	return dst
}

func gpt2End(s []byte, i int) int {
	if end := contractionEnd(s, i, false); end > i {
		return end
	}
	start := i
	if s[i] == ' ' {
		start++
	}
	r, n := runeAt(s, start)
	c := classOf(r)
	switch {
	case n == 0 || c&space != 0:
		return spaceEnd(s, i, false)
	case c&letter != 0:
		return span(s, start, letter)
	case c&number != 0:
		return span(s, start, number)
	}
	return spanNot(s, start, space|letter|number)
}
