package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	_ "github.com/tenon-go/tenon/backends/cpu"    // the backend that is always there
	_ "github.com/tenon-go/tenon/backends/rocm"   // with cgo, or the tag rocm
	_ "github.com/tenon-go/tenon/backends/vulkan" // with cgo
)

// app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	atEnd          []func() error
}

// Main runs the command with the arguments after its name and returns the exit code. It never ends the
// process.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(longNames(spellOut(args)))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	failed, err := root.ExecuteC()
	if e := a.finish(); err == nil {
		err = e
	}
	if err == nil {
		return 0
	}
	var sig *signalError
	if errors.As(err, &sig) {
		fmt.Fprintln(stderr, "tenon: "+sig.Error())
		return sig.code()
	}
	line := oneLine(err)
	var usage *usageError
	if errors.As(err, &usage) {
		line += fmt.Sprintf(" (see %s --help)", failed.CommandPath())
	}
	fmt.Fprintln(stderr, "tenon: "+line)
	return 1
}

// longNames writes out what other programs of the field have with one dash and several letters.
func longNames(args []string) []string {
	args = slices.Clone(args)
	for i, a := range args {
		if rest, ok := strings.CutPrefix(a, "-ngl"); ok && (rest == "" || rest[0] == '=') {
			args[i] = "--gpu-layers" + rest
		}
	}
	return args
}

// root returns the command with all its subcommands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tenon",
		Short: "Run GGUF models, and look into them",
		Long: `tenon opens GGUF models and runs them on the devices of this machine.

Results go to stdout; timings, notes and errors go to stderr.`,
		Version:       version().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.SetHelpCommand(helpCommand())
	root.AddCommand(
		a.runCommand(), a.logitsCommand(), a.tokenizeCommand(), a.quantizeCommand(),
		a.inspectCommand(), a.devicesCommand(), a.explainCommand(), a.conformCommand(),
		a.benchCommand(),
		a.versionCommand(), a.compileKernelsCommand(),
	)
	return root
}

// knownCommand is reached with arguments only if the first names no subcommand.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		near = ", did you mean " + strings.Join(names, " or ") + "?"
	}
	return usagef("there is no command %q%s", args[0], near)
}

// usageError is a command line that cannot be, as opposed to one that failed. Its line ends in a hint.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// flagError is the error of a flag that cannot be parsed, in words without the parser's.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return &usageError{err}
	}
	kind := invalid.GetFlag().Value.Type()
	want, ok := map[string]string{
		"int": "an integer", "int64": "an integer", "float32": "a number", "bool": "true or false", "TYPE": "a tensor type",
	}[kind]
	if !ok {
		want = kind
	}
	return usagef("--%s is %q, want %s", invalid.GetFlag().Name, invalid.GetValue(), want)
}

// helpCommand is help as people know it, except that a topic that is not there is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
	}
}

// wantArgs checks the number of positional arguments, whose names are for people.
func wantArgs(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(names)-len(args) == 1:
			return usagef("%s is missing", names[len(args)])
		case len(args) < len(names):
			return usagef("%s are missing", strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return usagef("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// oneLine returns the text of err as one printable line: errors quote what files and users gave them, and
// joined ones have a line each.
func oneLine(err error) string {
	text := strings.TrimPrefix(strings.TrimSpace(err.Error()), "tenon: ")
	text = strings.ReplaceAll(text, "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// signalError says that a signal ended a command.
type signalError struct{ sig os.Signal }

func (e *signalError) Error() string {
	if e.sig == os.Interrupt {
		return "interrupted"
	}
	return e.sig.String()
}

// code returns the exit code that shells give for a process that a signal ended.
func (e *signalError) code() int {
	if n, ok := e.sig.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return 1
}

// interruptible runs do with a context that Ctrl-C or a request to terminate cancels; a second one ends
// the process as usual. It returns a *signalError if that is why do failed.
func interruptible(parent context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case sig := <-signals:
			signal.Stop(signals)
			cancel(&signalError{sig})
		case <-ctx.Done():
		}
	}()
	err := do(ctx)
	var sig *signalError
	if err != nil && errors.As(context.Cause(ctx), &sig) {
		return sig
	}
	return err
}
