package conformance

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/backends"
)

// runOp runs a case of chapter ops: it compares the result with the oracle's, and looks for changes
// where there must be none. Of two cases one waits for the end of the run, and one has its read wait.
func (c *Case) runOp(ctx context.Context, s *session) (m measure, err error) {
	r := newRand(c.ID, s.opt.Seed)
	g := newGen(r)
	out := c.build(g)
	b, err := s.bind(g, c.want&inPlace != 0, out)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	memory, oracleErr := b.oracle()
	if errors.Is(oracleErr, backends.ErrIndex) != (c.want&indexError != 0) || oracleErr != nil && c.want&indexError == 0 {
		return m, fmt.Errorf("the case itself is wrong: %w", oracleErr)
	}
	if err := b.reset(); err != nil {
		return m, err
	}
	// Where an error is due, it may show itself late.
	err = b.submit(ctx, c.want&indexError != 0 || r.IntN(2) == 0)
	if c.want&indexError != 0 {
		if !errors.Is(err, backends.ErrIndex) {
			return m, fmt.Errorf("an index lies outside: have error %v, want one that matches ErrIndex", err)
		}
	} else if err != nil {
		return m, fmt.Errorf("submitting: %w", err)
	}
	if err := b.fetch(); err != nil {
		return m, err
	}
	if c.want&indexError == 0 {
		want, _ := memory.Result(out)
		got, err := b.read(out)
		if err != nil {
			return m, err
		}
		if m, err = compare(&got, &want, toleranceOf(out)); err != nil {
			return m, err
		}
	}
	return m, b.untouched()
}
