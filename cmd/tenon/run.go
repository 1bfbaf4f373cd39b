package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/engine"
)

// runFlags are the flags of tenon run.
type runFlags struct {
	model    modelFlags
	sampling samplingFlags
	spec     specFlags
	prompt   string
	prompted bool // a prompt was given, though it may be empty
	options  tenon.GenerateOptions
	state    string // file of --state
	asJSON   bool
}

// gopherTokens is how many tokens gopher gives when nobody says how many: a few functions, in a fraction of a second.
const gopherTokens = 200

func (a *app) runCommand() *cobra.Command {
	r := &runFlags{model: newModelFlags()}
	r.model.builtin = true
	cmd := &cobra.Command{
		Use:   "run [-m FILE] [-p PROMPT | PROMPT]",
		Short: "Continue a text",
		Long: `Continue a text: what the model adds to the prompt goes to stdout as it comes, and timings to stderr.

Without -m it is gopher, the model that comes with the command and completes Go source. It does not end by
itself, and so gives 200 tokens unless -n says otherwise.

Without a prompt one is read from stdin, less one line end at its end. If stdin is a terminal, each line
that is typed is a prompt of its own; Ctrl-C ends a text that is under way, Ctrl-D ends the command.`,
		Example: `  tenon run "func (b *Buffer) WriteString("
  tenon run -m model.gguf -p "Once upon a time" -n 100
  tenon run -m model.gguf --temp 0 < prompt.txt
  tenon run -m model.gguf --state story.state -p "Once upon a time" -n 50; tenon run -m model.gguf --state story.state -n 50`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("unexpected argument %q: a prompt of several words needs quotes", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.prompted = cmd.Flags().Changed("prompt")
			if r.model.path == "" && !cmd.Flags().Changed("predict") {
				r.options.MaxTokens = gopherTokens
			}
			if len(args) == 1 {
				if r.prompted {
					return usagef("there are two prompts: one with -p and one without")
				}
				r.prompt, r.prompted = args[0], true
			}
			return a.run(cmd.Context(), r)
		},
	}
	r.model.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&r.prompt, "prompt", "p", "", "text to continue")
	f.IntVarP(&r.options.MaxTokens, "predict", "n", -1, "`TOKENS` to generate at most (-1: until the model ends or the context is full)")
	f.StringArrayVar(&r.options.Stop, "stop", nil, "`TEXT` before which to stop (can be repeated)")
	f.BoolVar(&r.options.IgnoreEOS, "ignore-eos", false, "go on after tokens that end a text")
	f.BoolVar(&r.options.ParseSpecial, "parse-special", false, "take the names of control tokens in the prompt for the tokens")
	f.BoolVar(&r.options.Special, "special", false, "print control tokens too")
	f.StringVar(&r.state, "state", "", "`FILE` from which to restore the text so far, if it is there, and to which to save it at the end; without a prompt the text goes on")
	f.BoolVar(&r.asJSON, "json", false, "give the timings as one JSON document")
	r.sampling.add(cmd)
	r.spec.add(cmd)
	return cmd
}

func (a *app) run(ctx context.Context, r *runFlags) error {
	if err := r.model.check(); err != nil {
		return err
	}
	switch n := r.options.MaxTokens; {
	case n == -1:
		r.options.MaxTokens = 0
	case n < 1:
		return usagef("--predict is %d, want 1 or more, or -1", n)
	}
	var err error
	if r.options.Sampling, err = r.sampling.complete(); err != nil {
		return err
	}
	speculation, err := r.spec.options(a.stderr)
	if err != nil {
		return err
	}
	goesOn, err := r.goesOn()
	if err != nil {
		return err
	}
	interactive := !r.prompted && !goesOn && isTerminal(a.stdin)
	if interactive && r.state != "" {
		return usagef("there is no --state file yet: a prompt is needed")
	}
	if !r.prompted && !interactive && !(goesOn && isTerminal(a.stdin)) {
		if r.prompt, err = readPrompt(a.stdin); err != nil {
			return err
		}
	}
	if !interactive && r.prompt == "" && !goesOn {
		return tenon.ErrEmpty
	}
	var m *tenon.Model
	var loading time.Duration
	err = interruptible(ctx, func(ctx context.Context) (err error) {
		if m, loading, err = r.model.open(a, speculation...); err != nil {
			return err
		}
		return ctx.Err()
	})
	if m != nil {
		defer m.Close()
	}
	if err != nil {
		return err
	}
	if interactive {
		return a.converse(ctx, r, m, loading)
	}
	return interruptible(ctx, func(ctx context.Context) error {
		return a.complete(ctx, r, m, r.prompt, loading)
	})
}

// goesOn reports whether there is a state to go on from.
func (r *runFlags) goesOn() (bool, error) {
	if r.state == "" {
		return false, nil
	}
	switch info, err := os.Stat(r.state); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, usagef("--state: %s is no file", r.state)
	}
	return true, nil
}

// readPrompt reads all of stdin.
func readPrompt(stdin io.Reader) (string, error) {
	b, err := io.ReadAll(stdin)
	if err != nil {
		return "", fmt.Errorf("reading the prompt: %w", err)
	}
	// What shells and editors put at the end is not part of the text.
	text := strings.TrimSuffix(string(b), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}

// complete continues one prompt. A text that was interrupted has timings, too.
func (a *app) complete(ctx context.Context, r *runFlags, m *tenon.Model, prompt string, loading time.Duration) error {
	opt := r.options
	var stats tenon.Stats
	opt.Stats = &stats
	err := a.printSaved(ctx, r.state, m, prompt, opt)
	if err != nil && ctx.Err() == nil {
		return samplingError(fullError(err)) // a bias for a token that the model does not have shows itself only now
	}
	return errors.Join(err, a.report(r, runReport{
		Load: loading, Stats: stats, Memory: m.Memory(), Seed: seedText(opt.Sampling),
	}))
}

// printSaved is print with a state file, if there is a path for one.
func (a *app) printSaved(ctx context.Context, path string, m *tenon.Model, prompt string, opt tenon.GenerateOptions) error {
	if path == "" {
		return a.print(ctx, m, prompt, opt)
	}
	state, err := openStateFile(path)
	if err != nil {
		return err
	}
	state.set(&opt)
	if err = a.print(ctx, m, prompt, opt); err != nil && errors.Is(err, engine.ErrState) {
		err = fmt.Errorf("--state %s: %w", path, err)
	}
	return errors.Join(err, state.close(err == nil))
}

// print writes the text to stdout as it comes.
func (a *app) print(ctx context.Context, m *tenon.Model, prompt string, opt tenon.GenerateOptions) error {
	ends := "\n" // the text so far, as far as it matters
	defer func() {
		// A terminal's next line begins on the left; anything else gets the text alone.
		if isTerminal(a.stdout) && !strings.HasSuffix(ends, "\n") {
			fmt.Fprintln(a.stdout)
		}
	}()
	for tok, err := range m.Generate(ctx, prompt, opt) {
		if err != nil {
			return err
		}
		if tok.Text == "" {
			continue
		}
		if _, err := io.WriteString(a.stdout, tok.Text); err != nil {
			return err
		}
		ends = tok.Text
	}
	return nil
}

// runReport is what the timings are made of.
type runReport struct {
	Load   time.Duration // 0 if the model was loaded before
	Stats  tenon.Stats
	Memory []engine.DeviceMemory
	Seed   string
}

// runFacts is what `tenon run --json` prints.
type runFacts struct {
	LoadSeconds float64               `json:"loadSeconds,omitempty"`
	Prompt      stepFacts             `json:"prompt"`
	Restored    int                   `json:"restored,omitempty"` // tokens of the prompt that came from a state file
	Generated   stepFacts             `json:"generated"`
	Finish      tenon.Finish          `json:"finish,omitempty"`
	Speculation *specFacts            `json:"speculation,omitempty"`
	Seed        string                `json:"seed"`
	Memory      []engine.DeviceMemory `json:"memory"`
}

type stepFacts struct {
	Tokens          int     `json:"tokens"`
	Seconds         float64 `json:"seconds"`
	TokensPerSecond float64 `json:"tokensPerSecond"`
}

func newStepFacts(tokens int, d time.Duration) stepFacts {
	return stepFacts{tokens, d.Seconds(), rate(tokens, d)}
}

func (s stepFacts) String() string {
	return fmt.Sprintf("%s in %.3f s, %.1f tokens/s", plural(s.Tokens, "token"), s.Seconds, s.TokensPerSecond)
}

// report writes the timings to stderr.
func (a *app) report(r *runFlags, rep runReport) error {
	s := rep.Stats
	facts := runFacts{
		LoadSeconds: rep.Load.Seconds(),
		Prompt:      newStepFacts(s.PromptTokens-s.Restored, s.Prompt),
		Restored:    s.Restored,
		Generated:   newStepFacts(s.Tokens, s.Generate),
		Finish:      s.Finish, Seed: rep.Seed, Memory: rep.Memory, Speculation: newSpecFacts(s.Spec),
	}
	if r.asJSON {
		return writeJSON(a.stderr, facts)
	}
	if !isTerminal(a.stdout) {
		// The text ends without a line end, and both streams often go to one place.
		fmt.Fprintln(a.stderr)
	}
	t := newTable(a.stderr)
	if rep.Load > 0 {
		t.row("load", fmt.Sprintf("%.3f s", facts.LoadSeconds))
	}
	t.row("prompt", facts.Prompt)
	if s.Restored > 0 {
		t.row("restored", plural(s.Restored, "token"))
	}
	t.row("generated", facts.Generated)
	if s.Finish != "" {
		t.row("finish", s.Finish)
	}
	if facts.Speculation != nil {
		t.row("speculation", facts.Speculation)
	}
	t.row("seed", facts.Seed)
	for _, d := range rep.Memory {
		t.row("memory", memoryLine(d))
	}
	return t.flush()
}

// memoryLine names the kinds of memory that there are.
func memoryLine(d engine.DeviceMemory) string {
	var parts []string
	for _, p := range []struct {
		bytes int64
		what  string
	}{
		{d.Mapped, "weights in the mapped file"}, {d.Weights, "weights"}, {d.Cache, "cache"}, {d.Compute, "compute"},
	} {
		if p.bytes > 0 {
			parts = append(parts, sizeText(p.bytes)+" "+p.what)
		}
	}
	if len(parts) == 0 {
		parts = []string{"none"}
	}
	line := d.Device + ": " + strings.Join(parts, ", ")
	if d.Draft > 0 {
		line += fmt.Sprintf("; %s of it for the draft", sizeText(d.Draft))
	}
	return line
}
