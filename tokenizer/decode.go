package tokenizer

import "strings"

// DecodeOptions says what Decode leaves out. The zero value gives what llama.cpp's detokenize gives when
// asked to keep special tokens.
type DecodeOptions struct {
	// SkipSpecial leaves out control and unknown tokens.
	SkipSpecial bool
	// TrimEnds leaves out the BOS and EOS that Encode with AddSpecial added.
	TrimEnds bool
	// KeepSpaces leaves the text of vocabularies that llama.cpp cleans as it is. Cleaning drops the space
	// before . , ? ! and before the endings 's 'm 're 've, which loses spaces that the text had.
	KeepSpaces bool
}

// Decode returns the bytes that ids stand for, which need not be valid UTF-8: a character may be spread over
// several tokens, of which some are not there. An SPM vocabulary with a space prefix loses the first space.
//
// Errors: TokenIDError.
func (t *Tokenizer) Decode(ids []int32, opts DecodeOptions) ([]byte, error) {
	return t.AppendDecode(nil, ids, opts)
}

// AppendDecode is Decode that appends to dst. On an error it returns dst as it was.
func (t *Tokenizer) AppendDecode(dst []byte, ids []int32, opts DecodeOptions) ([]byte, error) {
	for i, id := range ids {
		if !t.has(id) {
			return dst, &TokenIDError{Index: i, ID: id, Size: len(t.texts)}
		}
	}
	trimSpace := t.spacePrefix
	if n := len(ids); opts.TrimEnds && t.AddBOS() && n > 0 && ids[0] == t.special[BOS] {
		ids = ids[1:]
		trimSpace = false
	}
	if n := len(ids); opts.TrimEnds && t.AddEOS() && n > 0 && ids[n-1] == t.lastSpecial() {
		ids = ids[:n-1]
	}
	start := len(dst)
	for _, id := range ids {
		piece := t.piece(id, opts.SkipSpecial)
		if trimSpace {
			piece = strings.TrimPrefix(piece, " ")
			trimSpace = false
		}
		dst = append(dst, piece...)
	}
	if t.cleanSpaces && !opts.KeepSpaces {
		dst = dst[:start+cleanSpaces(dst[start:])]
	}
	return dst, nil
}

// lastSpecial returns the token that Encode with AddSpecial puts last.
func (t *Tokenizer) lastSpecial() int32 {
	if t.kind == WPM {
		return t.special[SEP]
	}
	return t.special[EOS]
}

// Piece returns the bytes that a token stands for wherever it is, as a string; in SPM a word has its space
// before it. It is empty for an id outside the vocabulary.
func (t *Tokenizer) Piece(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.pieces.of(id)
}

func (t *Tokenizer) piece(id int32, skipSpecial bool) string {
	if skipSpecial && t.attrs[id]&(attrControl|attrUnknown) != 0 {
		return ""
	}
	return t.pieces.of(id)
}

// pieces holds what each token decodes to.
type pieces struct {
	data string
	ends []uint32
}

func (p *pieces) of(id int32) string {
	lo := uint32(0)
	if id > 0 {
		lo = p.ends[id-1]
	}
	return p.data[lo:p.ends[id]]
}

// loadPieces works out what every token decodes to.
func (t *Tokenizer) loadPieces(r *reader) {
	size := 0
	for _, text := range t.texts {
		size += len(text)
	}
	data := make([]byte, 0, size)
	t.pieces.ends = make([]uint32, len(t.texts))
	for id, text := range t.texts {
		switch a := t.attrs[id]; {
		case a&(attrControl|attrUnknown|attrUser) != 0:
			data = append(data, text...)
		case a&attrNormal != 0 && t.escapeSpaces:
			data = appendUnescaped(data, text)
		case a&attrNormal != 0:
			data = decodeBytes(data, text)
		case a&attrByte != 0:
			b, ok := parseByteName(text)
			if !ok {
				r.fail(keyTokens, text+" as a byte token", "<0x00> to <0xFF>")
				return
			}
			data = append(data, b)
		}
		t.pieces.ends[id] = uint32(len(data))
	}
	t.pieces.data = string(data)
}

// appendUnescaped appends text with every U+2581 as a space.
func appendUnescaped(dst []byte, text string) []byte {
	for {
		i := strings.Index(text, escapedSpace)
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(append(dst, text[:i]...), ' ')
		text = text[i+len(escapedSpace):]
	}
}

// parseByteName is the way back from byteName.
func parseByteName(text string) (byte, bool) {
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return 0, false
	}
	hi, ok1 := hexDigit(text[3])
	lo, ok2 := hexDigit(text[4])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(b byte) (byte, bool) {
	switch {
	case isDigit(b):
		return b - '0', true
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// cleanSpaces drops spaces of text in place, as llama.cpp does in three passes, and returns what is left.
func cleanSpaces(text []byte) int {
	n := dropSpaces(text, func(text []byte, i int) bool {
		c := text[i]
		return c == '?' || c == '!' || c == '.' || c == ','
	})
	n = joinQuotes(text[:n])
	return dropSpaces(text[:n], func(text []byte, i int) bool {
		if text[i] != '\'' || i+1 >= len(text) {
			return false
		}
		switch text[i+1] {
		case 's', 'm':
			return true
		case 'r', 'v':
			return i+2 < len(text) && text[i+2] == 'e'
		}
		return false
	})
}

// dropSpaces drops each space that a character follows for which drop holds.
func dropSpaces(text []byte, drop func(text []byte, i int) bool) int {
	n := min(len(text), 1)
	for i := 1; i < len(text); i++ {
		c := text[i]
		if text[i-1] == ' ' && drop(text, i) {
			n--
		}
		text[n] = c
		n++
	}
	return n
}

// joinQuotes drops both spaces around a single quote.
func joinQuotes(text []byte) int {
	n := min(len(text), 1)
	for i := 1; i < len(text); i++ {
		c := text[i]
		if c == '\'' && i+1 < len(text) && text[i-1] == ' ' && text[i+1] == ' ' {
			n--
			i++
			text[i] = 0 // so that the next character does not count as one after a space
		}
		text[n] = c
		n++
	}
	return n
}
