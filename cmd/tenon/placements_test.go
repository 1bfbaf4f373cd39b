package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

// placementTable is a file that the engine's tests go through too, which says what it holds.
const placementTable = "../../engine/testdata/placements.json"

type placements struct {
	Machines map[string]string
	Rows     []placement
}

type placement struct {
	Name         string
	Machine      string
	Target       []string
	TargetLayers []string `json:"target_layers"`
	Cache        string
	Draft        []string
	DraftLayers  []string `json:"draft_layers"`
	F16          bool
	Peer         string
	Direct       string
	Owners       []string
	RunsOn       string `json:"runs_on"`
	Layer        int
}

// TestPlacements goes through the table as users do, with one process for each placement.
func TestPlacements(t *testing.T) {
	dir := t.TempDir()
	target := tinymodel.SharedTarget(tinymodel.Config{Layers: 5})
	draft := tinymodel.SharedDraft(tinymodel.Config{Embd: 48, Layers: 3}, target)
	p := &placed{target: filepath.Join(dir, "target.gguf"), draft: filepath.Join(dir, "draft.gguf")}
	if err := errors.Join(tinymodel.WriteFile(p.target, target), tinymodel.WriteFile(p.draft, draft)); err != nil {
		t.Fatal(err)
	}
	p.table(t)
}

// TestCorpusPlacements is TestPlacements with the models of the corpus for which the table was made: a
// target and a draft that another implementation ends the process for.
func TestCorpusPlacements(t *testing.T) {
	done := 0
	for _, draft := range testcorpus.Glob(t, "models/*-assistant.gguf") {
		target := strings.TrimSuffix(draft, "-assistant.gguf") + ".gguf"
		p := &placed{target: target, draft: draft}
		if !p.hasTableShape(t) {
			t.Logf("%s: its layers are not those of the table", modelName(target))
			continue
		}
		done++
		t.Run(modelName(target), p.table)
	}
	t.Logf("%d pairs of models", done)
	if done == 0 {
		t.Error("no pair of models has the layers of the table")
	}
}

// placed is a target and a draft that reads its cache.
type placed struct{ target, draft string }

// hasTableShape reports whether the models have as many layers as those that the table is about.
func (p *placed) hasTableShape(t *testing.T) bool {
	t.Helper()
	for path, want := range map[string]string{p.target: "5", p.draft: "3"} {
		code, out, stderr := call("", "inspect", path)
		if code != 0 {
			t.Fatal(stderr)
		}
		if !regexp.MustCompile(`\.block_count +uint32 +` + want + `\n`).MatchString(out) {
			return false
		}
	}
	return true
}

// table runs every row.
func (p *placed) table(t *testing.T) {
	raw, err := os.ReadFile(placementTable)
	if err != nil {
		t.Fatal(err)
	}
	var all placements
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	text := map[bool]string{}
	for _, f16 := range []bool{false, true} {
		code, out, stderr := tenonProcess(t, p.args(f16)...)
		if code != 0 || out == "" {
			t.Fatalf("exit code %d, %q: %s", code, out, stderr)
		}
		text[f16] = out
	}
	aborts := 0
	for _, row := range all.Rows {
		if row.Peer == "aborts" {
			aborts++
		}
		t.Run(row.Name, func(t *testing.T) {
			for _, backwards := range []bool{false, true} { // whichever name comes first
				r := placedRow{placed: p, placement: row, t: t, text: text[row.F16]}
				r.machine = writeMachine(t, all.Machines[row.Machine], backwards)
				if backwards && row.Direct != "refused" {
					continue
				}
				r.check()
			}
		})
	}
	if len(all.Rows) < 12 || aborts < 4 {
		t.Errorf("%d rows, of which the peer aborts in %d", len(all.Rows), aborts)
	}
}

// args are the arguments of every run.
func (p *placed) args(f16 bool) []string {
	args := []string{"run", "-m", p.target, "-p", "Once upon a time", "-n", "20", "--temp", "0", "--ignore-eos", "--exact", "-c", "64"}
	if !f16 {
		args = append(args, "--cache-type-k", "f32", "--cache-type-v", "f32")
	}
	return args
}

// writeMachine writes a description of simulated devices, the first of them last if backwards.
func writeMachine(t *testing.T, text string, backwards bool) string {
	t.Helper()
	if _, err := sim.Parse(text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(text, "\n")
	if backwards {
		for i, j := 0, len(lines)-1; i < j; i, j = i+1, j-1 {
			lines[i], lines[j] = lines[j], lines[i]
		}
	}
	path := filepath.Join(t.TempDir(), "machine.txt")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// placedRow is a row of the table on one machine.
type placedRow struct {
	*placed
	placement
	t       *testing.T
	machine string
	text    string // without speculation, on the CPU
}

// check runs the row with nothing said about the draft, with the draft pinned, and mirrored.
func (r *placedRow) check() {
	r.t.Helper()
	r.runs(false)
	pins := []string{"--spec-draft-device", strings.Join(r.Draft, ",")}
	pins = append(pins, layerFlags("--spec-draft-", r.DraftLayers)...)
	switch r.Direct {
	case "runs":
		r.runs(false, pins...)
		if r.DraftLayers != nil { // on the devices that would be taken unasked
			r.runs(false, pins[2:]...)
		}
	case "refused":
		r.refused(pins...)
		r.runs(false, "--spec-draft-device", strings.Join(r.Owners, ",")) // as the message says
	default:
		r.t.Fatalf("direct is %q", r.Direct)
	}
	r.runs(true, append(pins, "--spec-kv", "mirror")...) // as the message says, too
}

// layerFlags returns the flags that put layers on the given devices, as people would say it: the last few on
// a device and those before on the CPU, or each by itself.
func layerFlags(prefix string, devices []string) (flags []string) {
	if len(devices) == 0 {
		return nil
	}
	host := 0
	for host < len(devices) && devices[host] == "CPU" {
		host++
	}
	rest := slices.Compact(slices.Clone(devices[host:]))
	if host > 0 && len(rest) <= 1 {
		return []string{prefix + "gpu-layers", fmt.Sprint(len(devices) - host)}
	}
	for i, device := range devices {
		flags = append(flags, prefix+"layer-device", fmt.Sprintf("%d=%s", i, device))
	}
	return flags
}

// run runs the target where the row says, and a draft.
func (r *placedRow) run(more ...string) (code int, stdout, stderr string) {
	args := append(r.args(r.F16), "--sim", r.machine, "--device", strings.Join(r.Target, ","), "--spec-draft-model", r.draft, "--json")
	args = append(args, layerFlags("--", r.TargetLayers)...)
	if r.Cache != "" {
		if r.Cache != "CPU" {
			r.t.Fatalf("no flag keeps the cache on %s", r.Cache)
		}
		args = append(args, "--no-kv-offload")
	}
	return tenonProcess(r.t, append(args, more...)...)
}

// runs checks that it runs, that the draft guesses, that the text is the one without it, and that only a
// mirror copies.
func (r *placedRow) runs(mirrored bool, more ...string) {
	r.t.Helper()
	code, out, report := r.run(more...)
	var facts runFacts
	if code != 0 {
		r.t.Errorf("%v: exit code %d: %s", more, code, report)
		return
	}
	if err := json.Unmarshal([]byte(report), &facts); err != nil {
		r.t.Fatalf("%v: %v: %s", more, err, report)
	}
	s := facts.Speculation
	if s == nil || s.Drafted == 0 || s.Failed != nil || (s.MirrorBytes > 0) != mirrored {
		r.t.Errorf("%v: %+v", more, s)
	}
	if out != r.text {
		r.t.Errorf("%v: %q, without speculation %q", more, out, r.text)
	}
	var draft int64
	for _, d := range facts.Memory {
		draft += d.Draft
	}
	if draft == 0 {
		r.t.Errorf("%v: no memory of the draft: %+v", more, facts.Memory)
	}
}

// refused checks that it ends with exit code 1 and the line that says why, and what to do.
func (r *placedRow) refused(more ...string) {
	r.t.Helper()
	owner, all := r.Owners[0], strings.Join(r.Owners, ",")
	source := 1
	if r.Layer == 2 {
		owner, source = r.Owners[1], 2
	}
	want := fmt.Sprintf("tenon: kv: layer %d shares the K cache of layer %d, which %s owns, but runs on %s: place the draft on %s "+
		"(--spec-draft-device %s), or mirror it (--spec-kv mirror)\n", r.Layer, source, owner, r.RunsOn, all, all)
	if code, out, line := r.run(more...); code != 1 || out != "" || line != want {
		r.t.Errorf("%v: exit code %d, %q\n%s\nwant 1 and\n%s", more, code, out, line, want)
	}
}

// tenonProcess runs the command as a process of its own.
func tenonProcess(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Args[0] = "tenon" // what TestMain looks at
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
