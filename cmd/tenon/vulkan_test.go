package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/internal/testcard"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

// TestVulkanPair has a draft that reads a cache in a card's memory: it runs where the cache is, is refused elsewhere
// before anything is loaded, and runs there with a mirror.
func TestVulkanPair(t *testing.T) {
	testcard.Need(t, "Vulkan0")
	dir := t.TempDir()
	shared := tinymodel.SharedTarget(tinymodel.Config{})
	target, draft := filepath.Join(dir, "target.gguf"), filepath.Join(dir, "draft.gguf")
	for path, c := range map[string]tinymodel.Config{target: shared, draft: tinymodel.SharedDraft(tinymodel.Config{Embd: 48}, shared)} {
		if err := tinymodel.WriteFile(path, c); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (int, string, string) {
		return call("", append([]string{"run", "-m", target, "-p", "Once upon a time", "-n", "16", "--temp", "0", "--ignore-eos", "--json"}, args...)...)
	}
	code, want, report := run()
	if code != 0 {
		t.Fatal(report)
	}
	for _, tc := range []struct {
		name     string
		mirrored bool
		args     []string
	}{
		{"beside the cache", false, nil},
		{"mirrored", true, []string{"--spec-draft-device", "CPU", "--spec-kv", "mirror"}},
	} {
		code, got, report := run(append([]string{"--device", "Vulkan0", "--spec-draft-model", draft}, tc.args...)...)
		var facts runFacts
		if err := json.Unmarshal([]byte(report), &facts); err != nil || code != 0 || got != want {
			t.Errorf("%s: exit code %d, %q, want %q: %s", tc.name, code, got, want, report)
			continue
		}
		if s := facts.Speculation; s == nil || s.Drafted == 0 || (s.MirrorBytes > 0) != tc.mirrored {
			t.Errorf("%s: %+v", tc.name, s)
		}
	}
	code, _, report = run("--device", "Vulkan0", "--spec-draft-model", draft, "--spec-draft-device", "CPU")
	if code != 1 || !strings.Contains(report, "which Vulkan0 owns, but runs on CPU: place the draft on Vulkan0 (--spec-draft-device Vulkan0), or mirror it (--spec-kv mirror)") {
		t.Errorf("pinned to the CPU: exit code %d, %s", code, report)
	}
}
