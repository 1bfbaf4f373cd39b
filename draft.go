package tenon

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/spec"
	"github.com/tenon-go/tenon/tensor"
)

// The names of drafters, as SpecOptions.Types has them.
const (
	DraftMTP    = "draft-mtp"    // multi-token prediction: a draft that was trained with the target
	DraftSimple = "draft-simple" // a smaller model with the same vocabulary
	DraftNGram  = "ngram"        // what followed the last tokens earlier in the text
)

// DefaultSpecMax is how many tokens are guessed at a time unless SpecOptions.Max says otherwise.
const DefaultSpecMax = 3

// SpecOptions sets up speculative decoding. What is generated is what is generated without it, unless
// Rejection is set.
type SpecOptions struct {
	// Types names the drafters in the order in which they are asked: the first that guesses anything is
	// taken. Empty means what the model of WithDraft is made for.
	Types []string

	Max  int     // guesses at a time at most; DefaultSpecMax if 0
	Min  int     // drafts of fewer guesses are not checked
	PMin float32 // a draft ends before a guess less probable than this: 0 to 1

	// Fixed always asks for Max guesses, in place of as many as pay.
	Fixed bool
	// Rejection takes more guesses where tokens are drawn. The texts are others then, and as likely.
	Rejection bool

	// Devices run the draft, such as "Vulkan0". Nil puts a draft-mtp where the cache lies that it reads,
	// and another where the target is.
	Devices []string
	// Placement spreads the layers of the draft over Devices, or what they are without: see
	// engine.Placement. That of single weights is for a draft-simple alone.
	Placement engine.Placement
	// Mirror lets a draft-mtp run where it cannot read the target's cache: what it reads is copied there.
	Mirror bool
	// TypeK and TypeV are the types of a draft's own cache. A draft-mtp that reads the target's has none:
	// what is not the target's is refused.
	TypeK, TypeV *tensor.DType

	NGram spec.NGramOptions

	// OnFailure is told once of a drafter that failed. Generation goes on without it.
	OnFailure func(drafter string, err error)
}

// WithDraft has the model at path guess tokens ahead: see SpecOptions.
func WithDraft(path string) Option { return func(c *config) { c.draft = source{path: path} } }

// WithDraftData is WithDraft for a model file that is in memory already; see OpenData.
func WithDraftData(name string, file []byte) Option {
	return func(c *config) { c.draft = source{name, file} }
}

// WithSpec sets up speculative decoding.
func WithSpec(o SpecOptions) Option { return func(c *config) { c.spec, c.speculates = o, true } }

// complete checks o, and fills in what it leaves open but for Types.
func (o *SpecOptions) complete(draft string) error {
	if o.Max == 0 {
		o.Max = DefaultSpecMax
	}
	needs, reads := false, false
	for _, t := range o.Types {
		switch t {
		case DraftMTP:
			needs, reads = true, true
		case DraftSimple:
			needs = true
		case DraftNGram:
		default:
			return specError("Types", t, strings.Join([]string{DraftMTP, DraftSimple, DraftNGram}, ", "))
		}
	}
	open := len(o.Types) == 0
	switch {
	case o.Max < 0:
		return specError("Max", o.Max, "1 or more")
	case o.Min < 0 || o.Min > o.Max:
		return specError("Min", o.Min, fmt.Sprintf("0 to Max, which is %d", o.Max))
	case !(o.PMin >= 0 && o.PMin <= 1):
		return specError("PMin", o.PMin, "0 to 1")
	case open && draft == "":
		return specError("Types", "empty", "a drafter, or a model to draft with")
	case slices.Contains(o.Types, DraftSimple) && draft == "":
		return specError("Types", DraftSimple, "a model to draft with")
	case !open && !needs && draft != "":
		return specError("Types", strings.Join(o.Types, ","), "one that runs the draft that was given: "+DraftMTP+" or "+DraftSimple)
	case !open && !needs && (o.Devices != nil || !o.Placement.IsZero() || o.TypeK != nil || o.TypeV != nil):
		return specError("Devices, Placement, TypeK and TypeV", "given", "nothing without a draft")
	case !open && !reads && o.Mirror:
		return specError("Mirror", true, "false without "+DraftMTP)
	}
	return nil
}

func specError(name string, value any, wants string) error {
	return &engine.OptionError{Name: "SpecOptions." + name, Value: value, Wants: wants}
}

// openDrafters makes m.decoder, if c asks for one.
func (m *Model) openDrafters(c *config) (err error) {
	if !c.speculates {
		return nil
	}
	o := &c.spec
	if c.draft.path != "" {
		if m.draftFile, err = c.draft.open(); err != nil {
			return err
		}
	}
	if len(o.Types) == 0 {
		o.Types = []string{m.kindOf(m.draftFile)}
		if err := o.complete(c.draft.path); err != nil { // now that it is known what the options are for
			return err
		}
	}
	devices, err := m.openNamed(c, o.Devices)
	if err != nil {
		return err
	}
	var drafters []spec.Drafter
	for _, t := range o.Types {
		d, err := m.openDrafter(t, o, devices)
		if err != nil {
			for _, x := range drafters {
				err = errors.Join(err, x.Close())
			}
			return err
		}
		drafters = append(drafters, d)
	}
	m.decoder = spec.NewDecoder(m.engine, spec.Options{
		Max: o.Max, Min: o.Min, Fixed: o.Fixed, Rejection: o.Rejection, OnFailure: o.OnFailure,
	}, drafters...)
	return nil
}

// kindOf returns the drafter that a file is made for. It may be the model's own, or another copy of it,
// that has its draft inside.
func (m *Model) kindOf(f *gguf.File) string {
	if _, err := model.Open(f); errors.Is(err, model.ErrDraft) || m.engine.DraftedBy(f) {
		return DraftMTP
	}
	return DraftSimple
}

// openDrafter opens one drafter.
func (m *Model) openDrafter(kind string, o *SpecOptions, devices []backends.Device) (spec.Drafter, error) {
	switch kind {
	case DraftNGram:
		return spec.NewNGram(o.NGram), nil
	case DraftMTP:
		f := m.draftFile
		if f == nil {
			f = m.file // the draft may be a part of the target
		}
		d, err := engine.NewDraft(f, m.engine, engine.DraftOptions{
			Devices: devices, Placement: o.Placement, Mirror: o.Mirror, TypeK: o.TypeK, TypeV: o.TypeV, Depth: o.Max,
		})
		if err != nil {
			return nil, err
		}
		return spec.NewMTP(d, spec.MTPOptions{PMin: o.PMin}), nil
	}
	if err := spec.CheckVocab(m.file, m.draftFile); err != nil {
		return nil, err
	}
	t := m.engine.Options()
	opt := engine.Options{
		Devices: devices, Placement: o.Placement, Fallback: t.Fallback, Context: t.Context, Batch: t.Batch, Sequences: t.Sequences,
		Exact: t.Exact, NoFusion: t.NoFusion, Reproducible: t.Reproducible, FullWindow: true, Snapshots: o.Max, CacheK: tensor.F16, CacheV: tensor.F16,
	}
	if len(devices) == 0 {
		opt.Devices = t.Devices
	}
	if o.TypeK != nil {
		opt.CacheK = *o.TypeK
	}
	if o.TypeV != nil {
		opt.CacheV = *o.TypeV
	}
	opt.ExactCache = opt.CacheK == tensor.F32 && opt.CacheV == tensor.F32
	e, err := engine.New(m.draftFile, opt)
	if err != nil {
		return nil, fmt.Errorf("the draft: %w", err)
	}
	return spec.NewSimple(e, spec.SimpleOptions{PMin: o.PMin, Vocab: m.Params().Vocab}), nil
}

// speculated reports what speculative decoding has done for a sequence, or nil.
func (m *Model) speculated(seq int32) *spec.Stats {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	if m.decoder == nil {
		return nil
	}
	s := m.decoder.SequenceStats(seq)
	return &s
}

// Speculation reports what speculative decoding has done so far, over all calls, or nil if there is none.
func (m *Model) Speculation() *spec.Stats {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	if m.decoder == nil {
		return nil
	}
	s := m.decoder.Stats()
	return &s
}
