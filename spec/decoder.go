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

// Decoder decodes sequences of a target with the guesses of its drafters.
type Decoder struct {
	target   *engine.Engine
	drafters []drafter
	opt      Options
	control  *control
	seqs     map[int32]*sequence
	stats    Stats

	// Scratch of a round.
	one      [1]Turn
	batch    []engine.Token
	requests []*Request
	open     []*Request // that have no draft yet
	commits  []Commit
	tokens   []int32
	verifier verifier
	whole    uncancelled
}

// uncancelled is context.WithoutCancel without an allocation in each round.
type uncancelled struct{ context.Context }

func (*uncancelled) Deadline() (t time.Time, ok bool) { return }
func (*uncancelled) Done() <-chan struct{}            { return nil }
func (*uncancelled) Err() error                       { return nil }

// drafter is a Drafter as the Decoder knows it.
type drafter struct {
	Drafter
	failed bool
	commit time.Duration // what its last Commit took
	copied int64         // what its Copied said last
}

// sequence is what a Decoder knows of a sequence.
type sequence struct {
	past    int32 // tokens in the target's cache
	last    int32 // the token after them: chosen, given out, not in the cache yet
	ready   bool  // there is a last
	round   int   // the round that it took part in last
	request Request
	drafter int // that the draft is from, or -1
	asked   int // guesses that it was asked for
	given   int // tokens of the last round
	stats   Stats
	rng     *rand.Rand // of rejection sampling
}

// NewDecoder returns a decoder over target. The drafters are asked in order: the first that guesses
// anything is taken. The decoder owns them.
func NewDecoder(target *engine.Engine, opt Options, drafters ...Drafter) *Decoder {
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	opt.Max = max(opt.Max, 0)
	d := &Decoder{target: target, opt: opt, control: newControl(len(drafters), opt.Max, opt.Fixed), seqs: map[int32]*sequence{}}
	for _, x := range drafters {
		d.drafters = append(d.drafters, drafter{Drafter: x})
	}
	return d
}

// Stats returns what the decoder has done so far, for all sequences.
func (d *Decoder) Stats() Stats { return d.stats.clone() }

// SequenceStats returns what the decoder has done for a sequence since that was empty.
func (d *Decoder) SequenceStats(seq int32) Stats {
	q, ok := d.seqs[seq]
	if !ok {
		return Stats{}
	}
	s := q.stats.clone()
	s.Failed = append(s.Failed, d.stats.Failed...)
	return s
}

// Memory reports what the drafters hold, device by device, those of one after those of another.
func (d *Decoder) Memory() (all []engine.DeviceMemory) {
	for _, x := range d.drafters {
		if x, ok := x.Drafter.(interface{ Memory() []engine.DeviceMemory }); ok {
			all = append(all, x.Memory()...)
		}
	}
	return all
}

// Close closes the drafters.
func (d *Decoder) Close() error {
	var errs []error
	for _, x := range d.drafters {
		errs = append(errs, x.Close())
	}
	return errors.Join(errs...)
}

// Truncate takes all but the first n tokens of a sequence away, from the target's cache too. Prompt goes
// on from there. Errors: those of kv.Cache.Remove; nothing is changed then.
func (d *Decoder) Truncate(seq, n int32) error {
	if err := d.target.Cache().Remove(int(seq), int(n), -1); err != nil {
		return err
	}
	d.truncated(seq, n)
	return nil
}

// truncated says so to those who must know.
func (d *Decoder) truncated(seq, n int32) {
	if q, ok := d.seqs[seq]; ok {
		q.past, q.ready = min(q.past, n), false
		if n <= 0 {
			q.stats, q.rng = Stats{}, nil
		}
	}
	for i := range d.drafters {
		if x := &d.drafters[i]; !x.failed {
			x.Truncate(seq, max(n, 0))
		}
	}
}

// Restored says that a sequence holds tokens, all of them, that came another way than through Prompt: the target has
// restored them, say. If next is not -1 it was chosen after them, and Step goes on from there; otherwise Prompt does.
// Drafters that read the text know it then. Those that go on from the target's hidden states, which nobody has
// kept, guess again as soon as there are new ones.
func (d *Decoder) Restored(ctx context.Context, seq int32, tokens []int32, next int32) error {
	if past := d.target.Cache().MaxPos(int(seq)) + 1; past != len(tokens) {
		return &SequenceError{seq, fmt.Sprintf("has %d tokens, and %d were restored", past, len(tokens))}
	}
	d.truncated(seq, 0)
	q := d.begin(seq, int32(len(tokens)))
	q.last, q.ready = next, next >= 0
	d.commits = append(d.commits[:0], Commit{Seq: seq, Tokens: tokens})
	d.commit(ctx)
	return nil
}

// Feed takes a part of a prompt into a sequence, after what it holds. The last part goes to Prompt.
//
// Errors: those of Engine.Decode. The sequence is then as it was.
func (d *Decoder) Feed(ctx context.Context, seq int32, ids []int32) error {
	return d.feed(ctx, seq, ids, nil)
}

// Prompt takes a prompt, or what is left of it, into a sequence and returns the first token after it,
// chosen by s, which must have accepted what it is to know of the prompt. The token is accepted.
//
// Errors: those of Engine.Decode, and the sampler's. The sequence is then as it was.
func (d *Decoder) Prompt(ctx context.Context, seq int32, ids []int32, s *sample.Sampler) (int32, error) {
	var id int32
	err := d.feed(ctx, seq, ids, func() (err error) {
		if id, err = s.Sample(d.target.Logits(len(d.target.Outputs()) - 1)); err == nil {
			err = s.Accept(id)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	q := d.seqs[seq]
	q.last, q.ready = id, true
	return id, nil
}

// feed takes ids through the target in runs of its size, and calls choose after the last.
func (d *Decoder) feed(ctx context.Context, seq int32, ids []int32, choose func() error) (err error) {
	from := int32(d.target.Cache().MaxPos(int(seq)) + 1)
	q := d.begin(seq, from)
	if err := d.target.Fits(len(ids)); err != nil {
		return err
	}
	defer func() {
		if err != nil && q.past > from {
			err = errors.Join(err, d.Truncate(seq, from))
		}
	}()
	for size := d.target.Options().Batch; ; {
		run := ids[:min(size, len(ids))]
		ids = ids[len(run):]
		if err := d.feedRun(ctx, seq, q, run, len(ids) == 0 && choose != nil); err != nil {
			return err
		}
		if len(ids) > 0 {
			continue
		}
		if choose != nil {
			if err := choose(); err != nil {
				return err
			}
		}
		return nil
	}
}

// begin returns the sequence, which holds past tokens now. What it held before may be gone, or others
// may have been put there.
func (d *Decoder) begin(seq, past int32) *sequence {
	q, ok := d.seqs[seq]
	if !ok {
		q = new(sequence)
		d.seqs[seq] = q
	}
	if !ok || q.past != past || past == 0 {
		d.truncated(seq, min(q.past, past))
		q.past = past
	}
	q.ready = false
	return q
}

// feedRun takes one run of a prompt.
func (d *Decoder) feedRun(ctx context.Context, seq int32, q *sequence, ids []int32, output bool) error {
	hidden := d.hidden()
	output = output || hidden != NoHidden
	d.batch = d.batch[:0]
	for i, id := range ids {
		d.batch = append(d.batch, engine.Token{ID: id, Pos: q.past + int32(i), Seq: seq, Output: output && i == len(ids)-1})
	}
	if err := d.decode(ctx, hidden != NoHidden, hidden == AllHidden); err != nil {
		return err
	}
	c := Commit{Seq: seq, Pos: q.past, Tokens: ids}
	if hidden != NoHidden {
		c.States = d.target
	}
	if hidden == AllHidden {
		c.LastRow = len(ids) - 1
	}
	q.past += int32(len(ids))
	d.commits = append(d.commits[:0], c)
	d.commit(ctx)
	return nil
}

// hidden returns what the drafters want of the target's hidden states.
func (d *Decoder) hidden() Hidden {
	wanted := NoHidden
	for i := range d.drafters {
		if x := &d.drafters[i]; !x.failed {
			wanted = max(wanted, x.Hidden())
		}
	}
	return wanted
}

// decode takes the batch through the target.
func (d *Decoder) decode(ctx context.Context, hidden, all bool) error {
	if hidden {
		return d.target.DecodeHidden(ctx, d.batch, all)
	}
	return d.target.Decode(ctx, d.batch)
}

// commit tells the drafters what is in the target's cache now. They are told to the end: a drafter that
// has missed tokens would guess badly from then on.
func (d *Decoder) commit(ctx context.Context) {
	d.whole.Context = ctx
	defer func() { d.whole.Context = nil }()
	for i := range d.drafters {
		x := &d.drafters[i]
		if x.failed {
			continue
		}
		if x.commit = 0; len(d.commits) > 0 && d.commits[0].States == nil && x.Hidden() != NoHidden {
			continue // restored: there are no states
		}
		start := d.opt.Clock()
		err := x.Commit(&d.whole, d.commits)
		x.commit = d.opt.Clock().Sub(start)
		if err != nil {
			d.fail(i, err)
		}
	}
}

// fail leaves drafter i out from now on.
func (d *Decoder) fail(i int, err error) {
	d.drafters[i].failed = true
	d.stats.Failed = append(d.stats.Failed, d.drafters[i].Name())
	if d.opt.OnFailure != nil {
		d.opt.OnFailure(d.drafters[i].Name(), err)
	}
}
