package tokenizer

// isHan says whether r is a Chinese character, by the blocks that llama.cpp counts.
func isHan(r rune) bool {
	return inRanges(hanRanges, r)
}

type runeRange struct{ lo, hi rune }

// inRanges says whether r is in one of ranges, which are in order.
func inRanges(ranges []runeRange, r rune) bool {
	lo, hi := 0, len(ranges)
	for lo < hi {
		mid := (lo + hi) / 2
		if ranges[mid].hi < r {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(ranges) && ranges[lo].lo <= r
}

var hanRanges = []runeRange{
	{0x3400, 0x4DBF},
	{0x4E00, 0x9FFF},
	{0xF900, 0xFAFF},
	{0x20000, 0x2A6DF},
	{0x2A700, 0x2EBEF},
	{0x2F800, 0x2FA1F},
}

// containsByte says whether b is in set.
func containsByte(set string, b byte) bool {
	for i := range len(set) {
		if set[i] == b {
			return true
		}
	}
	return false
}

// deepseekLetters are the letters of deepseek-llm: those with case in Latin, Greek, Cyrillic and some more.
var deepseekLetters = []runeRange{
	{'A', 'Z'},
	{'a', 'z'},
	{0xB5, 0xB5},
	{0xC0, 0xD6},
	{0xD8, 0xF6},
	{0xF8, 0x1BA},
	{0x1BC, 0x1BF},
	{0x1C4, 0x293},
	{0x295, 0x2AF},
	{0x370, 0x373},
	{0x376, 0x377},
	{0x37B, 0x37D},
	{0x37F, 0x37F},
	{0x386, 0x386},
	{0x388, 0x38A},
	{0x38C, 0x38C},
	{0x38E, 0x3A1},
	{0x3A3, 0x3F5},
	{0x3F7, 0x481},
	{0x48A, 0x52F},
	{0x531, 0x556},
	{0x10A0, 0x10C5},
	{0x13A0, 0x13F5},
	{0x13F8, 0x13FD},
	{0x1C90, 0x1CBA},
	{0x1CBD, 0x1CBF},
	{0x1D00, 0x1D2B},
	{0x1D6B, 0x1D77},
	{0x1D79, 0x1D9A},
	{0x1E00, 0x1F15},
	{0x1F18, 0x1F1D},
	{0x1F20, 0x1F45},
	{0x1F48, 0x1F4D},
	{0x1F50, 0x1F57},
	{0x1F59, 0x1F59},
	{0x1F5B, 0x1F5B},
	{0x1F5D, 0x1F5D},
	{0x1F5F, 0x1F7D},
	{0x1F80, 0x1FB4},
	{0x1FB6, 0x1FBC},
	{0x1FBE, 0x1FBE},
	{0x1FC2, 0x1FC4},
	{0x1FC6, 0x1FCC},
	{0x1FD0, 0x1FD3},
	{0x1FD6, 0x1FDB},
	{0x1FE0, 0x1FEC},
	{0x1FF2, 0x1FF4},
	{0x1FF6, 0x1FFC},
	{0x2102, 0x2102},
	{0x2107, 0x2107},
	{0x210A, 0x2113},
	{0x2115, 0x2115},
	{0x2119, 0x211D},
	{0x2124, 0x2124},
	{0x2126, 0x2126},
	{0x2128, 0x2128},
	{0x212A, 0x212D},
	{0x212F, 0x2134},
	{0x2139, 0x2139},
	{0x213C, 0x213F},
	{0x2145, 0x2149},
	{0x214E, 0x214E},
	{0x2183, 0x2184},
	{0x2C00, 0x2C7B},
	{0x2C7E, 0x2CE4},
	{0x2CEB, 0x2CEE},
	{0x2CF2, 0x2CF3},
	{0xA640, 0xA66D},
	{0xA680, 0xA69B},
	{0xA722, 0xA76F},
	{0xA771, 0xA787},
	{0xA78B, 0xA78E},
	{0xAB70, 0xABBF},
	{0xFB00, 0xFB06},
	{0xFB13, 0xFB17},
	{0xFF21, 0xFF3A},
	{0xFF41, 0xFF5A},
	{0x10400, 0x1044F},
	{0x104B0, 0x104D3},
	{0x104D8, 0x104FB},
	{0x10C80, 0x10CB2},
	{0x10CC0, 0x10CF2},
	{0x118A0, 0x118DF},
	{0x1E900, 0x1E943},
}

// deepseekPunct is the punctuation of deepseek-llm. The ideographic space, U+3000, counts as white space.
var deepseekPunct = []runeRange{
	{'!', '/'}, {':', '~'}, {0x2018, 0x201F}, {0x3001, 0x3002}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E},
}

// deepseekCJK are the characters that deepseek-llm and deepseek-coder set apart.
var deepseekCJK = []runeRange{{0x0800, 0x9FA5}, {0xAC00, 0xD7FF}}

// deepseek3CJK are the characters that deepseek-v3 sets apart: Han, Hiragana and Katakana.
var deepseek3CJK = []runeRange{{0x3040, 0x30FF}, {0x4E00, 0x9FA5}}

// afmoeCJK are the characters that AFMoE sets apart: the scripts written without spaces, and Hangul.
var afmoeCJK = []runeRange{
	{0x0E40, 0x0E7F},
	{0x0E80, 0x0EFF},
	{0x1000, 0x109F},
	{0x1100, 0x11FF},
	{0x1780, 0x17FF},
	{0x2F00, 0x2FDF},
	{0x3040, 0x30FF},
	{0x3400, 0x4DBF},
	{0x4E00, 0x9FFF},
	{0xA9E0, 0xA9FF},
	{0xAA60, 0xAA7F},
	{0xAC00, 0xD7AF},
	{0xF900, 0xFAFF},
	{0xFF65, 0xFF9F},
}

// bloomEnds are the characters besides white space that end a word of bloom.
const bloomEnds = "(|.,!?…。，、।۔،)"

// runsOf is a pass that cuts the runs of characters in ranges. White space is in no range: llama.cpp makes
// all of it ASCII first.
func runsOf(ranges []runeRange) pass {
	return (&runPass{in: func(r rune, c class) bool { return c&space == 0 && inRanges(ranges, r) }}).ready()
}

// spacedRunsOf is runsOf with one white space before the run.
func spacedRunsOf(ranges []runeRange) pass {
	return (&runPass{leadSpace: true, in: func(r rune, _ class) bool { return inRanges(ranges, r) }}).ready()
}

// digitRuns is a pass that cuts `\p{N}{1,n}`, or `\p{N}+` for 0.
func digitRuns(n int) pass {
	return (&runPass{max: n, in: func(_ rune, c class) bool { return c&number != 0 }}).ready()
}

// punctRuns is a pass that cuts runs of punctuation and of the ASCII symbols given.
func punctRuns(symbols string) pass {
	return (&runPass{in: func(r rune, c class) bool {
		return c&punct != 0 || r >= 0 && r < 0x80 && containsByte(symbols, byte(r))
	}}).ready()
}

// asciiTriples is a pass that cuts `[0-9][0-9][0-9]`.
func asciiTriples() pass {
	return (&runPass{min: 3, max: 3, in: func(r rune, _ class) bool { return '0' <= r && r <= '9' }}).ready()
}

// lines is a pass that cuts `[^\n]+|[\n]+`.
func lines() pass {
	return &scanPass{next: func(s []byte, i int) int {
		newline := s[i] == '\n'
		for i < len(s) && (s[i] == '\n') == newline {
			i++
		}
		return i
	}}
}

// lineEnds is a pass that cuts off every \r and \n.
func lineEnds() pass {
	return (&runPass{max: 1, in: func(r rune, _ class) bool { return r == '\r' || r == '\n' }}).ready()
}

// bloomEnd returns the end of ` ?[^(\s|.,!?…。，、।۔،)]+` at s[i:], or i.
func bloomEnd(s []byte, i int) int {
	start := i
	if s[i] == ' ' {
		start++
	}
	end := start
	for {
		r, n := runeAt(s, end)
		if n == 0 || classOf(r)&space != 0 || containsRune(bloomEnds, r) {
			break
		}
		end += n
	}
	if end == start {
		return i
	}
	return end
}

func containsRune(set string, r rune) bool {
	for _, x := range set {
		if x == r {
			return true
		}
	}
	return false
}

// deepseek3Rule is the last pass of deepseek-v3 and its kin:
//
//	[!-/:-@[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
type deepseek3Rule struct {
	noLines bool // punctuation takes no line end with it, and each line end is a word: [\r\n]
}

func (d deepseek3Rule) next(s []byte, i int) int {
	r, n := runeAt(s, i)
	c := classOf(r)
	if r < 0x80 && c&(punct|symbol) != 0 {
		end := i + 1
		for end < len(s) && isASCIILetter(s[end]) {
			end++
		}
		if end > i+1 {
			return end
		}
	}
	if c&(letter|mark) != 0 {
		return span(s, i, letter|mark)
	}
	if r != '\r' && r != '\n' && !isDeepseek3Punct(r, c) {
		if end := span(s, i+n, letter|mark); end > i+n {
			return end
		}
	}
	start := i
	if r == ' ' {
		start++
	}
	end := start
	for {
		r, n := runeAt(s, end)
		if !isDeepseek3Punct(r, classOf(r)) {
			break
		}
		end += n
	}
	if end > start {
		for !d.noLines && end < len(s) && (s[end] == '\r' || s[end] == '\n') {
			end++
		}
		return end
	}
	if d.noLines && (r == '\r' || r == '\n') {
		return i + 1
	}
	return spaceEnd(s, i, !d.noLines)
}

// isDeepseek3Punct says whether r is in [\p{P}\p{S}], which in llama.cpp the tilde is not.
func isDeepseek3Punct(r rune, c class) bool {
	return c&(punct|symbol) != 0 && r != '~'
}

// youtuScripts are the sets whose runs youtu sets apart: Hangul, wide punctuation, Bopomofo, Han with Kana.
var youtuScripts = [][]runeRange{
	{{0x3131, 0x318E}, {0xAC00, 0xD7A3}},
	{
		{0x2014, 0x2014},
		{0x2018, 0x2019},
		{0x201C, 0x201D},
		{0x2026, 0x2026},
		{0x3001, 0x303F},
		{0xFE30, 0xFE4F},
		{0xFF01, 0xFF01},
		{0xFF0C, 0xFF0C},
		{0xFF1A, 0xFF1B},
	},
	{{0x3105, 0x312F}},
	{{0x3040, 0x30FF}, {0x4E00, 0x9FA5}},
}

// youtuEnd returns the end of the run of one of youtuScripts at s[i:], or i.
func youtuEnd(s []byte, i int) int {
	for _, set := range youtuScripts {
		end := i
		for {
			r, n := runeAt(s, end)
			if !inRanges(set, r) {
				break
			}
			end += n
		}
		if end > i {
			return end
		}
	}
	return i
}
