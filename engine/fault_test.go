package engine_test

import (
	"context"
	"errors"

	"github.com/tenon-go/tenon/backends"
)

var errLost = errors.New("the device is lost")

// fault is a device that fails, or does something else, after a number of submits.
type fault struct {
	backends.Device
	left   int
	err    error
	armed  bool
	before func() // called before each submit, if not nil
}

// after has the submit after n more fail with err; a negative n stops that.
func (f *fault) after(n int, err error) { f.left, f.err, f.armed = n, err, n >= 0 }

func (f *fault) Compile(g *backends.Subgraph) (backends.Program, error) {
	p, err := f.Device.Compile(g)
	if err != nil {
		return nil, err
	}
	return &faultProgram{p, f}, nil
}

type faultProgram struct {
	backends.Program
	f *fault
}

func (p *faultProgram) Submit(ctx context.Context) error {
	f := p.f
	if f.before != nil {
		f.before()
	}
	if f.armed {
		if f.left == 0 {
			f.armed = false
			return f.err
		}
		f.left--
	}
	return p.Program.Submit(ctx)
}
