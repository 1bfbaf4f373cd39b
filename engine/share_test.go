package engine_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
)

// placements is testdata/placements.json.
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
	F16          bool     // the cache is F16; F32 otherwise
	Peer         string
	Direct       string
	Owners       []string
	RunsOn       string `json:"runs_on"`
	Layer        int    // of the draft, the first that is refused
	Copies       []int  // of layers 1 and 2 of the target, in a mirror
}

// TestPlacements goes through what is known of drafts on other devices: with nothing said about the draft
// everything runs; where it is pinned to what cannot read the cache it is refused, with both names; and
// mirrored it runs.
func TestPlacements(t *testing.T) {
	raw, err := os.ReadFile("testdata/placements.json")
	must(t, err)
	var table placements
	must(t, json.Unmarshal(raw, &table))
	inner := newCPU(t, "inner", 0)
	aborts, peers := 0, map[bool]*pair{}
	for _, f16 := range []bool{false, true} {
		peers[f16] = newPair(t, tinymodel.Config{Layers: 5}, tinymodel.Config{Embd: 48, Layers: 3}, engine.Options{Exact: true, ExactCache: !f16, Context: 64})
	}
	for _, row := range table.Rows {
		if row.Peer == "aborts" {
			aborts++
		}
		t.Run(row.Name, func(t *testing.T) {
			p := peers[row.F16]
			configs, err := sim.Parse(table.Machines[row.Machine])
			must(t, err)
			for _, backwards := range []bool{false, true} {
				if backwards {
					slices.Reverse(configs) // whichever name comes first
				}
				m := newMachine(t, inner, slices.Clone(configs)...)
				e := open(t, p.target, engine.Options{
					Devices: m.named(row.Target), LayerDevices: row.TargetLayers, CacheDevice: row.Cache, Fallback: m.Device("CPU"),
					Exact: true, ExactCache: !row.F16, Context: 64, Sequences: 2,
				}).Engine
				if got := p.mustEqual(t, e, engine.DraftOptions{}); got.copied != nil {
					t.Errorf("with nothing said, %v bytes are copied", got.copied)
				}
				row.check(t, m, p, e)
			}
		})
	}
	if len(table.Rows) < 12 || aborts < 4 {
		t.Errorf("%d rows, of which the peer aborts in %d", len(table.Rows), aborts)
	}
}

// check has the draft pinned as row says, without a mirror and with one.
func (row *placement) check(t *testing.T, m *machine, p *pair, e *engine.Engine) {
	opt := engine.DraftOptions{Devices: m.named(row.Draft), LayerDevices: row.DraftLayers}
	switch row.Direct {
	case "runs":
		if got := p.mustEqual(t, e, opt); got.copied != nil {
			t.Errorf("shared directly, %v bytes are copied", got.copied)
		}
	case "refused":
		refused := m.mustRefuse(t, p, e, opt)
		owner, all := row.Owners[0], strings.Join(row.Owners, ",")
		source := 1
		if row.Layer == 2 {
			owner, source = row.Owners[1], 2
		}
		want := fmt.Sprintf("kv: layer %d shares the K cache of layer %d, which %s owns, but runs on %s: "+
			"place the draft on %s (--spec-draft-device %s), or mirror it (--spec-kv mirror)", row.Layer, source, owner, row.RunsOn, all, all)
		if refused.Error() != want || refused.Field != kv.ShareOwnerK || !slices.Equal(refused.Owners, row.Owners) {
			t.Errorf("%+v\n%v\nwant\n%s", *refused, refused, want)
		}
		// The way out that it names is one.
		p.mustEqual(t, e, engine.DraftOptions{Devices: m.named(refused.Owners)})
	default:
		t.Fatalf("direct is %q", row.Direct)
	}
	opt.Mirror = true
	got := p.mustEqual(t, e, opt)
	if want := row.mirrored(e); !slices.Equal(got.copied, want) {
		t.Errorf("mirrored, the steps copy %v bytes, want %v", got.copied, want)
	}
}

// mirrored returns the bytes that the first draft run after each step copies: of the rows that are new and
// still there, those of layer 1 and of layer 2.
func (row *placement) mirrored(e *engine.Engine) []int64 {
	copies := row.Copies
	if copies == nil {
		copies = []int{1, 1}
	}
	var perToken int64
	for i, n := range copies {
		l, _ := e.Cache().Layer(1 + i)
		perToken += int64(n) * int64(l.K.Stride[1]+l.V.Stride[1])
	}
	var want []int64
	tokens := 0
	for _, s := range sessionSteps {
		if kept := s.take - s.back; kept > 0 {
			want = append(want, int64(kept)*perToken)
			tokens += kept
		}
	}
	want = append(want, 3*perToken) // one token of one sequence and two of the other
	// In the end the keys of all tokens have moved, but of those that are dropped.
	return append(want, int64(tokens+1-5)*perToken)
}

// reach is what decides whether a draft can read a layer: the names of its devices, and of those whose
// memory they can read.
func reach(devices []backends.Device) map[string]bool {
	names := map[string]bool{}
	for _, d := range devices {
		c := d.(*sim.Device).Config()
		names[c.Name] = true
		for _, r := range c.Reads {
			names[r] = true
		}
	}
	return names
}

// TestWhatIsSharedCanBePlaced takes random machines, splits and pins: what the share accepts the
// scheduler places, and the draft says what it says on one device; what it refuses is refused before
// anything is made.
func TestWhatIsSharedCanBePlaced(t *testing.T) {
	opt := engine.Options{Exact: true, ExactCache: true, Context: 48, Sequences: 2}
	pairs := []*pair{
		newPair(t, tinymodel.Config{Layers: 5}, tinymodel.Config{Embd: 48, Layers: 3}, opt),
		newPair(t, tinymodel.Config{Layers: 4, KVHeads: 1, Seed: 2}, tinymodel.Config{Layers: 1}, opt),
		newPair(t, tinymodel.Config{Layers: 7, Seed: 3}, tinymodel.Config{Embd: 32, Layers: 2, Heads: 2}, opt),
	}
	inner := newCPU(t, "inner", 0)
	count := map[string]int{}
	for seed := range uint64(180) {
		r := rand.New(rand.NewPCG(seed, 24492))
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := pairs[r.IntN(len(pairs))]
			count[randomPlacement(t, r, p, newMachine(t, inner, randomMachine(r)...), opt)]++
		})
	}
	t.Logf("%v", count)
	if count["placed"] < 20 || count["refused"] < 20 || count["mirrored"] < 20 || count["unpinned"] < 20 {
		t.Error("the machines do not reach what they should")
	}
}

func randomMachine(r *rand.Rand) []sim.Config {
	names := []string{"Vulkan0", "ROCm0", "Vulkan1", "CPU"}[r.IntN(2):]
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var all []sim.Config
	for _, n := range names {
		c := sim.Config{
			Name: n, Mapped: n == "CPU" || r.IntN(3) == 0, Import: n == "CPU" || r.IntN(4) == 0,
			Submit: []sim.SubmitMode{sim.Sync, sim.Async, sim.Deferred}[r.IntN(3)], Alignment: 16 << r.IntN(5),
		}
		for _, other := range names {
			if other != n && r.IntN(8) == 0 {
				c.Reads = append(c.Reads, other)
			}
		}
		if n != "CPU" && r.IntN(4) == 0 {
			c.Rules = []sim.Rule{{Ops: []string{[]string{"FlashAttn", "RMSNorm", "MatMul"}[r.IntN(3)]}}}
		}
		all = append(all, c)
	}
	return all
}

// some returns some of the devices, at least one, in any order.
func some(r *rand.Rand, all []backends.Device) []backends.Device {
	all = slices.Clone(all)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+r.IntN(len(all))*r.IntN(2)]
}

// layersOn returns a device's name for each layer, or nil.
func layersOn(r *rand.Rand, devices []backends.Device, layers int) []string {
	if r.IntN(2) == 0 {
		return nil
	}
	var names []string
	for range layers {
		names = append(names, devices[r.IntN(len(devices))].Info().Owner.Device)
	}
	return names
}

// randomPlacement places a target somewhere and a draft somewhere else, and returns what came of it.
func randomPlacement(t *testing.T, r *rand.Rand, p *pair, m *machine, opt engine.Options) string {
	opt.Fallback = m.Device("CPU")
	opt.Devices = some(r, m.Backends())
	with := append(slices.Clone(opt.Devices), opt.Fallback)
	layers, err := p.target.Int("gemma4.block_count")
	must(t, err)
	opt.LayerDevices = layersOn(r, with, int(layers))
	if r.IntN(4) == 0 {
		opt.CacheDevice = with[r.IntN(len(with))].Info().Owner.Device
	}
	e := open(t, p.target, opt).Engine

	if r.IntN(5) == 0 {
		if got := p.mustEqual(t, e, engine.DraftOptions{}); got.copied != nil {
			t.Errorf("%v bytes are copied", got.copied)
		}
		return "unpinned"
	}
	draftOpt := engine.DraftOptions{Devices: some(r, m.Backends()), Mirror: r.IntN(4) == 0}
	draftLayers, err := p.draft.Int("gemma4-assistant.block_count")
	must(t, err)
	draftOpt.LayerDevices = layersOn(r, draftOpt.Devices, int(draftLayers))
	if draftOpt.Mirror {
		if got := p.mustEqual(t, e, draftOpt); got.copied == nil {
			t.Error("the mirror copies nothing")
		}
		return "mirrored"
	}
	if owner := unreachable(e, append(slices.Clone(draftOpt.Devices), opt.Fallback), int(draftLayers)); owner != "" {
		refused := m.mustRefuse(t, p, e, draftOpt)
		if refused.Field != kv.ShareOwnerK || refused.Have != owner {
			t.Errorf("refused for the %s of %s, want that of %s: %v", refused.Field, refused.Have, owner, refused)
		}
		p.mustEqual(t, e, engine.DraftOptions{Devices: m.named(refused.Owners)})
		return "refused"
	}
	if got := p.mustEqual(t, e, draftOpt); got.copied != nil {
		t.Errorf("%v bytes are copied", got.copied)
	}
	return "placed"
}

// unreachable returns the owner of the first layer that a draft on the given devices reads and none of
// them can, or "".
func unreachable(e *engine.Engine, devices []backends.Device, draftLayers int) string {
	can := reach(devices)
	full := e.Params().Layers - 3 // the last layer with a cache of its own sees all, the one before slides
	sources := []int{full - 1, full}
	if draftLayers == 1 {
		sources = sources[1:]
	}
	for _, i := range sources {
		l, _ := e.Cache().Layer(i)
		if owner := l.K.Storage.Buffer.Type().Owner().Device; !can[owner] {
			return owner
		}
	}
	return ""
}
