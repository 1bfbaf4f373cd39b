package tokenizer

import "strings"

// joinSet holds the characters that some token has before a U+2581. Nothing merges across a U+2581 that
// follows any other character, so that text can be cut there into words, and words can be remembered.
type joinSet map[string]struct{}

// addText adds the characters of a token.
func (j joinSet) addText(text string) {
	for i := strings.LastIndex(text, escapedSpace); i > 0; i = strings.LastIndex(text[:i], escapedSpace) {
		j.addLast(text[:i])
	}
}

// add adds what a merge of left and right joins.
func (j joinSet) add(left, right string) {
	if strings.HasPrefix(right, escapedSpace) {
		j.addLast(left)
	}
}

// addLast adds the last character of text.
func (j joinSet) addLast(text string) {
	last := ""
	for i := 0; i < len(text); i += len(last) {
		last = text[i:min(i+charLen(text[i]), len(text))]
	}
	if last != escapedSpace {
		j[last] = struct{}{}
	}
}

// wordEnd returns the length of the first word of text.
func (j joinSet) wordEnd(text []byte) int {
	last, afterSpace := 0, true
	for i := 0; i < len(text); {
		isSpace := isEscapedSpace(text[i:])
		if isSpace && !afterSpace {
			if _, joined := j[string(text[last:i])]; !joined {
				return i
			}
		}
		last, afterSpace = i, isSpace
		i += min(charLen(text[i]), len(text)-i)
	}
	return len(text)
}

// isEscapedSpace says whether text begins with U+2581.
func isEscapedSpace(text []byte) bool {
	return text[0] == escapedSpace[0] && len(text) >= 3 && text[1] == escapedSpace[1] && text[2] == escapedSpace[2]
}

// encodeJoined cuts text, in which spaces are U+2581, into words and appends their tokens.
func (t *Tokenizer) encodeJoined(dst []int32, sc *scratch, text []byte) ([]int32, error) {
	for len(text) > 0 {
		word := text[:t.joins.wordEnd(text)]
		text = text[len(word):]
		slot := t.cache.slot(word)
		var ok bool
		if dst, ok = cacheLookup(slot, dst, word); ok {
			continue
		}
		start := len(dst)
		if t.kind == SPM {
			var err error
			if dst, err = t.encodeSPMWord(dst, sc, word); err != nil {
				return dst, err
			}
		} else {
			dst = t.encodeRawWord(dst, sc, word)
		}
		cacheStore(slot, word, dst[start:])
	}
	return dst, nil
}
