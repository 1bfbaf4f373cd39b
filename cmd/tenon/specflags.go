package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/spec"
	"github.com/tenon-go/tenon/tensor"
)

// specFlags are the flags of speculative decoding.
type specFlags struct {
	types   []string
	model   string
	max     int
	min     int
	pMin    float32
	devices []string
	layers  string // --spec-draft-gpu-layers
	ranges  []string
	kv      string
	typeK   dtypeFlag
	typeV   dtypeFlag

	changed func(name string) bool
}

// What --spec-kv can be.
const (
	kvDirect = "direct"
	kvMirror = "mirror"
)

// add adds the flags to cmd.
func (s *specFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	kinds := []string{tenon.DraftMTP, tenon.DraftSimple, tenon.DraftNGram}
	f.StringSliceVar(&s.types, "spec-type", nil, "`LIST` of drafters, asked in this order: "+strings.Join(kinds, ", ")+" (default: what the draft model is made for)")
	f.StringVar(&s.model, "spec-draft-model", "", "draft model `FILE` in GGUF, which guesses tokens ahead")
	_ = cmd.MarkFlagFilename("spec-draft-model", "gguf") // completion only
	f.IntVar(&s.max, "spec-draft-n-max", tenon.DefaultSpecMax, "guess `N` tokens at a time at most")
	f.IntVar(&s.min, "spec-draft-n-min", 0, "do not check drafts of less than `N` tokens")
	f.Float32Var(&s.pMin, "spec-draft-p-min", 0, "end a draft before a guess less probable than `P`")
	f.StringSliceVar(&s.devices, "spec-draft-device", nil, "`LIST` of devices for the draft model (default: where what it reads is)")
	_ = cmd.RegisterFlagCompletionFunc("spec-draft-device", completeDevices)
	f.StringVar(&s.layers, "spec-draft-gpu-layers", "", "`N` layers of the draft model, counted from the last, on its devices and the others on the CPU; or all")
	f.StringArrayVar(&s.ranges, "spec-draft-layer-device", nil, "`RANGE=DEVICE` for some of its layers (can be repeated)")
	f.StringVar(&s.kv, "spec-kv", kvDirect, "how a draft reads the model's cache: "+kvDirect+", or a "+kvMirror+" on the draft's device")
	f.Var(&s.typeK, "spec-draft-type-k", "type in which a draft keeps keys, if it has a cache of its own (default F16)")
	f.Var(&s.typeV, "spec-draft-type-v", "type in which it keeps values (default F16)")
	s.changed = f.Changed
}

// options returns what the flags say, and nothing if there is nothing to speculate with.
func (s *specFlags) options(stderr io.Writer) ([]tenon.Option, error) {
	switch {
	case s.kv != kvDirect && s.kv != kvMirror:
		return nil, usagef("--spec-kv is %q, want %s or %s", s.kv, kvDirect, kvMirror)
	case s.max < 1:
		return nil, usagef("--spec-draft-n-max is %d, want 1 or more", s.max)
	case s.min < 0 || s.min > s.max:
		return nil, usagef("--spec-draft-n-min is %d, want 0 to %d", s.min, s.max)
	case !(s.pMin >= 0 && s.pMin <= 1):
		return nil, usagef("--spec-draft-p-min is %g, want 0 to 1", s.pMin)
	}
	place, err := layerPlacement("--spec-draft-", s.layers, s.ranges)
	if err != nil {
		return nil, err
	}
	if s.model == "" && len(s.types) == 0 {
		for _, name := range []string{"n-max", "n-min", "p-min", "device", "gpu-layers", "layer-device", "type-k", "type-v"} {
			if s.changed("spec-draft-" + name) {
				return nil, usagef("--spec-draft-%s is given, but nothing to draft with: --spec-draft-model or --spec-type", name)
			}
		}
		if s.changed("spec-kv") {
			return nil, usagef("--spec-kv is given, but nothing to draft with: --spec-draft-model or --spec-type")
		}
		return nil, nil
	}
	o := tenon.SpecOptions{
		Types: s.types, Max: s.max, Min: s.min, PMin: s.pMin, Devices: s.devices, Placement: place, Mirror: s.kv == kvMirror,
		OnFailure: func(drafter string, err error) {
			fmt.Fprintf(stderr, "tenon: %s failed, the text goes on without it: %s\n", drafter, oneLine(err))
		},
	}
	given := func(name string, t tensor.DType) *tensor.DType {
		if !s.changed(name) {
			return nil
		}
		return &t
	}
	o.TypeK, o.TypeV = given("spec-draft-type-k", s.typeK.DType), given("spec-draft-type-v", s.typeV.DType)
	options := []tenon.Option{tenon.WithSpec(o)}
	if s.model != "" {
		options = append(options, tenon.WithDraft(s.model))
	}
	return options, nil
}

// specFacts is what `tenon run --json` prints of speculative decoding.
type specFacts struct {
	Drafted       int       `json:"drafted"`
	Accepted      int       `json:"accepted"`
	Acceptance    []float64 `json:"acceptance"` // by position in the draft
	TokensPerStep float64   `json:"tokensPerStep"`
	SpeedUp       float64   `json:"speedUp,omitempty"`
	MirrorBytes   float64   `json:"mirrorBytesPerStep,omitempty"`
	Failed        []string  `json:"failed,omitempty"`
}

func newSpecFacts(s *spec.Stats) *specFacts {
	if s == nil {
		return nil
	}
	f := &specFacts{
		Drafted: s.Drafted, Accepted: s.Accepted, Acceptance: []float64{}, TokensPerStep: s.TokensPerStep(),
		SpeedUp: s.SpeedUp(), MirrorBytes: s.CopiedPerStep(), Failed: s.Failed,
	}
	for i := range s.Tried {
		f.Acceptance = append(f.Acceptance, s.Acceptance(i))
	}
	return f
}

func (f *specFacts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d guesses accepted", f.Accepted, f.Drafted)
	for i, a := range f.Acceptance {
		if i == 0 {
			b.WriteString(" (by position")
		}
		fmt.Fprintf(&b, " %.0f%%", 100*a)
	}
	if len(f.Acceptance) > 0 {
		b.WriteString(")")
	}
	fmt.Fprintf(&b, ", %.2f tokens a step", f.TokensPerStep)
	if f.SpeedUp > 0 {
		fmt.Fprintf(&b, ", %.2f times as fast", f.SpeedUp)
	}
	if f.MirrorBytes > 0 {
		fmt.Fprintf(&b, ", %s a step to the mirror", sizeText(int64(f.MirrorBytes)))
	}
	if len(f.Failed) > 0 {
		b.WriteString(", failed: " + strings.Join(f.Failed, ", "))
	}
	return b.String()
}
