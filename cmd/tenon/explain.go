package main

import (
	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/sched"
)

// explainFacts is what `tenon explain --json` prints.
type explainFacts struct {
	Model  string                `json:"model"`
	Arch   string                `json:"architecture"`
	Tokens int                   `json:"tokens"`
	Plan   *sched.Plan           `json:"plan"`
	Memory []engine.DeviceMemory `json:"memory"` // what the engine holds, weights and cache included
}

func (a *app) explainCommand() *cobra.Command {
	flags := newModelFlags()
	var tokens int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain -m FILE",
		Short: "Show where a model would run, and why",
		Long: `Show the plan of one run of a model without running it: the device of each node and the reason, the
splits, the bytes that are copied between devices in each run, and the memory of each device.`,
		Example: `  tenon explain -m model.gguf
  tenon explain -m model.gguf --tokens 512 --device Vulkan0,CPU`,
		Args: wantArgs(),
		RunE: func(*cobra.Command, []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if tokens < 1 {
				return usagef("--tokens is %d, want 1 or more", tokens)
			}
			m, _, err := flags.open(a)
			if err != nil {
				return err
			}
			defer m.Close()
			plan, err := m.Engine().Plan(tokens)
			if err != nil {
				return err
			}
			facts := explainFacts{
				Model: flags.path, Arch: m.Params().Arch, Tokens: tokens, Plan: plan, Memory: m.Memory(),
			}
			if asJSON {
				return writeJSON(a.stdout, facts)
			}
			return a.printPlan(facts)
		},
	}
	flags.add(cmd)
	cmd.Flags().IntVar(&tokens, "tokens", 1, "tokens of the run: 1 is a step of generation, more is a prompt")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func (a *app) printPlan(facts explainFacts) error {
	t := newTable(a.stdout)
	t.row("model", printable(facts.Model))
	t.row("architecture", printable(facts.Arch))
	t.row("run", plural(facts.Tokens, "token")+" over a full cache")
	for _, d := range facts.Memory {
		t.row("memory", memoryLine(d))
	}
	t.row()
	if err := t.flush(); err != nil {
		return err
	}
	return facts.Plan.WriteText(a.stdout)
}
