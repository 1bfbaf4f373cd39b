package spec

import (
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/sample"
)

// verifier compares drafts with what the target says. It holds scratch alone.
type verifier struct {
	mine []sample.Candidate
}

// verify appends to t.Tokens what the target says at each row from row on, as long as that is what was
// guessed, and the first that is not.
//
// The sampler draws one number and accepts one token for each that is given, no more and no less, so
// that its state is the one that plain decoding would have come to.
func (v *verifier) verify(target *engine.Engine, row int, r *Request, t *Turn) error {
	for i := 0; ; i++ {
		id, err := t.Sampler.Sample(target.Logits(row + i))
		if err != nil {
			return err
		}
		if i < len(r.Guesses) {
			if from := r.from(i); len(from) > 0 {
				v.mine = t.Sampler.Candidates(v.mine[:0], target.Params().Vocab)
				id = reject(v.mine, from, r.Guesses[i], r.rng.Float64(), r.rng.Float64())
			}
		}
		if err := t.Sampler.Accept(id); err != nil {
			return err
		}
		t.Tokens = append(t.Tokens, id)
		if i == len(r.Guesses) || id != r.Guesses[i] {
			return nil
		}
	}
}

// reject returns a token drawn from mine, given a guess drawn from theirs: the guess with probability
// min(1, mine/theirs), or else a token of what mine has over theirs. u and w are uniform in [0, 1).
// Source: arXiv:2211.17192.
func reject(mine, theirs []sample.Candidate, guess int32, u, w float64) int32 {
	p, q := probability(mine, guess), probability(theirs, guess)
	if u*q < p {
		return guess
	}
	var over float64
	for _, c := range mine {
		over += max(0, c.Prob-probability(theirs, c.Token))
	}
	id := guess
	goal, sum := w*over, 0.0
	for _, c := range mine {
		x := max(0, c.Prob-probability(theirs, c.Token))
		if x == 0 {
			continue
		}
		id = c.Token // of the last, if rounding has the sum end below the goal
		if sum += x; sum > goal {
			break
		}
	}
	return id
}

// probability returns that of a token, which is 0 if it is not listed.
func probability(list []sample.Candidate, id int32) float64 {
	for _, c := range list {
		if c.Token == id {
			return c.Prob
		}
	}
	return 0
}
