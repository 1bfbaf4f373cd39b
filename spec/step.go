package spec

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/sample"
)

// Turn is a sequence's part in a round.
type Turn struct {
	Seq     int32
	Sampler *sample.Sampler
	Most    int // tokens that may be given at most; 0 for no limit

	// Tokens is what the round gives, appended to what there was: one at least, unless Err is set.
	Tokens []int32
	// Err is what the sequence's sampler or cache said. The sequence is then as it was.
	Err error
}

// Step decodes one round of a sequence and appends to dst the tokens that it gives, one at least: the
// guesses that the target agrees with, and one of its own, all accepted by s. At most most tokens are
// given; 0 is no limit.
//
// Errors: *SequenceError, those of Engine.Decode, and the sampler's. The sequence is then as it was.
func (d *Decoder) Step(ctx context.Context, seq int32, s *sample.Sampler, most int, dst []int32) ([]int32, error) {
	d.one[0] = Turn{Seq: seq, Sampler: s, Most: most, Tokens: dst}
	err := d.StepAll(ctx, d.one[:])
	if err == nil {
		err = d.one[0].Err
	}
	dst = d.one[0].Tokens
	d.one[0] = Turn{}
	return dst, err
}

// StepAll is Step for several sequences, each once, in one run of the target and one of a draft for each
// guess.
//
// Errors: *SequenceError, those of Engine.Decode; all sequences are then as they were. What concerns one
// sequence alone is in its turn.
func (d *Decoder) StepAll(ctx context.Context, turns []Turn) error {
	plain := d.control.begin()
	for i := range turns {
		q, ok := d.seqs[turns[i].Seq]
		switch {
		case !ok || !q.ready:
			return &SequenceError{turns[i].Seq, "has had no Prompt"}
		case q.round == d.control.rounds:
			return &SequenceError{turns[i].Seq, "has two turns"}
		}
		q.round = d.control.rounds
	}
	start := d.opt.Clock()
	d.draft(ctx, turns, plain)
	drafting := d.opt.Clock().Sub(start)
	hidden := d.hidden() != NoHidden
	err := d.check(ctx, turns, hidden)
	if err != nil && d.guessed(turns) && ctx.Err() == nil && !errors.Is(err, engine.ErrClosed) {
		// What plain decoding would not run into must not stop a text.
		for i := range turns {
			d.seqs[turns[i].Seq].request.clear()
		}
		err = d.check(ctx, turns, hidden)
	}
	if err != nil {
		return err
	}
	d.commits, d.tokens = d.commits[:0], d.tokens[:0]
	row := 0
	for i := range turns {
		q := d.seqs[turns[i].Seq]
		d.settle(&turns[i], q, row, hidden)
		row += 1 + len(q.request.Guesses)
	}
	d.commit(ctx)
	took := d.opt.Clock().Sub(start)
	d.control.verified(len(turns), row, took-drafting-d.committing())
	d.account(turns, took, drafting)
	return nil
}

// guessed reports whether there is any guess.
func (d *Decoder) guessed(turns []Turn) bool {
	for i := range turns {
		if len(d.seqs[turns[i].Seq].request.Guesses) > 0 {
			return true
		}
	}
	return false
}

// committing returns what the last commit took.
func (d *Decoder) committing() time.Duration {
	var sum time.Duration
	for i := range d.drafters {
		if x := &d.drafters[i]; !x.failed {
			sum += x.commit
		}
	}
	return sum
}

// account adds a round's times to the statistics.
func (d *Decoder) account(turns []Turn, took, drafting time.Duration) {
	n := time.Duration(len(turns))
	plain := d.control.plain(len(turns)) / n
	for i := range turns {
		if turns[i].Err != nil {
			continue
		}
		q := d.seqs[turns[i].Seq]
		for _, s := range []*Stats{&d.stats, &q.stats} {
			s.Time += took / n
			s.Drafting += drafting / n
			s.PlainTime += plain * time.Duration(q.given)
		}
	}
}

// draft fills the requests of the sequences in turns.
func (d *Decoder) draft(ctx context.Context, turns []Turn, plain bool) {
	d.requests = d.requests[:0]
	room := d.room(turns)
	for i := range turns {
		t := &turns[i]
		q := d.seqs[t.Seq]
		q.drafter, q.asked = -1, 0
		r := &q.request
		r.Seq, r.Pos, r.Last, r.Max = t.Seq, q.past, q.last, room
		if t.Most > 0 {
			r.Max = min(room, t.Most-1)
		}
		r.clear()
		d.drawing(t, q)
		if r.Max > 0 && !plain {
			d.requests = append(d.requests, r)
		}
	}
	for i := range d.drafters {
		if len(d.requests) == 0 || ctx.Err() != nil {
			return
		}
		if !d.drafters[i].failed {
			d.ask(ctx, i, len(turns))
		}
	}
}

// room returns how many guesses there may be for each sequence: as many as the cache has cells for, and
// as one run can take. Windows move on from run to run, so that a draft must not be torn.
func (d *Decoder) room(turns []Turn) int {
	o := d.target.Options()
	n := min(d.opt.Max, o.Batch/len(turns)-1)
	if d.target.Cache().Recurrent() {
		n = min(n, o.Snapshots)
	}
	for n > 0 && d.target.Fits((n+1)*len(turns)) != nil {
		n--
	}
	return max(n, 0)
}

// drawing sets up rejection sampling, if that is asked for and the sampler draws.
func (d *Decoder) drawing(t *Turn, q *sequence) {
	q.request.temperature = 0
	if !d.opt.Rejection || t.Sampler.Params().Temperature <= 0 {
		return
	}
	p := t.Sampler.Params()
	if q.rng == nil {
		q.rng = rand.New(rand.NewPCG(p.Seed, uint64(t.Seq)))
	}
	q.request.rng, q.request.temperature = q.rng, float64(p.Temperature)
}

// ask has drafter i draft for d.requests, and leaves there those that it has no draft for.
func (d *Decoder) ask(ctx context.Context, i, seqs int) {
	x := &d.drafters[i]
	d.open = d.open[:0]
	deepest := 0
	for _, r := range d.requests {
		deepest = max(deepest, r.Max)
	}
	depth := d.control.depth(i, seqs, deepest)
	if depth == 0 {
		return
	}
	for _, r := range d.requests {
		r.Max = min(r.Max, depth)
	}
	start := d.opt.Clock()
	err := x.Draft(ctx, d.requests)
	d.control.drafted(i, depth, d.opt.Clock().Sub(start)+x.commit)
	d.copied(x)
	if err == nil {
		err = d.inspect()
	}
	if err != nil {
		for _, r := range d.requests {
			r.clear()
		}
		if ctx.Err() == nil {
			d.fail(i, err)
		}
		return
	}
	for _, r := range d.requests {
		q := d.seqs[r.Seq]
		if len(r.Guesses) >= max(d.opt.Min, 1) {
			q.drafter, q.asked = i, r.Max
			continue
		}
		d.control.judged(i, r.Max, 0, 0)
		r.clear()
		d.open = append(d.open, r)
	}
	d.requests, d.open = d.open, d.requests
}

// copied adds what a draft copied to the statistics, in equal parts where it was for several sequences.
func (d *Decoder) copied(x *drafter) {
	c, ok := x.Drafter.(interface{ Copied() int64 })
	if !ok {
		return
	}
	n := c.Copied() - x.copied
	x.copied += n
	d.stats.Copied += n
	for _, r := range d.requests {
		d.seqs[r.Seq].stats.Copied += n / int64(len(d.requests))
	}
}

// inspect reports a draft that no drafter must make.
func (d *Decoder) inspect() error {
	vocab := d.target.Params().Vocab
	for _, r := range d.requests {
		if len(r.Guesses) > r.Max {
			return &GuessError{r.Seq, fmt.Sprintf("has %d guesses, want at most %d", len(r.Guesses), r.Max)}
		}
		if len(r.ends) != len(r.Guesses) {
			return &GuessError{r.Seq, "was not made by Add or Choose"}
		}
		for _, id := range r.Guesses {
			if id < 0 || int(id) >= vocab {
				return &GuessError{r.Seq, fmt.Sprintf("has the token %d, want 0 to %d", id, vocab-1)}
			}
		}
	}
	return nil
}

// check takes the last tokens and the guesses of the sequences through the target.
func (d *Decoder) check(ctx context.Context, turns []Turn, hidden bool) error {
	d.batch = d.batch[:0]
	for i := range turns {
		q := d.seqs[turns[i].Seq]
		d.batch = append(d.batch, engine.Token{ID: q.last, Pos: q.past, Seq: turns[i].Seq, Output: true})
		for j, id := range q.request.Guesses {
			d.batch = append(d.batch, engine.Token{ID: id, Pos: q.past + 1 + int32(j), Seq: turns[i].Seq, Output: true})
		}
	}
	return d.decode(ctx, hidden, false)
}

// settle verifies a sequence's draft, whose first row is row, and takes what is wrong out of the cache.
func (d *Decoder) settle(t *Turn, q *sequence, row int, hidden bool) {
	from := len(t.Tokens)
	err := d.verifier.verify(d.target, row, &q.request, t)
	kept := len(t.Tokens) - from // in the cache now: last and the guesses that were right
	if kept > 0 {
		// An error after the first row comes again, with the next round, as it would without guesses.
		err = nil
	}
	if removed := d.target.Cache().Remove(int(t.Seq), int(q.past)+kept, -1); removed != nil {
		// The cache holds what is not of the text, which can be put right by nothing but a new start.
		t.Tokens, q.ready = t.Tokens[:from], false
		t.Err = errors.Join(err, removed)
		return
	}
	if t.Err = err; err != nil {
		return
	}
	c := Commit{Seq: t.Seq, Pos: q.past, LastRow: row + kept - 1}
	if hidden {
		c.States = d.target
	}
	begin := len(d.tokens)
	d.tokens = append(append(d.tokens, q.last), t.Tokens[from:len(t.Tokens)-1]...)
	c.Tokens = d.tokens[begin:len(d.tokens):len(d.tokens)]
	d.commits = append(d.commits, c)
	q.past, q.given = q.past+int32(kept), kept
	q.last = t.Tokens[len(t.Tokens)-1]
	guesses := len(q.request.Guesses)
	if q.drafter >= 0 && guesses > 0 {
		d.control.judged(q.drafter, q.asked, guesses, kept-1)
	}
	d.stats.count(guesses, kept-1)
	q.stats.count(guesses, kept-1)
}
