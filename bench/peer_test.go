package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/tensor"
)

// peer returns the fake peer.
func peer(t *testing.T, mode string) (p *Peer, calls func() []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "calls")
	p = &Peer{Command: []string{self}, Name: "fake", Env: []string{fakePeer + "=" + mode, fakePeer + "_LOG=" + log}}
	return p, func() []string {
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

// The peer runs between our repetitions, with the same settings, and the ratios are those of the pairs.
func TestVersus(t *testing.T) {
	p, calls := peer(t, "good")
	path := tinymodel.Path(t, tinymodel.Config{HeadDim: 32}) // a block of Q8_0
	var doing []string
	records, err := Run(t.Context(), Options{
		Tests: []Params{
			{Model: Source{Path: path}, Prompt: 8, Threads: 1, TypeK: tensor.F16, TypeV: tensor.F16, DeviceLayers: -1},
			{Model: Source{Path: path}, Prompt: 4, Gen: 2, Depth: 6, Threads: 1, TypeK: tensor.F16, TypeV: tensor.Q8_0, DeviceLayers: -1},
		},
		Repetitions: 3, Peer: p, NoRoofline: true, NoWarmup: true,
		Progress: func(e Event) {
			if e.Doing == "measuring" || e.Doing == "running the peer" {
				doing = append(doing, e.Doing[:1])
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(doing, ""); got != "mrmrmrmrmrmr" {
		t.Errorf("turns: %s", got)
	}
	for _, r := range records {
		if r.VsCommand != "fake" || r.VsBuild != "abc123 (77)" || r.VsBackends != "CPU" || r.VsModelType != "fake" || r.VsAvgTS != 1e6 || r.VsError != "" {
			t.Errorf("%s: %+v", r.Test(), r)
		}
		want := SpreadOf(ratios(r.SamplesTS, []float64{1e6, 1e6, 1e6}))
		if got := (Spread{r.VsRatio, r.VsRatioMin, r.VsRatioMax}); got != want || len(r.VsSamplesNS) != 3 {
			t.Errorf("%s: ratio %v, want %v", r.Test(), got, want)
		}
	}
	got := calls()
	if len(got) != 6 {
		t.Fatalf("%d calls", len(got))
	}
	if want := "-m " + path + " -r 1 -o json -p 8 -n 0 -b 2048 -ub 512 -t 1 -ctk f16 -ctv f16 -dev none"; got[0] != want {
		t.Errorf("called with\n%s, want\n%s", got[0], want)
	}
	if want := "-m " + path + " -r 1 -o json -p 0 -n 0 -pg 4,2 -d 6 -b 2048 -ub 512 -t 1 -ctk f16 -ctv q8_0 -fa 1 -dev none"; got[5] != want {
		t.Errorf("called with\n%s, want\n%s", got[5], want)
	}
}

// A peer that fails costs its columns and nothing else.
func TestPeerFails(t *testing.T) {
	path := tinyModel(t)
	for mode, says := range map[string]string{"fail": "failed to load model", "noise": "no JSON", "other": "another test"} {
		p, calls := peer(t, mode)
		records, err := Run(t.Context(), Options{
			Tests:       []Params{{Model: Source{Path: path}, Prompt: 4}, {Model: Source{Path: path}, Gen: 2}},
			Repetitions: 2, Peer: p, NoRoofline: true,
		})
		var e *PeerError
		if !errors.As(err, &e) || !errors.Is(err, ErrPeer) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want a *PeerError that says %q", mode, err, says)
		}
		if len(records) != 2 || len(records[1].SamplesNS) != 2 || !strings.Contains(records[1].VsError, says) {
			t.Errorf("%s: %+v", mode, records)
		}
		if n := len(calls()); n != 2 {
			t.Errorf("%s: asked %d times, want once for each test", mode, n)
		}
	}
	p, calls := peer(t, "good")
	p.NoWarmup = true
	if _, err := p.Run(t.Context(), Params{Prompt: 1, Threads: 1}, 1, path); err != nil || !strings.HasSuffix(calls()[0], " --no-warmup") {
		t.Errorf("without a warm-up: %v, %q", err, calls())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Run(ctx, Params{Prompt: 1, Threads: 1}, 1, path); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := (&Peer{}).Run(t.Context(), Params{Prompt: 1}, 1, path); !errors.Is(err, ErrPeer) {
		t.Errorf("no command: %v", err)
	}
	if _, err := Run(t.Context(), Options{Tests: []Params{{Model: Source{Name: "x", Data: []byte("x")}, Gen: 1}}, Peer: p}); !errors.Is(err, ErrOption) {
		t.Errorf("a peer and a model in memory: %v", err)
	}
}

func TestParsePeer(t *testing.T) {
	one := `{"build_commit":"x","n_prompt":5,"samples_ns":[7,8],"samples_ts":[1.5,2]}`
	for _, text := range []string{"[" + one + "," + one + "]", one + "\n" + one + "\n", "note\n[\n" + one + ",\n" + one + "\n]\n"} {
		got, err := ParsePeer([]byte(text))
		want := PeerRecord{BuildCommit: "x", Prompt: 5, SamplesNS: []int64{7, 8}, SamplesTS: []float64{1.5, 2}}
		if err != nil || len(got) != 2 || !reflect.DeepEqual(got[1], want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "nothing", "[", "[1]", "{\"n_prompt\":\"x\"}", "[] x", "[]"} {
		if got, err := ParsePeer([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestArgs(t *testing.T) {
	p := Params{Gen: 4, Batch: 8, UBatch: 4, Threads: 2, DeviceLayers: 3, Devices: []string{"Vulkan0", "CPU", "ROCm1"}, Overrides: []string{"a=CPU", "b=Vulkan0"}}
	got := strings.Join(p.Args("m", 7), " ")
	if want := "-m m -r 7 -o json -p 0 -n 4 -b 8 -ub 4 -t 2 -ctk f32 -ctv f32 -ngl 3 -dev Vulkan0/ROCm1 -ot a=CPU;b=Vulkan0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p.Devices = []string{"CPU"}
	if got := strings.Join(p.Args("m", 1), " "); !strings.Contains(got, "-dev none") {
		t.Errorf("the CPU alone: %s", got)
	}
	card := PeerRecord{Backends: "Vulkan", GPUInfo: "some card"}
	if on := card.On(); on != "Vulkan, some card" {
		t.Errorf("it ran on %s", on)
	}
}
