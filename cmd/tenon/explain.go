package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/sched"
)

// explainFlags are the flags of tenon explain.
type explainFlags struct {
	model            modelFlags
	tokens           int
	asJSON, dot, fit bool
}

// explainFacts is what `tenon explain --json` prints.
type explainFacts struct {
	Model  string `json:"model"`
	Arch   string `json:"architecture"`
	Tokens int    `json:"tokens"`
	// Layers is the device of each layer, Context and Batch are in tokens.
	Layers  []string            `json:"layers"`
	Context int                 `json:"context"`
	Batch   int                 `json:"batch"`
	Memory  []engine.DeviceNeed `json:"memory"`
	Missing string              `json:"missing,omitempty"` // what does not fit
	// CopiedPerToken is Plan.Copied over Tokens.
	CopiedPerToken float64         `json:"copiedPerToken"`
	Fallbacks      []fallbackFacts `json:"fallbacks"`
	Rates          sched.Rates     `json:"rates"` // that the seconds are estimated with
	Plan           *sched.Plan     `json:"plan"`
}

type fallbackFacts struct {
	sched.Fallback
	Seconds float64 `json:"seconds"` // each run, estimated
}

// fitFacts is what `tenon explain --fit --json` prints.
type fitFacts struct {
	Model     string          `json:"model"`
	Fits      bool            `json:"fits"` // without a change
	Proposals []proposalFacts `json:"proposals"`
}

type proposalFacts struct {
	Flags string `json:"flags"`
	engine.Proposal
}

func (a *app) explainCommand() *cobra.Command {
	e := &explainFlags{model: newModelFlags()}
	cmd := &cobra.Command{
		Use:   "explain -m FILE",
		Short: "Show where a model would run, and why",
		Long: `Show the plan of one run of a model without loading or running it: the device of each node and the
reason, the splits, the bytes that are copied between devices, the memory of each device, and what a better
device refused. With --sim all of it is about a machine that need not be there.

Costs are estimates: the bytes of a node over 30 GB/s or its operations over 200 GFLOP/s, whichever is longer,
and 10 µs and its bytes over 12 GB/s for each copy that is made because of it.`,
		Example: `  tenon explain -m model.gguf
  tenon explain -m model.gguf --tokens 512 --device Vulkan0,CPU
  tenon explain -m model.gguf --sim machine.txt --fit
  tenon explain -m model.gguf --dot | dot -Tsvg > plan.svg`,
		Args: wantArgs(),
		RunE: func(*cobra.Command, []string) error { return a.explain(e) },
	}
	e.model.add(cmd)
	f := cmd.Flags()
	f.IntVar(&e.tokens, "tokens", 1, "tokens of the run: 1 is a step of generation, more is a prompt")
	f.BoolVar(&e.asJSON, "json", false, "print one JSON document")
	f.BoolVar(&e.dot, "dot", false, "print a graph for Graphviz")
	f.BoolVar(&e.fit, "fit", false, "print the flags with which the model would fit")
	return cmd
}

func (a *app) explain(e *explainFlags) error {
	if err := e.model.check(); err != nil {
		return err
	}
	switch {
	case e.tokens < 1:
		return usagef("--tokens is %d, want 1 or more", e.tokens)
	case e.dot && (e.asJSON || e.fit):
		return usagef("--dot excludes --json and --fit")
	}
	options, err := e.model.options(a)
	if err != nil {
		return err
	}
	if e.fit {
		return a.fit(e, options)
	}
	est, err := tenon.Estimate(e.model.path, e.tokens, options...)
	if err != nil {
		return err
	}
	if e.dot {
		return est.Plan.WriteDot(a.stdout)
	}
	facts := newExplainFacts(e, est)
	if e.asJSON {
		return writeJSON(a.stdout, facts)
	}
	return a.printPlan(facts)
}

func newExplainFacts(e *explainFlags, est *engine.Estimate) explainFacts {
	facts := explainFacts{
		Model: e.model.path, Arch: est.Params.Arch, Tokens: e.tokens, Layers: est.Options.LayerDevices,
		Context: est.Options.Context, Batch: est.Options.Batch, Memory: est.Memory,
		CopiedPerToken: float64(est.Plan.Copied) / float64(e.tokens),
		Fallbacks:      []fallbackFacts{}, Rates: sched.HostRates, Plan: est.Plan,
	}
	if err := est.Fits(); err != nil {
		facts.Missing = oneLine(fitHint(err))
	}
	for _, f := range est.Plan.Fallbacks() {
		facts.Fallbacks = append(facts.Fallbacks, fallbackFacts{f, sched.HostRates.Time(&f).Seconds()})
	}
	return facts
}

func (a *app) printPlan(facts explainFacts) error {
	t := newTable(a.stdout)
	t.row("model", printable(facts.Model))
	t.row("architecture", printable(facts.Arch))
	t.row("run", plural(facts.Tokens, "token")+" over a full cache")
	t.row("context", plural(facts.Context, "token"))
	for from := 0; from < len(facts.Layers); {
		to := from
		for to < len(facts.Layers) && facts.Layers[to] == facts.Layers[from] {
			to++
		}
		t.row("layers", fmt.Sprintf("%d to %d on %s", from, to-1, facts.Layers[from]))
		from = to
	}
	for _, d := range facts.Memory {
		t.row("memory", memoryLine(d.DeviceMemory)+freeText(d))
	}
	if facts.Missing != "" {
		t.row("missing", facts.Missing)
	}
	t.row("copied", fmt.Sprintf("%.0f bytes a token", facts.CopiedPerToken))
	for _, f := range facts.Fallbacks {
		t.row("fallback", fallbackLine(f))
	}
	t.row()
	if err := t.flush(); err != nil {
		return err
	}
	return facts.Plan.WriteText(a.stdout)
}

// freeText returns what a device has free, if it says so.
func freeText(d engine.DeviceNeed) string {
	if d.Free == 0 {
		return ""
	}
	return fmt.Sprintf("; %s of %s free", sizeText(d.Need), sizeText(d.Free))
}

func fallbackLine(f fallbackFacts) string {
	took := time.Duration(f.Seconds * float64(time.Second))
	return fmt.Sprintf("%s on %s, about %v: %s refused: %s (%s and %.3g FLOP, %s of %s)", plural(len(f.Nodes), f.Op), f.Device,
		took.Round(max(1, took/100)), f.Refused, f.Reason, sizeText(f.Work.Bytes), float64(f.Work.FLOPs), copiesText(f.Copies), sizeText(f.Copied))
}

// fit prints what would fit.
func (a *app) fit(e *explainFlags, options []tenon.Option) error {
	proposals, err := tenon.Fit(e.model.path, options...)
	if err != nil {
		return err
	}
	facts := fitFacts{Model: e.model.path, Fits: len(proposals) == 0, Proposals: []proposalFacts{}}
	for _, p := range proposals {
		facts.Proposals = append(facts.Proposals, proposalFacts{p.Flags(), p})
	}
	if e.asJSON {
		return writeJSON(a.stdout, facts)
	}
	t := newTable(a.stdout)
	if facts.Fits {
		t.row("the model fits as it is")
	}
	for _, p := range facts.Proposals {
		t.row(p.Flags)
		for _, d := range p.Memory {
			t.row("", memoryLine(d.DeviceMemory)+freeText(d))
		}
	}
	return t.flush()
}

func copiesText(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}
