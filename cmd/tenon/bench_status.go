package main

import (
	"fmt"
	"io"

	"github.com/tenon-go/tenon/bench"
)

// statusLine says on the last line of a terminal what a benchmark is doing. On anything else it shows
// nothing, or a line for each step if that is asked for.
type statusLine struct {
	w        io.Writer
	terminal bool
	lines    bool
	last     string
	drawn    bool
}

func newStatusLine(w io.Writer, lines bool) *statusLine {
	return &statusLine{w: w, terminal: isTerminal(w), lines: lines}
}

// show shows text in place of what there is.
func (s *statusLine) show(text string) {
	if text == s.last {
		return
	}
	s.last = text
	switch {
	case s.terminal:
		fmt.Fprintf(s.w, "\r%s\x1b[K", text)
		s.drawn = true
	case s.lines:
		fmt.Fprintln(s.w, text)
	}
}

// clear removes the line, so that others can follow.
func (s *statusLine) clear() {
	if s.drawn {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.drawn = false
	}
	s.last = ""
}

// event shows what bench.Run is doing.
func (s *statusLine) event(e bench.Event) {
	if e.Bytes > 0 && !s.terminal {
		return // a log needs no percentages
	}
	text := fmt.Sprintf("test %d of %d, %s: %s", e.Index+1, e.Total, printable(e.Params.String()), e.Doing)
	switch e.Doing {
	case "opening":
		if e.Bytes > 0 {
			text += fmt.Sprintf(" %.0f%% of %s", 100*float64(e.Done)/float64(e.Bytes), sizeText(e.Bytes))
		}
	case "measuring", "running the peer", "filling the cache":
		text += fmt.Sprintf(", %d of %d", e.Repetition+1, e.Repetitions)
	}
	s.show(text)
}
