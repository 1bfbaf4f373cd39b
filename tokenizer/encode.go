package tokenizer

import "math"

// maxText is how many bytes one call encodes. Escaping spaces may triple the length, and offsets are int32.
const maxText = math.MaxInt32 / 4

// EncodeOptions says what Encode does besides encoding. The zero value encodes all of the text as text.
type EncodeOptions struct {
	// AddSpecial puts before and after the text what the model wants there: BOS, EOS, in BERT CLS and SEP.
	AddSpecial bool
	// ParseSpecial takes the texts of control tokens, such as "<|im_end|>", for the tokens. Text from
	// outside should not be encoded so. User-defined tokens are found in any case.
	ParseSpecial bool
}

// scratch is the working memory of one call.
type scratch struct {
	text, word        []byte
	ends, otherEnds   []int32
	parts, otherParts []fragment
	ranks             []int32
	syms              []part
	heap              []uint64
}

// keptScratch is the number of bytes up to which working memory is kept for the next call.
const keptScratch = 8 << 20

// Encode returns the token ids of text. Text that is not valid UTF-8 is encoded as llama.cpp does it: SPM
// takes the bytes as they are, BPE and WPM take each byte that starts no character as U+FFFD.
//
// Errors: TooLongError above 512 MiB, NoTokenError for a text that an incomplete SPM vocabulary cannot spell.
func (t *Tokenizer) Encode(text string, opts EncodeOptions) ([]int32, error) {
	return t.AppendEncode(make([]int32, 0, len(text)/4+4), text, opts)
}

// AppendEncode is Encode that appends to dst. On an error it returns dst as it was.
func (t *Tokenizer) AppendEncode(dst []int32, text string, opts EncodeOptions) ([]int32, error) {
	if len(text) > maxText {
		return dst, &TooLongError{Len: len(text), Max: maxText}
	}
	start := len(dst)
	if opts.AddSpecial && (t.addBOS || t.kind == WPM) {
		dst = append(dst, t.special[BOS])
	}
	sc := t.scratch.Get().(*scratch)
	dst, err := t.appendText(dst, sc, text, opts.ParseSpecial)
	if sc.size() <= keptScratch {
		t.scratch.Put(sc)
	}
	if err != nil {
		return dst[:start], err
	}
	if opts.AddSpecial {
		switch {
		case t.kind == WPM:
			dst = append(dst, t.special[SEP])
		case t.addEOS:
			dst = append(dst, t.special[EOS])
		}
	}
	return dst, nil
}

func (t *Tokenizer) appendText(dst []int32, sc *scratch, text string, parseSpecial bool) ([]int32, error) {
	if text == "" {
		return dst, nil
	}
	var err error
	afterSpecial := true
	for _, f := range t.partition(sc, text, parseSpecial) {
		if f.id != none {
			dst = append(dst, f.id)
			afterSpecial = true
			continue
		}
		switch t.kind {
		case SPM:
			dst, err = t.encodeSPM(dst, sc, text[f.lo:f.hi], t.spacePrefix && afterSpecial)
		case BPE:
			dst, err = t.encodeBPE(dst, sc, text[f.lo:f.hi])
		case WPM:
			dst = t.encodeWPM(dst, sc, text[f.lo:f.hi])
		}
		if err != nil {
			return dst, err
		}
		afterSpecial = false
	}
	return dst, nil
}

// size returns the memory of sc in bytes.
func (sc *scratch) size() int {
	return cap(sc.text) + cap(sc.word) + 4*(cap(sc.ends)+cap(sc.otherEnds)+cap(sc.ranks)) +
		24*(cap(sc.parts)+cap(sc.otherParts)) + 28*cap(sc.syms) + 8*cap(sc.heap)
}
