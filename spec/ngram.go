package spec

import "context"

// NGramOptions sets up ngram. Zero fields stand for the defaults.
type NGramOptions struct {
	Min int // tokens that must match at least; 2 if 0
	Max int // tokens that are tried to match, the longest first; 4, or Min if that is more, if 0
	Len int // guesses of a draft at most; as many as are asked for if 0
}

// NGram drafts by looking up the last tokens of a sequence earlier in it: what followed there is the
// guess. Where it reaches the end of the text it goes on with its own guesses, so that a text that
// repeats itself is drafted to any length.
type NGram struct {
	opt  NGramOptions
	seqs map[int32]*ngramSeq
}

// ngramSeq is a sequence's text, and for each length the place where a run of tokens was seen last.
type ngramSeq struct {
	text  history
	done  int                // tokens whose runs are in the index: all that have a successor
	index []map[uint64]int32 // by length - Min: hash of a run to the index after it
}

// NewNGram returns a drafter for any number of sequences.
func NewNGram(opt NGramOptions) *NGram {
	if opt.Min <= 0 {
		opt.Min = 2
	}
	if opt.Max <= 0 {
		opt.Max = 4
	}
	opt.Max = max(opt.Max, opt.Min)
	return &NGram{opt: opt, seqs: map[int32]*ngramSeq{}}
}

// Name returns "ngram".
func (g *NGram) Name() string { return "ngram" }

// Hidden returns NoHidden.
func (g *NGram) Hidden() Hidden { return NoHidden }

func (g *NGram) seq(seq int32) *ngramSeq {
	s, ok := g.seqs[seq]
	if !ok {
		s = &ngramSeq{index: make([]map[uint64]int32, g.opt.Max-g.opt.Min+1)}
		for i := range s.index {
			s.index[i] = map[uint64]int32{}
		}
		g.seqs[seq] = s
	}
	return s
}

// Truncate forgets tokens. The index keeps them: what it finds is compared with the text.
func (g *NGram) Truncate(seq, n int32) {
	s := g.seq(seq)
	s.text.truncate(n)
	s.done = min(s.done, len(s.text.tokens))
	if len(s.text.tokens) == 0 {
		s.clear()
	}
}

func (s *ngramSeq) clear() {
	s.done = 0
	for _, m := range s.index {
		clear(m)
	}
}

// Commit adds tokens to the text.
func (g *NGram) Commit(_ context.Context, commits []Commit) error {
	for i := range commits {
		c := &commits[i]
		s := g.seq(c.Seq)
		if s.text.commit(c.Pos, c.Tokens) {
			s.clear()
		}
	}
	return nil
}

// Draft looks up the end of each text.
func (g *NGram) Draft(_ context.Context, requests []*Request) error {
	for _, r := range requests {
		s := g.seq(r.Seq)
		if s.text.end() != r.Pos {
			continue
		}
		g.extend(s)
		s.text.tokens = append(s.text.tokens, r.Last) // for as long as this takes
		if at := g.find(s); at > 0 {
			g.copy(r, s.text.tokens, at)
		}
		s.text.tokens = s.text.tokens[:len(s.text.tokens)-1]
	}
	return nil
}

// extend takes the runs that have a successor into the index: the whole text, since Last follows it.
func (g *NGram) extend(s *ngramSeq) {
	for ; s.done < len(s.text.tokens); s.done++ {
		end := s.done + 1
		for i, m := range s.index {
			if n := g.opt.Min + i; n <= end {
				m[hash(s.text.tokens[end-n:end])] = int32(end)
			}
		}
	}
}

// find returns the index after the latest earlier place of the text's last tokens, the longest run that
// has one, or 0.
func (g *NGram) find(s *ngramSeq) int {
	text := s.text.tokens
	for n := min(g.opt.Max, len(text)); n >= g.opt.Min; n-- {
		last := text[len(text)-n:]
		at, ok := s.index[n-g.opt.Min][hash(last)]
		// Hashes may collide, and what is gone may still be in the index.
		if ok && int(at) < len(text) && shared(text[int(at)-n:at], last, 0) == n {
			return int(at)
		}
	}
	return 0
}

// copy guesses what stands at index at, and then what was guessed.
func (g *NGram) copy(r *Request, text []int32, at int) {
	most := r.Max
	if g.opt.Len > 0 {
		most = min(most, g.opt.Len)
	}
	for i := at; len(r.Guesses) < most; i++ {
		if i < len(text) {
			r.Add(text[i])
		} else {
			r.Add(r.Guesses[i-len(text)])
		}
	}
}

// hash mixes the ids of a run.
func hash(ids []int32) uint64 {
	h := uint64(len(ids))
	for _, id := range ids {
		h = (h ^ uint64(uint32(id))) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}

// Close does nothing: there is nothing but memory of the Go heap.
func (g *NGram) Close() error { return nil }
