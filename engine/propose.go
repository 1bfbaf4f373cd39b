package engine

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
)

// Proposal is a change of options with which a model fits, and what it would need then. Fields that
// are 0 or nil stay as they are.
type Proposal struct {
	DeviceLayers *int         `json:"deviceLayers,omitempty"` // on Options.Devices
	Split        []float64    `json:"split,omitempty"`        // of these over the devices
	Context      int          `json:"context,omitempty"`
	Batch        int          `json:"batch,omitempty"`
	Memory       []DeviceNeed `json:"memory"`
}

// Flags returns p as the flags of the command.
func (p *Proposal) Flags() string {
	var flags []string
	if p.DeviceLayers != nil {
		flags = append(flags, "--gpu-layers "+strconv.Itoa(*p.DeviceLayers))
	}
	if p.Split != nil {
		var shares []string
		for _, s := range p.Split {
			shares = append(shares, strconv.FormatFloat(s, 'f', -1, 64))
		}
		flags = append(flags, "--tensor-split "+strings.Join(shares, ","))
	}
	if p.Context > 0 {
		flags = append(flags, "--ctx-size "+strconv.Itoa(p.Context))
	}
	if p.Batch > 0 {
		flags = append(flags, "--batch-size "+strconv.Itoa(p.Batch))
	}
	return strings.Join(flags, " ")
}

// apply returns opt with the changes of p.
func (p *Proposal) apply(opt Options) Options {
	if p.DeviceLayers != nil {
		opt.Placement.DeviceLayers = p.DeviceLayers
	}
	if p.Split != nil {
		opt.Placement.Split = p.Split
	}
	if p.Context > 0 {
		opt.Context = p.Context
	}
	if p.Batch > 0 {
		opt.Batch = p.Batch
	}
	return opt
}

// The smallest sizes that are proposed, in tokens.
const (
	leastContext = 256
	leastBatch   = 16
)

// Fit returns what would fit: nothing if opt does, and otherwise the largest change of each kind that
// does by itself - fewer layers on the devices, a smaller context, a smaller batch - or, if none does,
// fewer layers with a small batch and as much context as then fits. If nothing at all does, the error is
// that of opt. It is a pure function: nothing is allocated, and equal devices with equal memory free give
// equal answers.
//
// Errors: those of New.
func Fit(f *gguf.File, opt Options) ([]Proposal, error) {
	m, err := model.Open(f)
	if err != nil {
		return nil, err
	}
	l, err := newLayout(m, opt)
	if err != nil {
		return nil, err
	}
	s := fitter{m: m, opt: opt, context: l.opt.Context, batch: l.opt.Batch}
	b, refusal := draw(m, opt)
	if refusal == nil {
		refusal = b.fits()
	}
	if refusal == nil || !isTooLarge(refusal) {
		return nil, refusal
	}
	all, err := s.single()
	if err == nil && len(all) == 0 {
		all, err = s.combined()
	}
	if err == nil && len(all) == 0 {
		err = refusal
	}
	return all, err
}

// fitter looks for options that fit.
type fitter struct {
	m              *model.Model
	opt            Options
	context, batch int // in force
}

// isTooLarge reports whether err says that something does not fit into a device or into one buffer.
func isTooLarge(err error) bool {
	var cells *kv.ConfigError // of a cache, one tensor of which is too large
	return errors.Is(err, buffer.ErrNoMemory) || errors.As(err, &cells) && cells.Field == "Cells"
}

// fits reports whether the model fits with p, and keeps what it then needs. A tensor that is too large
// for one buffer does not fit either.
func (s *fitter) fits(p *Proposal) (bool, error) {
	b, err := draw(s.m, p.apply(s.opt))
	if isTooLarge(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p.Memory = b.needs()
	return fits(p.Memory) == nil, nil
}

// most returns the proposal of the largest n from least to top that fits, or nil. What fits with n
// fits with fewer.
func (s *fitter) most(least, top int, of func(n int) Proposal) (*Proposal, error) {
	var best *Proposal
	for least <= top {
		mid := least + (top-least)/2
		p := of(mid)
		ok, err := s.fits(&p)
		if err != nil {
			return nil, err
		}
		if ok {
			best, least = &p, mid+1
		} else {
			top = mid - 1
		}
	}
	return best, nil
}

// single returns the changes of one kind that are enough.
func (s *fitter) single() ([]Proposal, error) {
	var all []Proposal
	for _, find := range []func() (*Proposal, error){
		func() (*Proposal, error) { return s.layers(Proposal{}) },
		func() (*Proposal, error) {
			return s.most(1, (s.context-1)/leastContext, func(n int) Proposal { return Proposal{Context: n * leastContext} })
		},
		func() (*Proposal, error) {
			return s.most(1, (s.batch-1)/leastBatch, func(n int) Proposal { return Proposal{Batch: n * leastBatch} })
		},
	} {
		p, err := find()
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, *p)
		}
	}
	return all, nil
}

// layers returns the most layers that fit on the devices, with the other changes of p; several devices
// share them by the memory that they have free.
func (s *fitter) layers(p Proposal) (*Proposal, error) {
	place := &s.opt.Placement
	if s.opt.LayerDevices != nil || len(place.Ranges) > 0 { // somebody has decided
		return nil, nil
	}
	if len(s.opt.Devices) > 1 && place.Split == nil {
		p.Split = freeShares(s.opt)
	}
	top := s.m.Layers
	if place.DeviceLayers != nil {
		top = min(top, *place.DeviceLayers)
	}
	least := top // without a fallback all layers stay
	if s.opt.Fallback != nil {
		least = 0
	}
	return s.most(least, top, func(n int) Proposal {
		q := p
		q.DeviceLayers = &n
		return q
	})
}

// freeShares returns the free memory of each device in MiB, or nil if one does not say.
func freeShares(opt Options) []float64 {
	var shares []float64
	for _, d := range opt.Devices {
		free := d.Info().MemoryFree
		if free == 0 {
			return nil
		}
		shares = append(shares, math.Round(float64(free)/(1<<20)))
	}
	for _, s := range shares {
		if s > 0 {
			return shares
		}
	}
	return nil
}

// combined returns fewer layers with a small batch and a context that is halved until that fits.
func (s *fitter) combined() ([]Proposal, error) {
	for context := s.context; ; context = max(leastContext, context/2) {
		p := Proposal{}
		if context < s.context {
			p.Context = context
		}
		if small := min(64, s.batch); small < s.batch {
			p.Batch = small
		}
		q, err := s.layers(p)
		if q == nil && err == nil {
			var ok bool
			if ok, err = s.fits(&p); ok {
				q = &p
			}
		}
		if q != nil || err != nil {
			return proposals(q), err
		}
		if context <= leastContext {
			return nil, nil
		}
	}
}

// proposals returns p as a list, empty if there is none.
func proposals(p *Proposal) []Proposal {
	if p == nil {
		return nil
	}
	return []Proposal{*p}
}
