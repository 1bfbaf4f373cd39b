package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// How a progress bar looks and how often it is drawn.
const (
	barWidth = 30
	barEvery = 100 * time.Millisecond
)

// progress is a bar on the last line of a terminal. On anything else it shows nothing, so that a log has
// no half lines. It is for one goroutine.
type progress struct {
	w     io.Writer
	label string
	unit  func(int64) string // how a total is written
	on    bool
	drawn bool
	next  time.Time // nothing is drawn before, so that what is done at once shows no bar
}

// newProgress returns a bar on w.
func newProgress(w io.Writer, label string) *progress {
	return &progress{w: w, label: label, unit: sizeText, on: isTerminal(w), next: time.Now().Add(barEvery)}
}

// set shows that done of total, in bytes or whatever unit is for, are done.
func (p *progress) set(done, total int64) {
	if !p.on || total <= 0 || time.Now().Before(p.next) {
		return
	}
	p.next, p.drawn = time.Now().Add(barEvery), true
	part := min(max(float64(done)/float64(total), 0), 1)
	full := int(part * barWidth)
	fmt.Fprintf(p.w, "\r%s [%s%s] %3.0f%% of %s\x1b[K",
		p.label, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), part*100, p.unit(total))
}

// clear removes the bar, so that other lines can follow.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
