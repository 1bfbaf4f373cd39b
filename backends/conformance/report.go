package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tenon-go/tenon/backends"
)

// Status is what became of a case.
type Status uint8

// The statuses.
const (
	Pass        Status = iota
	Fail               // Result.Reason says why
	Unsupported        // Result.Reason is the device's
	Skipped            // it needs more memory than Options.MaxBytes, or the device has not what it tests
)

var statusNames = [...]string{"pass", "fail", "unsupported", "skipped"}

// String returns the status in lower case.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// MarshalText writes the status's name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(p []byte) error {
	i := slices.Index(statusNames[:], string(p))
	if i < 0 {
		return fmt.Errorf("conformance: no status %q", p)
	}
	*s = Status(i)
	return nil
}

// Result is what became of one case.
type Result struct {
	ID      string        `json:"id"`
	Chapter string        `json:"chapter"`
	Op      string        `json:"op,omitempty"`
	Type    string        `json:"type,omitempty"`
	Status  Status        `json:"status"`
	Reason  string        `json:"reason,omitempty"`
	NMSE    float64       `json:"nmse,omitempty"` // normalized mean squared error
	ULP     float64       `json:"ulp,omitempty"`  // of the worst element, in last places
	Seed    uint64        `json:"seed"`
	Elapsed time.Duration `json:"elapsedNS"`
}

// Report is what a device did with the cases that ran on it.
type Report struct {
	Device      string        `json:"device"`
	Backend     string        `json:"backend"`
	Description string        `json:"description"`
	Driver      string        `json:"driver,omitempty"`
	Features    []string      `json:"features,omitempty"`
	Elapsed     time.Duration `json:"elapsedNS"`
	Results     []Result      `json:"results"`
}

func newReport(dev backends.Device) *Report {
	i := dev.Info()
	return &Report{
		Device: i.Owner.Device, Backend: i.Owner.Backend, Description: i.Description, Driver: i.Driver, Features: i.Features,
	}
}

func (r *Report) add(x Result) {
	// JSON has no infinities; an error without bound is one beyond any tolerance.
	x.NMSE, x.ULP = finite(x.NMSE), finite(x.ULP)
	r.Results = append(r.Results, x)
}

func finite(x float64) float64 {
	if math.IsNaN(x) || x > math.MaxFloat64 {
		return math.MaxFloat64
	}
	return x
}

// Count returns how many cases have a status.
func (r *Report) Count(s Status) int {
	n := 0
	for _, x := range r.Results {
		if x.Status == s {
			n++
		}
	}
	return n
}

// Failures returns the cases that failed.
func (r *Report) Failures() []Result {
	var bad []Result
	for _, x := range r.Results {
		if x.Status == Fail {
			bad = append(bad, x)
		}
	}
	return bad
}

// OK reports whether no case failed.
func (r *Report) OK() bool { return r.Count(Fail) == 0 }

// Summary returns one line.
func (r *Report) Summary() string {
	return fmt.Sprintf("%s: %d passed, %d failed, %d unsupported, %d skipped in %v", r.Device,
		r.Count(Pass), r.Count(Fail), r.Count(Unsupported), r.Count(Skipped), r.Elapsed.Round(time.Millisecond))
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// WriteMarkdown writes the report for people: a line for each op or chapter with its counts and its
// worst errors, then every failure, then why cases are unsupported.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Conformance of %s\n\n%s", r.Device, cell(r.Description))
	if r.Driver != "" {
		fmt.Fprintf(&b, ", %s", cell(r.Driver))
	}
	fmt.Fprintf(&b, "\n\n%s\n\n", r.Summary())
	b.WriteString("| op or chapter | passed | failed | unsupported | skipped | worst NMSE | worst last places |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|\n")
	for _, g := range r.groups() {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %.2g | %.3g |\n", g.name,
			g.count[Pass], g.count[Fail], g.count[Unsupported], g.count[Skipped], g.worst.NMSE, g.worst.ULP)
	}
	if bad := r.Failures(); len(bad) > 0 {
		b.WriteString("\n## Failures\n\n| case | reason |\n|---|---|\n")
		for _, x := range bad {
			fmt.Fprintf(&b, "| `%s` | %s |\n", x.ID, cell(x.Reason))
		}
	}
	if n := r.Count(Unsupported); n > 0 {
		b.WriteString("\n## Not supported\n\n| reason | cases | such as |\n|---|---:|---|\n")
		for _, x := range r.reasons() {
			fmt.Fprintf(&b, "| %s | %d | `%s` |\n", cell(x.reason), x.count, x.id)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell makes s fit into a line of a table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}

type group struct {
	name  string
	count [len(statusNames)]int
	worst measure // of what passed
}

// groups counts by op, and by chapter where there is none.
func (r *Report) groups() []*group {
	var all []*group
	for _, x := range r.Results {
		name := x.Op
		if name == "" {
			name = "chapter " + x.Chapter
		}
		i := slices.IndexFunc(all, func(g *group) bool { return g.name == name })
		if i < 0 {
			i, all = len(all), append(all, &group{name: name})
		}
		all[i].count[x.Status]++
		if x.Status == Pass {
			all[i].worst.worst(measure{x.NMSE, x.ULP})
		}
	}
	return all
}

type reason struct {
	reason, id string
	count      int
}

// reasons counts why cases are unsupported, the commonest first. Devices name the node first: what
// follows it is the reason.
func (r *Report) reasons() []reason {
	var all []reason
	for _, x := range r.Results {
		if x.Status != Unsupported {
			continue
		}
		text := x.Reason
		if _, after, ok := strings.Cut(text, "): "); ok {
			text = x.Op + ": " + after
		}
		i := slices.IndexFunc(all, func(a reason) bool { return a.reason == text })
		if i < 0 {
			i, all = len(all), append(all, reason{reason: text, id: x.ID})
		}
		all[i].count++
	}
	slices.SortStableFunc(all, func(a, b reason) int { return b.count - a.count })
	return all
}
