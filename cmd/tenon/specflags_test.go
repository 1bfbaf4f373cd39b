package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/internal/tinymodel"
)

// TestSpeculation continues a text with each kind of draft, and without.
func TestSpeculation(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, c tinymodel.Config) string {
		path := filepath.Join(dir, name)
		if err := tinymodel.WriteFile(path, c); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shared := tinymodel.SharedTarget(tinymodel.Config{})
	target, mtp := write("target.gguf", shared), write("mtp.gguf", tinymodel.SharedDraft(tinymodel.Config{Embd: 48}, shared))
	small := write("small.gguf", tinymodel.Config{Layers: 1})
	run := func(args ...string) (int, string, string) {
		return call("", append([]string{"run", "-m", target, "-p", "Once upon a time", "-n", "30", "--temp", "0", "--ignore-eos"}, args...)...)
	}
	code, want, _ := run()
	if code != 0 {
		t.Fatal(code)
	}
	for _, args := range [][]string{
		{"--spec-draft-model", mtp},
		{"--spec-draft-model", mtp, "--spec-type", "ngram,draft-mtp", "--spec-draft-n-max", "5", "--spec-draft-n-min", "1", "--spec-draft-p-min", "0.1"},
		{"--spec-draft-model", mtp, "--spec-kv", "mirror", "--spec-draft-device", "CPU"},
		{"--spec-draft-model", small, "--spec-draft-type-k", "f32", "--spec-draft-type-v", "bf16"},
		{"--spec-draft-model", small, "--spec-draft-gpu-layers", "0", "--spec-draft-layer-device", "0-=CPU"},
		{"--spec-type", "ngram"},
	} {
		code, got, report := run(append(args, "--json")...)
		var facts runFacts
		if err := json.Unmarshal([]byte(report), &facts); err != nil || facts.Speculation == nil || code != 0 || got != want {
			t.Errorf("%v: exit code %d, %q, want %q: %s", args, code, got, want, report)
		}
	}
	if _, _, report := run("--spec-draft-model", mtp); !strings.Contains(report, " of it for the draft") {
		t.Errorf("the report says nothing of the draft's memory: %s", report)
	}
	if _, _, report := run("--spec-type", "ngram"); !strings.Contains(report, "guesses accepted") {
		t.Errorf("the report says nothing of speculation: %s", report)
	}
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"--spec-kv is \"near\"", []string{"--spec-draft-model", mtp, "--spec-kv", "near"}},
		{"--spec-draft-n-max is 0", []string{"--spec-draft-model", mtp, "--spec-draft-n-max", "0"}},
		{"--spec-draft-n-min is 4", []string{"--spec-draft-model", mtp, "--spec-draft-n-min", "4"}},
		{"--spec-draft-p-min is 2", []string{"--spec-draft-model", mtp, "--spec-draft-p-min", "2"}},
		{"nothing to draft with", []string{"--spec-draft-p-min", "0.5"}},
		{"nothing to draft with", []string{"--spec-kv", "mirror"}},
		{"nothing to draft with", []string{"--spec-draft-gpu-layers", "1"}},
		{"--spec-draft-gpu-layers is \"some\"", []string{"--spec-draft-model", mtp, "--spec-draft-gpu-layers", "some"}},
		{"--spec-draft-layer-device: ", []string{"--spec-draft-model", mtp, "--spec-draft-layer-device", "CPU"}},
		{"layers of 0 to", []string{"--spec-draft-model", mtp, "--spec-draft-layer-device", "99=CPU"}},
		{"K type is F16, but wants F32", []string{"--spec-draft-model", mtp, "--spec-draft-type-k", "f32"}},
		{"is oracle, want draft-mtp", []string{"--spec-type", "oracle"}},
	} {
		if code, _, report := run(tc.args...); code != 1 || !strings.Contains(report, tc.want) || strings.Count(report, "\n") != 1 {
			t.Errorf("%v: exit code %d, %q, want 1 and %q", tc.args, code, report, tc.want)
		}
	}
}
