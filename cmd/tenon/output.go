package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"
)

// writeJSON writes v as one indented document.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table is a tabwriter that keeps its first error.
type table struct {
	w   *tabwriter.Writer
	err error
}

// newTable returns a table whose columns are two spaces apart.
func newTable(w io.Writer) *table {
	return &table{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
}

// row writes cells, each as fmt.Print does.
func (t *table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			t.print("\t")
		}
		t.print(c)
	}
	t.print("\n")
}

func (t *table) print(v any) {
	if t.err == nil {
		_, t.err = fmt.Fprint(t.w, v)
	}
}

func (t *table) flush() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// fileOf returns the file behind a stream, or nil.
func fileOf(stream any) *os.File {
	f, _ := stream.(*os.File)
	return f
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f := fileOf(stream)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// printable returns s as it is if a terminal can show it in a table, and quoted otherwise: names in model
// files may hold anything.
func printable(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return strconv.Quote(s)
		}
	}
	return s
}

// sizeText returns a number of bytes for people, such as "1.2 GiB".
func sizeText(bytes int64) string {
	const unit = 1024
	if bytes < unit {
		return fmt.Sprintf("%d B", bytes)
	}
	value, names := float64(bytes)/unit, "KMGTPE"
	for value >= 999.95 && len(names) > 1 {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, names[0])
}

// countText returns a number of weights for people, such as "1.10 B".
func countText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f B", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.2f K", float64(n)/1e3)
	}
	return strconv.FormatInt(n, 10)
}

// rate returns n things in d as a number a second, or 0 if d is too short to tell.
func rate(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// plural returns n and a noun, which takes an s unless n is 1.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
