package tokenizer

import "unicode/utf8"

// A pre-tokenizer cuts text into words before BPE merges inside them. Models publish it as one or more
// regular expressions that are applied one after the other: each cuts the pieces that the one before left
// into matches and the gaps between them. Each such step is a pass here, written as a scanner by hand: the
// time is linear, and look-ahead, which Go's regexp lacks, is a look at the next character.

// pass cuts the piece s[lo:hi], which is not empty, and appends the ends of what results to dst, the last
// being hi. It does not look at s outside the piece.
type pass interface {
	split(dst []int32, s []byte, lo, hi int) []int32
}

// splitText returns the ends of the words of s. The result is one of the two buffers, both of which are
// returned for reuse. An end below 0 is that of a piece that no later pass would cut.
func splitText(passes []pass, s []byte, a, b []int32) (ends, other []int32) {
	a = append(a[:0], int32(len(s)))
	final := false
	for _, p := range passes {
		b = b[:0]
		lo := 0
		for _, hi := range a {
			if hi < 0 {
				b, lo = append(b, hi), int(-hi)
				continue
			}
			b = p.split(b, s, lo, int(hi))
			lo = int(hi)
		}
		a, b = b, a
		if r, ok := p.(*runPass); ok && r.final {
			final = true
		}
	}
	if final {
		for i, end := range a {
			a[i] = max(end, -end)
		}
	}
	return a, b
}

// markFinal finds out which passes cut pieces that the ones after them would leave as they are.
func markFinal(passes []pass) []pass {
	for i, p := range passes {
		r, ok := p.(*runPass)
		if !ok {
			continue
		}
		r.final = i+1 < len(passes)
		for _, later := range passes[i+1:] {
			r.final = r.final && r.keptBy(later)
		}
	}
	return passes
}

// keptBy says whether q leaves every run of ASCII characters that p cuts, with its leading space, as it is.
func (p *runPass) keptBy(q pass) bool {
	switch q := q.(type) {
	case trailingSpacePass:
		return !p.takes(func(c byte) bool { return isSpaceByte(c) })
	case *runPass:
		if q.takes(isSpaceByte) {
			return false
		}
		if !p.takes(func(c byte) bool { return q.ascii[c] }) {
			return true
		}
		// Or it takes all of the run, and the space with it.
		return q.max == 0 && q.min <= 1 && (q.leadSpace || !p.leadSpace) && !p.takes(func(c byte) bool { return !q.ascii[c] })
	}
	return false
}

// takes says whether an ASCII character for which f holds may be in a run.
func (p *runPass) takes(f func(c byte) bool) bool {
	for c, in := range p.ascii {
		if in && f(byte(c)) {
			return true
		}
	}
	return false
}

// runPass cuts runs of characters of a set, as do `[set]+`, `\p{N}{1,3}` or `\s?[set]+`.
type runPass struct {
	in        func(r rune, c class) bool
	leadSpace bool // one white space before the run belongs to it
	min, max  int  // length of a run in characters; longer ones are cut; 0 for max means any length

	final bool                // no later pass cuts a match that is ASCII
	ascii [utf8.RuneSelf]bool // in, for ASCII
	start [utf8.RuneSelf]bool // whether a match can start with it
}

// ready fills the tables of p.
func (p *runPass) ready() *runPass {
	for r := range rune(utf8.RuneSelf) {
		p.ascii[r] = p.in(r, classOf(r))
		p.start[r] = p.ascii[r] || p.leadSpace && classOf(r)&space != 0
	}
	return p
}

func (p *runPass) split(dst []int32, s []byte, lo, hi int) []int32 {
	s = s[:hi]
	gap := lo
	for i := lo; i < hi; {
		if c := s[i]; c < utf8.RuneSelf && !p.start[c] {
			i++
			continue
		}
		start := i
		r, n := runeAt(s, i)
		if p.leadSpace && classOf(r)&space != 0 {
			start += n
		}
		end, count, ascii := p.run(s, start)
		switch {
		case count == 0:
			i += n
		case count < p.min:
			i = end
		default:
			if i > gap {
				dst = append(dst, int32(i))
			}
			gap = end
			if p.final && ascii && r < utf8.RuneSelf {
				end = -end
			}
			dst = append(dst, int32(end))
			i = gap
		}
	}
	if gap < hi {
		dst = append(dst, int32(hi))
	}
	return dst
}

// run returns the end and the length in characters of the run at s[i:], at most max of them, and whether all of
// them are ASCII.
func (p *runPass) run(s []byte, i int) (end, count int, ascii bool) {
	ascii = true
	for ; i < len(s) && (p.max == 0 || count < p.max); count++ {
		if c := s[i]; c < utf8.RuneSelf {
			if !p.ascii[c] {
				break
			}
			i++
			continue
		}
		r, n := runeAt(s, i)
		if !p.in(r, classOf(r)) {
			break
		}
		ascii = false
		i += n
	}
	return i, count, ascii
}

// scanPass cuts where a scanner says. next returns the end of the match at s[i:], or i if there is none:
// then the character at i belongs to a gap.
type scanPass struct {
	next func(s []byte, i int) int
}

func (p *scanPass) split(dst []int32, s []byte, lo, hi int) []int32 {
	s = s[:hi]
	gap := lo
	for i := lo; i < hi; {
		end := p.next(s, i)
		if end == i {
			_, n := runeAt(s, i)
			i += n
			continue
		}
		if i > gap {
			dst = append(dst, int32(i))
		}
		dst = append(dst, int32(end))
		gap, i = end, end
	}
	if gap < hi {
		dst = append(dst, int32(hi))
	}
	return dst
}

// trailingSpacePass cuts `\s+$`: the white space that ends a piece.
type trailingSpacePass struct{}

func (trailingSpacePass) split(dst []int32, s []byte, lo, hi int) []int32 {
	s = s[:hi]
	tail := lo // where the last run of white space begins
	for i := lo; i < hi; {
		r, n := runeAt(s, i)
		i += n
		if classOf(r)&space == 0 {
			tail = i
		}
	}
	if lo < tail && tail < hi {
		dst = append(dst, int32(tail))
	}
	return append(dst, int32(hi))
}

// groupPass cuts runs of ASCII digits into groups of three counted from the right, `(?=(\d{3})+(?!\d))`.
// Other characters stay with what follows them.
type groupPass struct{}

func (groupPass) split(dst []int32, s []byte, lo, hi int) []int32 {
	gap := lo
	for i := lo; i < hi; {
		j := digitsEnd(s[:hi], i)
		if j == i {
			i++
			continue
		}
		for cut := i + (j-i)%3; cut < j; cut += 3 {
			if cut > gap {
				dst = append(dst, int32(cut))
				gap = cut
			}
		}
		i = j
	}
	return append(dst, int32(hi))
}

// boundedGroupPass cuts numbers into groups of three counted from the right, `\d{1,3}(?=(?:\d{3})*\b)`. A
// number that an ASCII letter or underscore follows is left alone.
type boundedGroupPass struct{}

func (boundedGroupPass) split(dst []int32, s []byte, lo, hi int) []int32 {
	gap := lo
	for i := lo; i < hi; {
		j := digitsEnd(s[:hi], i)
		if j == i {
			i++
			continue
		}
		if j == hi || !isWordByte(s[j]) {
			if i > gap {
				dst = append(dst, int32(i))
			}
			for i < j {
				i += (j-i-1)%3 + 1
				dst = append(dst, int32(i))
			}
			gap = j
		}
		i = j
	}
	if gap < hi {
		dst = append(dst, int32(hi))
	}
	return dst
}

// numberTailPass cuts numbers into groups of three counted from the right, and leaves the first group with
// the text before it. llama.cpp does so for AFMoE; the passes after it tell the two apart, and only see by
// it where a run of white space ends.
type numberTailPass struct{}

func (numberTailPass) split(dst []int32, s []byte, lo, hi int) []int32 {
	s = s[:hi]
	last := lo
	for i := lo; i < hi; {
		r, n := runeAt(s, i)
		if classOf(r)&number == 0 {
			i += n
			continue
		}
		count := 0
		for j := i; ; count++ {
			r, n := runeAt(s, j)
			if classOf(r)&number == 0 {
				break
			}
			j += n
		}
		for ; count > 0; count-- {
			_, n := runeAt(s, i)
			i += n
			if count%3 == 1 {
				dst = append(dst, int32(i))
				last = i
			}
		}
	}
	if last < hi {
		dst = append(dst, int32(hi))
	}
	return dst
}

func digitsEnd(s []byte, i int) int {
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isASCIILetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// isWordByte says whether b is an ASCII character of the regular expression class \w.
func isWordByte(b byte) bool { return isDigit(b) || isASCIILetter(b) || b == '_' }
