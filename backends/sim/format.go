package sim

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tenon-go/tenon/tensor"
)

// Format writes configs in the text form, one statement a line.
func Format(configs []Config) string {
	var b strings.Builder
	for _, c := range configs {
		b.WriteString(c.String())
	}
	return b.String()
}

// String returns the text form of c, of which Parse makes c again: all but Support, CPU and Clock. Each
// statement is a line of its own.
func (c Config) String() string {
	w := writer{}
	w.line("device", quote(c.Name))
	w.text("backend", c.Backend, c.Backend != "")
	w.text("kind", kindName(c), c.Kind != c.usualKind())
	w.text("description", c.Description, c.Description != "")
	w.text("driver", c.Driver, c.Driver != "")
	w.text("card", c.PhysicalID, c.PhysicalID != "")
	switch {
	case c.Shared:
		w.line("memory", formatSize(c.Memory), "shared")
	case c.Memory != 0:
		w.line("memory", formatSize(c.Memory))
	}
	w.size("max-buffer", c.MaxBuffer, "")
	w.number("alignment", uint64(c.Alignment))
	w.flag("mapped", c.Mapped)
	w.flag("import", c.Import)
	w.flag("heap", c.Heap)
	w.flag("plan-only", c.PlanOnly)
	w.text("submit", c.Submit.String(), c.Submit != Sync)
	w.number("threads", uint64(c.Threads))
	w.number("seed", c.Seed)
	w.time("copy-latency", c.CopyLatency)
	w.size("copy-bandwidth", c.CopyBandwidth, "/s")
	w.time("submit-latency", c.SubmitLatency)
	w.size("memory-bandwidth", c.MemoryBandwidth, "/s")
	for _, r := range c.Reads {
		w.line("reads", quote(r))
	}
	for _, t := range c.Types {
		w.line(t.words()...)
	}
	for _, r := range c.Rules {
		w.line(r.words()...)
	}
	for _, f := range c.Faults {
		w.line("fault", f.String())
	}
	return w.String()
}

func kindName(c Config) string {
	if int(c.Kind) < len(kindNames) {
		return kindNames[c.Kind]
	}
	return c.Kind.String()
}

// writer writes statements, of which all but the first are set in.
type writer struct{ strings.Builder }

func (w *writer) line(words ...string) {
	if w.Len() > 0 {
		w.WriteString("  ")
	}
	w.WriteString(strings.Join(words, " "))
	w.WriteByte('\n')
}

func (w *writer) text(name, value string, on bool) {
	if on {
		w.line(name, quote(value))
	}
}

func (w *writer) flag(name string, on bool) {
	if on {
		w.line(name)
	}
}

func (w *writer) number(name string, n uint64) {
	if n != 0 {
		w.line(name, strconv.FormatUint(n, 10))
	}
}

func (w *writer) size(name string, n int64, suffix string) {
	if n != 0 {
		w.line(name, formatSize(n)+suffix)
	}
}

func (w *writer) time(name string, d time.Duration) {
	if d != 0 {
		w.line(name, d.String())
	}
}

// words returns t as a statement.
func (t *MemoryType) words() []string {
	w := []string{"type", quote(t.Name)}
	if t.Memory != 0 {
		w = append(w, "memory", formatSize(t.Memory))
	}
	if t.MaxBuffer != 0 {
		w = append(w, "max-buffer", formatSize(t.MaxBuffer))
	}
	if t.Alignment != 0 {
		w = append(w, "alignment", strconv.Itoa(t.Alignment))
	}
	if t.Mapped {
		w = append(w, "mapped")
	}
	return w
}

// words returns r as a statement.
func (r *Rule) words() []string {
	w := []string{"refuse", "*"}
	if r.Allow {
		w[0] = "allow"
	}
	if len(r.Ops) > 0 {
		w[1] = strings.Join(r.Ops, ",")
	}
	if len(r.Types) > 0 {
		w = append(w, typeNames(r.Types))
	}
	if r.Reason != "" && !r.Allow {
		w = append(w, strconv.Quote(r.Reason))
	}
	return w
}

func typeNames(types []tensor.DType) string {
	var names []string
	for _, t := range types {
		names = append(names, t.String())
	}
	return strings.Join(names, ",")
}

// quote returns s as one word of the text form.
func quote(s string) string {
	if s == "" || s[0] == '#' || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == ';' || r == '"' || r == 0x7f || r > 0x7e
	}) {
		return strconv.Quote(s)
	}
	return s
}

// units are those of sizes, the binary ones from the greatest on.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

// formatSize returns n in the greatest unit that holds it without a rest.
func formatSize(n int64) string {
	for _, u := range units {
		if n != 0 && u.bytes > 1 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// parseSize reads a whole number of bytes or of a unit.
func parseSize(s string) (int64, bool) {
	unit := int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || s[0] == '+' || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}
