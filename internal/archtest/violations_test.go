package archtest

import (
	"slices"
	"strings"
	"testing"
)

// Each wrong import is planted alone and has to be found, or TestImportOrder could not fail.
func TestViolationsAreFound(t *testing.T) {
	for _, c := range []struct {
		from, to string
		says     string // empty: allowed
	}{
		{"tensor", "buffer", ""},
		{"buffer", "internal/mmap", ""},
		{"buffer", "fmt", ""},
		{"buffer", "golang.org/x/sys/unix", ""},
		{"tokenizer", "golang.org/x/text/unicode/norm", ""},
		{"", "backends/cpu", ""},
		{"bench/sub", "backends/cpu", ""},
		{"backends/sim", "backends/cpu", ""},
		{"engine", "sched", ""},

		{"buffer", "tensor", "below everything"},
		{"tensor", "tensor/quant", "pure description"},
		{"tensor/quant", "gguf", "reference"},
		{"gguf", "buffer", "no devices"},
		{"kv", "sched", "neither a device nor the scheduler"},
		{"kv", "backends", "neither a device nor the scheduler"},
		{"model", "sched", "never runs them"},
		{"model", "engine", "never runs them"},
		{"model", "backends", "never runs them"},
		{"sched", "kv", "pure function"},
		{"sched", "model", "pure function"},
		{"backends", "backends/cpu", "no implementation"},
		{"backends/cpu", "backends/sim", "neither another backend"},
		{"backends/rocm", "backends/vulkan", "neither another backend"},
		{"backends/cpu", "sched", "nor sched"},
		{"backends/conformance/ref", "backends/cpu", "neither another backend"},
		{"models/gopher/train/evaluate", "engine", ""},
		{"models/gopher/train/evaluate", "backends/cpu", ""},
		{"models/gopher", "engine", "runs none"},
		{"backends/conformance", "model", "knows none of them"},
		{"backends/conformance", "backends/cpu", "knows none of them"},
		{"backends/conformance", "sched", ""},
		{"tokenizer", "gguf", "handed to it"},
		{"sample", "tensor", "logits to an id"},
		{"engine", "backends/cpu", "handed to it"},
		{"engine", "", "handed to it"},
		{"server", "backends/vulkan", "handed to it"},
		{"backends/metal", "backends", "rules_test.go"},
		{"engine", "cmd/tenon", "handed to it"},
		{"gguf", "github.com/spf13/cobra", "golang.org/x/sys and golang.org/x/text"},
		{"gguf", "golang.org/x/system", "golang.org/x/sys and golang.org/x/text"},
		{"gguf", "internal/testcorpus", "for tests"},
		{"", "internal/testcorpus", "for tests"},
	} {
		path := func(name string) string {
			switch {
			case name == "":
				return module
			case standard(name) && name != "fmt":
				return module + "/" + name
			}
			return name
		}
		got := violations([]listed{{ImportPath: path(c.from), Imports: []string{path(c.to)}}})
		if c.says == "" {
			if len(got) != 0 {
				t.Errorf("%q imports %q: %q, want it allowed", c.from, c.to, got)
			}
			continue
		}
		if len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), c.says) {
			t.Errorf("%q imports %q: %q, want one that says %q", c.from, c.to, got, c.says)
		}
	}
}

// A concrete backend is also found behind a package that may import it.
func TestConcreteBackendsAreFoundBehindOthers(t *testing.T) {
	got := violations([]listed{
		{module + "/spec", []string{module + "/engine"}},
		{module + "/engine", []string{module + "/backends"}},
		{module + "/backends", []string{module + "/backends/cpu"}},
	})
	if !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, "spec -> engine -> backends -> backends/cpu") }) {
		t.Errorf("%q", got)
	}
}

// The rules themselves name only packages that have a rule, and no package may reach itself.
func TestRulesAreAnOrder(t *testing.T) {
	graph := map[string][]string{}
	for name, r := range rules {
		for _, to := range r.imports {
			if to == everything {
				continue
			}
			if _, ok := rules[to]; !ok {
				t.Errorf("%s may import %s, which has no rule", name, to)
			}
			graph[name] = append(graph[name], to)
		}
	}
	for name := range graph {
		if way := wayTo(graph, name, []string{name}); way != nil {
			t.Errorf("the rules let packages import each other: %s", strings.Join(way, " -> "))
		}
	}
}
