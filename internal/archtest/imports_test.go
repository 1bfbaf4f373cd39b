package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Imports    []string // of the code, not of the tests
}

// goTool runs go in the library's root. GOWORK is off: the library has to stand without the command. Cgo
// is on for listing, so that files that need a C compiler are looked at too.
func goTool(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env GOMOD: %v", err)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(out)))
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=1")
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if out, err = cmd.Output(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

func list(t *testing.T, env ...string) []listed {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(goTool(t, env, "list", "-json=ImportPath,Imports", "./...")))
	var all []listed
	for {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// What a file imports may depend on the platform, so several are looked at.
func TestImportOrder(t *testing.T) {
	for _, env := range [][]string{
		{"GOOS=linux", "GOARCH=amd64"},
		{"GOOS=linux", "GOARCH=arm64"},
		{"GOOS=windows", "GOARCH=amd64"},
		{"GOOS=darwin", "GOARCH=arm64"},
		{"GOOS=linux", "GOARCH=amd64", "GOFLAGS=-tags=purego"},
	} {
		t.Run(strings.Join(env, " "), func(t *testing.T) {
			packages := list(t, env...)
			if len(packages) < 5 {
				t.Fatalf("go list knows only %d packages", len(packages))
			}
			for _, v := range violations(packages) {
				t.Error(v)
			}
			t.Logf("%d packages", len(packages))
		})
	}
}

// room returns the path of a package of ours inside the module.
func room(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

// isTool reports whether a package is one that every room may import: internal, and without imports of ours.
func isTool(name string) bool {
	r, ok := rules[name]
	return ok && strings.HasPrefix(name, "internal/") && len(r.imports) == 0 && !slices.Contains(testOnly, name)
}

// ruleName returns the name that a package is known by in the rules: its path, or the tree it stands in.
func ruleName(name string) string {
	for _, tree := range trees {
		if within(name, tree) {
			return tree
		}
	}
	return name
}

// violations returns a line for each import that the rules forbid.
func violations(packages []listed) []string {
	var bad []string
	graph := map[string][]string{}
	for _, p := range packages {
		from, ok := room(p.ImportPath)
		if !ok {
			bad = append(bad, fmt.Sprintf("%s is no package of %s", p.ImportPath, module))
			continue
		}
		r, ok := rules[ruleName(from)]
		if !ok {
			bad = append(bad, fmt.Sprintf("%s has no rule: say in internal/archtest/rules_test.go what it may import", p.ImportPath))
			continue
		}
		for _, path := range p.Imports {
			to, ours := room(path)
			switch {
			case !ours:
				if !standard(path) && !slices.ContainsFunc(outside, func(m string) bool { return within(path, m) }) {
					bad = append(bad, fmt.Sprintf("%s imports %s: the library uses only %s", p.ImportPath, path, strings.Join(outside, " and ")))
				}
				continue
			case slices.Contains(testOnly, to):
				bad = append(bad, fmt.Sprintf("%s imports %s, which is for tests", p.ImportPath, path))
			case !isTool(to) && !slices.Contains(r.imports, to) && !slices.Contains(r.imports, everything):
				bad = append(bad, fmt.Sprintf("%s imports %s: %s (rules: internal/archtest/rules_test.go)", p.ImportPath, path, r.concept))
			}
			graph[from] = append(graph[from], to)
		}
	}
	for from := range graph {
		if slices.Contains(reachConcrete, ruleName(from)) {
			continue
		}
		if way := wayTo(graph, from, concrete); way != nil {
			bad = append(bad, fmt.Sprintf("%s reaches a concrete backend: %s", from, strings.Join(way, " -> ")))
		}
	}
	slices.Sort(bad)
	return bad
}

// wayTo returns a shortest chain of imports from a package to one of targets, or nil.
func wayTo(graph map[string][]string, from string, targets []string) []string {
	ways := [][]string{{from}}
	seen := map[string]bool{from: true}
	for len(ways) > 0 {
		way := ways[0]
		ways = ways[1:]
		for _, to := range graph[way[len(way)-1]] {
			if seen[to] {
				continue
			}
			seen[to] = true
			next := append(slices.Clone(way), to)
			if slices.Contains(targets, to) {
				return next
			}
			ways = append(ways, next)
		}
	}
	return nil
}

// standard reports whether a package is Go's own: its first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func within(path, mod string) bool { return path == mod || strings.HasPrefix(path, mod+"/") }

// The module file says what users of the library download. A replacement would hold for us alone.
func TestDependencies(t *testing.T) {
	var mod struct {
		Module  struct{ Path string }
		Require []struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
		Tool    []struct{ Path string }
	}
	if err := json.Unmarshal(goTool(t, nil, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	if mod.Module.Path != module {
		t.Fatalf("the tests ran in module %s", mod.Module.Path)
	}
	for _, r := range mod.Require {
		if !slices.Contains(outside, r.Path) {
			t.Errorf("go.mod requires %s: the library depends only on %s", r.Path, strings.Join(outside, " and "))
		}
	}
	for _, r := range mod.Replace {
		t.Errorf("go.mod replaces %s", r.Old.Path)
	}
	for _, r := range mod.Tool {
		t.Errorf("go.mod has the tool %s: tools are pinned in the Makefile", r.Path)
	}
}
