package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/tenon-go/tenon"
)

// promptMark stands before what is typed.
const promptMark = "> "

// converse continues each line that is typed on the terminal. Lines are independent of each other.
func (a *app) converse(ctx context.Context, r *runFlags, m *tenon.Model, loading time.Duration) error {
	screen := a.stderr // so that stdout has the texts alone, wherever it goes
	fmt.Fprintf(screen, "%s: a line is a prompt, Ctrl-C stops a text, Ctrl-D ends\n", printable(r.model.path))
	t := term.NewTerminal(readWriter{a.stdin, screen}, promptMark)
	for {
		line, err := a.readLine(t)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		err = interruptible(ctx, func(ctx context.Context) error {
			return a.complete(ctx, r, m, line, loading)
		})
		loading = 0
		// An interrupt ends the text and any other failure concerns this prompt alone: the next may do.
		// What was asked to terminate ends.
		var sig *signalError
		switch {
		case errors.As(err, &sig) && sig.code() != interruptCode:
			return err
		case err != nil:
			fmt.Fprintln(screen, "tenon: "+oneLine(err))
		}
	}
}

// interruptCode is the exit code for Ctrl-C.
const interruptCode = 130

// readLine reads one line with editing and history. The terminal is in raw mode only here, so that
// Ctrl-C is a signal while a text is under way.
func (a *app) readLine(t *term.Terminal) (line string, err error) {
	fd := int(fileOf(a.stdin).Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	defer func() {
		if restored := term.Restore(fd, old); err == nil && restored != nil {
			err = fmt.Errorf("terminal: %w", restored)
		}
	}()
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = t.SetSize(width, height) // a guess of 80 columns stands otherwise
	}
	t.SetBracketedPasteMode(true)
	defer t.SetBracketedPasteMode(false)
	line, err = t.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) { // a pasted line is a line
		err = nil
	}
	return line, err
}

// readWriter joins the two ends of a terminal.
type readWriter struct {
	io.Reader
	io.Writer
}
