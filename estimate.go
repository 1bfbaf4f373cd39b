package tenon

import (
	"errors"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
)

// WithPlacement says where layers and single weights go; see engine.Placement. Without it layers are
// spread evenly over the devices.
func WithPlacement(p engine.Placement) Option { return func(c *config) { c.engine.Placement = p } }

// Estimate returns where the model at path would run, and with what memory, if it was opened with
// options: the plan of a run of the given number of tokens and what each device would hold, but for a
// draft. No memory of a device is allocated. That something does not fit is no error: Estimate.Fits says it.
//
// Errors: those of Open.
func Estimate(path string, tokens int, options ...Option) (e *engine.Estimate, err error) {
	err = planned(path, options, func(f *gguf.File, opt engine.Options) error {
		e, err = engine.NewEstimate(f, opt, tokens)
		return err
	})
	return e, err
}

// Fit returns changes of options with which the model at path fits; see engine.Fit.
func Fit(path string, options ...Option) (all []engine.Proposal, err error) {
	err = planned(path, options, func(f *gguf.File, opt engine.Options) error {
		all, err = engine.Fit(f, opt)
		return err
	})
	return all, err
}

// planned calls do with the model at path and what options make of the engine's.
func planned(path string, options []Option, do func(f *gguf.File, opt engine.Options) error) error {
	var c config
	for _, o := range options {
		o(&c)
	}
	if c.threads < 0 {
		return &engine.OptionError{Name: "threads", Value: c.threads, Wants: "0 or more"}
	}
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	var m Model // of which only the devices are used
	if err = m.openDevices(&c); err == nil {
		err = do(f, c.engine)
	}
	for _, d := range m.own {
		err = errors.Join(err, d.Close())
	}
	return errors.Join(err, f.Close())
}
