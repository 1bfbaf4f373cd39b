package spec

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/sample"
)

// Options sets up a Decoder.
type Options struct {
	Max int // guesses in a round; 0 decodes without speculation
	Min int // drafts shorter than this are not worth a check, and are dropped
	// OnFailure is told once of a drafter that failed and is left out from then on.
	OnFailure func(drafter string, err error)
}

// Decoder decodes sequences of a target with the guesses of its drafters.
type Decoder struct {
	target   *engine.Engine
	drafters []Drafter
	opt      Options
	failed   []bool
	seqs     map[int32]*sequence
	stats    Stats
	batch    []engine.Token
	guesses  []int32
	tokens   []int32
	rows     hiddenRows
}

// sequence is what a Decoder knows of a sequence.
type sequence struct {
	past int32 // tokens in the target's cache
	last int32 // the token after them: chosen, given out, not in the cache yet
}

// NewDecoder returns a decoder over target. The drafters are asked in order: the first that guesses
// anything is taken. The decoder owns them.
func NewDecoder(target *engine.Engine, opt Options, drafters ...Drafter) *Decoder {
	return &Decoder{target: target, drafters: drafters, opt: opt, failed: make([]bool, len(drafters)), seqs: map[int32]*sequence{}}
}

// Stats returns what the decoder has done so far.
func (d *Decoder) Stats() Stats { return d.stats.clone() }

// Close closes the drafters.
func (d *Decoder) Close() error {
	var errs []error
	for _, x := range d.drafters {
		errs = append(errs, x.Close())
	}
	return errors.Join(errs...)
}

// Prompt takes a prompt into an empty sequence and returns the first token after it, chosen by s.
//
// Errors: those of Engine.Decode, and the sampler's. The sequence is then as it was.
func (d *Decoder) Prompt(ctx context.Context, seq int32, ids []int32, s *sample.Sampler) (int32, error) {
	d.batch = d.batch[:0]
	for i, id := range ids {
		d.batch = append(d.batch, engine.Token{ID: id, Pos: int32(i), Seq: seq, Output: i == len(ids)-1})
	}
	if err := d.target.Decode(ctx, d.batch); err != nil {
		return 0, err
	}
	id, err := s.Sample(d.target.Logits(0))
	if err == nil {
		err = s.Accept(id)
	}
	if err != nil {
		return 0, errors.Join(err, d.target.Cache().Remove(int(seq), 0, -1))
	}
	d.seqs[seq] = &sequence{past: int32(len(ids)), last: id}
	for i, x := range d.drafters {
		if !d.failed[i] {
			x.Begin(seq)
		}
	}
	d.commit(ctx, seq, ids, 1)
	return id, nil
}

// Step decodes one round and appends to dst the tokens that it gives, one at least: the guesses that
// the target agrees with, and one of its own. At most most tokens are given.
//
// Errors: those of Engine.Decode, and the sampler's. The sequence is then as it was before the round.
func (d *Decoder) Step(ctx context.Context, seq int32, s *sample.Sampler, most int, dst []int32) ([]int32, error) {
	q, ok := d.seqs[seq]
	if !ok {
		return dst, fmt.Errorf("spec: sequence %d has had no Prompt", seq)
	}
	d.draft(ctx, seq, q, most-1)
	d.batch = append(d.batch[:0], engine.Token{ID: q.last, Pos: q.past, Seq: seq, Output: true})
	for i, id := range d.guesses {
		d.batch = append(d.batch, engine.Token{ID: id, Pos: q.past + 1 + int32(i), Seq: seq, Output: true})
	}
	if err := d.target.Decode(ctx, d.batch); err != nil {
		return dst, err
	}
	from := len(dst)
	dst, err := d.verify(s, dst)
	if err != nil {
		return dst[:from], errors.Join(err, d.target.Cache().Remove(int(seq), int(q.past), -1))
	}
	kept := len(dst) - from // tokens now in the cache: last and the guesses that were right
	if err := d.target.Cache().Remove(int(seq), int(q.past)+kept, -1); err != nil {
		return dst, err
	}
	d.tokens = append(append(d.tokens[:0], q.last), dst[from:len(dst)-1]...)
	d.commit(ctx, seq, d.tokens, kept)
	q.past += int32(kept)
	q.last = dst[len(dst)-1]
	d.stats.count(len(d.guesses), kept-1)
	return dst, nil
}

// verify appends the target's own choice at each row as long as it is what was guessed, and the first
// that is not.
func (d *Decoder) verify(s *sample.Sampler, dst []int32) ([]int32, error) {
	for i := 0; ; i++ {
		id, err := s.Sample(d.target.Logits(i))
		if err == nil {
			err = s.Accept(id)
		}
		if err != nil {
			return dst, err
		}
		dst = append(dst, id)
		if i == len(d.guesses) || id != d.guesses[i] {
			return dst, nil
		}
	}
}

// draft fills d.guesses with at most most guesses.
func (d *Decoder) draft(ctx context.Context, seq int32, q *sequence, most int) {
	d.guesses = d.guesses[:0]
	n := min(d.opt.Max, most)
	for n > 0 && d.target.Fits(n+1) != nil {
		n--
	}
	for i, x := range d.drafters {
		if d.failed[i] || n <= 0 {
			continue
		}
		var err error
		d.guesses, err = x.Draft(ctx, seq, q.last, n, d.guesses[:0])
		if err != nil {
			d.guesses = d.guesses[:0]
			if ctx.Err() == nil {
				d.fail(i, err)
			}
			continue
		}
		if len(d.guesses) > 0 && len(d.guesses) >= d.opt.Min {
			return
		}
		d.guesses = d.guesses[:0]
	}
}

// commit tells the drafters what is in the target's cache now. The last n outputs of the target's batch
// belong to the last tokens.
func (d *Decoder) commit(ctx context.Context, seq int32, tokens []int32, n int) {
	d.rows = hiddenRows{d.target, n}
	for i, x := range d.drafters {
		if d.failed[i] {
			continue
		}
		if err := x.Commit(ctx, seq, tokens, &d.rows); err != nil {
			d.fail(i, err)
		}
	}
}

// fail leaves drafter i out from now on.
func (d *Decoder) fail(i int, err error) {
	d.failed[i] = true
	d.stats.Failed = append(d.stats.Failed, d.drafters[i].Name())
	if d.opt.OnFailure != nil {
		d.opt.OnFailure(d.drafters[i].Name(), err)
	}
}

// hiddenRows are the first n rows of the target's last call.
type hiddenRows struct {
	target *engine.Engine
	n      int
}

func (r *hiddenRows) Len() int            { return r.n }
func (r *hiddenRows) Row(i int) []float32 { return r.target.Hidden(i) }
