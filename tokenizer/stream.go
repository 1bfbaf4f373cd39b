package tokenizer

import "unicode/utf8"

// StreamOptions says how a Stream decodes.
type StreamOptions struct {
	// SkipSpecial leaves out control and unknown tokens.
	SkipSpecial bool
	// TextStart says that the first token begins a text. Then an SPM vocabulary with a space prefix loses
	// the first space, as in Decode; tokens that go on after a prompt keep it.
	TextStart bool
}

// Stream decodes tokens one by one as they are generated. What it returns is always valid UTF-8: bytes of a
// character that is not complete are held back until it is, and bytes that can no longer become one are
// given as U+FFFD. It does not clean spaces. A Stream is for one goroutine; it allocates only while its
// buffer grows.
type Stream struct {
	t         *Tokenizer
	opts      StreamOptions
	trimSpace bool
	held      int    // bytes of buf that are the start of a character
	buf       []byte // bytes held back, then those of the token
	out       []byte
}

// NewStream returns a Stream that decodes tokens of t.
func (t *Tokenizer) NewStream(opts StreamOptions) *Stream {
	s := &Stream{t: t, opts: opts, buf: make([]byte, 0, 64), out: make([]byte, 0, 64)}
	s.Reset()
	return s
}

// Reset forgets what is held back and starts again.
func (s *Stream) Reset() {
	s.trimSpace = s.opts.TextStart && s.t.spacePrefix
	s.held = 0
}

// Push takes the next token and returns the text that is complete with it, which may be empty. The bytes
// are valid until the next call.
//
// Errors: TokenIDError; the stream is then as before.
func (s *Stream) Push(id int32) ([]byte, error) {
	if !s.t.has(id) {
		return nil, &TokenIDError{ID: id, Size: len(s.t.texts)}
	}
	piece := s.t.piece(id, s.opts.SkipSpecial)
	if s.trimSpace {
		s.trimSpace = false
		if piece != "" && piece[0] == ' ' {
			piece = piece[1:]
		}
	}
	s.buf = append(s.buf[:s.held], piece...)
	s.emit(false)
	return s.out, nil
}

// Flush returns U+FFFD for the bytes held back, if there are any: the text ended inside a character.
func (s *Stream) Flush() []byte {
	s.buf = s.buf[:s.held]
	s.emit(true)
	return s.out
}

// emit moves from buf to out what is complete, or everything at the end.
func (s *Stream) emit(end bool) {
	s.out = s.out[:0]
	rest := s.buf
	for len(rest) > 0 {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(rest) && !end {
				break
			}
			if end {
				n = len(rest)
			}
		}
		s.out = utf8.AppendRune(s.out, r)
		rest = rest[n:]
	}
	s.held = copy(s.buf, rest)
}
