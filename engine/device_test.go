package engine_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
)

func TestTwoDevicesGiveTheLogitsOfOne(t *testing.T) {
	for _, fam := range families {
		t.Run(fam.name, func(t *testing.T) {
			c := fam.config
			c.Layers = 4
			f := parse(t, c)
			text := ids(1, 24)
			want := open(t, f, exact).decode(tokens(0, 0, text))
			for _, layers := range [][]string{nil, {"CPU1", "CPU0", "CPU1", "CPU0"}, {"CPU1", "CPU1", "CPU1", "CPU1"}} {
				opt := exact
				opt.Batch, opt.LayerDevices = 10, layers
				opt.Devices = []backends.Device{newCPU(t, "CPU0", 0), newCPU(t, "CPU1", 0)}
				r := open(t, f, opt)
				near(t, "split", r.decode(tokens(0, 0, text)), want, tolerance)
				near(t, "split, one more", r.decode(tokens(0, 24, text[:1])), alone(t, f, exact, [][]int32{append(text[:24:24], text[0])})[0][24:], tolerance)
			}
		})
	}
}

func TestPlanSaysWhatIsCopiedAndWhy(t *testing.T) {
	f := parse(t, tinymodel.Config{Layers: 4})
	opt := exact
	opt.Devices = []backends.Device{newCPU(t, "CPU0", 0), newCPU(t, "CPU1", 0)}
	r := open(t, f, opt)
	if got := r.Options().LayerDevices; !slices.Equal(got, []string{"CPU0", "CPU0", "CPU1", "CPU1"}) {
		t.Errorf("layers lie on %v", got)
	}
	p, err := r.Plan(3)
	must(t, err)
	nodes := map[string]int{}
	for _, n := range p.Nodes {
		nodes[n.Device]++
		if n.Reason.String() == "" {
			t.Errorf("%s runs on %s for no reason", n.Node, n.Device)
		}
	}
	if nodes["CPU0"] == 0 || nodes["CPU1"] == 0 {
		t.Errorf("nodes by device: %v", nodes)
	}
	var copied int64
	for _, s := range p.Splits {
		for _, c := range s.Copies {
			copied += c.Bytes
		}
	}
	// The hidden state of three tokens must cross, at the least.
	if copied != p.Copied || copied < 3*4*64 {
		t.Errorf("%d bytes are copied, the plan says %d", copied, p.Copied)
	}
	if len(p.Splits) != 2 {
		t.Errorf("%d splits", len(p.Splits))
	}
}

func TestMemoryReportIsWhatIsAllocated(t *testing.T) {
	f := parse(t, tinymodel.Config{Layers: 4})
	for name, names := range map[string][]string{"one": {"CPU"}, "two": {"CPU0", "CPU1"}, "copied weights": {"plain"}} {
		t.Run(name, func(t *testing.T) {
			var devices []backends.Device
			memory := map[string]*buffer.Host{}
			for _, n := range names {
				d := newCPU(t, n, 0)
				memory[n] = d.Memory()
				if n == "plain" {
					devices = append(devices, plain{d})
				} else {
					devices = append(devices, d)
				}
			}
			opt := exact
			opt.Devices, opt.Sequences, opt.Batch = devices, 2, 32
			r := open(t, f, opt)
			check := func(when string) {
				t.Helper()
				var weights int64
				for _, m := range r.Memory() {
					if have := memory[m.Device].Used(); m.Total() != have || have == 0 || m.Cache == 0 || m.Compute == 0 {
						t.Errorf("%s: %s: reported %+v, in all %d; allocated %d", when, m.Device, m, m.Total(), have)
					}
					weights += m.Mapped + m.Weights
					if copied := m.Weights > 0; copied != (name == "copied weights") {
						t.Errorf("%s: %d bytes of weights were copied", m.Device, m.Weights)
					}
				}
				if most := r.Params().Bytes; weights < most || weights > most+most/10 {
					t.Errorf("%s: weights of %d bytes, want %d", when, weights, most)
				}
			}
			check("at first")
			before := r.Memory()
			if err := r.Decode(t.Context(), tokens(0, 0, ids(1, 32))[:1]); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before, r.Memory()) {
				t.Errorf("one token has taken memory: %+v, then %+v", before, r.Memory())
			}
			r.decode(tokens(1, 0, ids(1, 32))) // more outputs than were planned for
			check("after many outputs")
			must(t, r.Cache().Add(1, 0, -1, 7))
			r.decode(tokens(1, 40, ids(1, 3)))
			check("after a move")
		})
	}
}

// plain is a CPU device whose memory cannot be imported into, as that of most cards.
type plain struct{ *cpu.Device }

func (d plain) BufferTypes() []buffer.Type { return []buffer.Type{plainMemory{d.Memory()}} }

type plainMemory struct{ buffer.Type }

// Weights that were copied to a device, in several buffers, are those of the file.
func TestCopiedWeights(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	text := tokens(0, 0, ids(1, 10))
	want := open(t, f, exact).decode(text)
	var told []int64
	for _, most := range []int64{0, 100_000} {
		opt := exact
		opt.Context = 64
		d := newCPU(t, "CPU", 0)
		opt.Devices = []backends.Device{smallBuffers{d, most}}
		opt.Progress = func(done, total int64) {
			if len(told) > 0 && done <= told[len(told)-1] || done > total {
				t.Errorf("progress: %d of %d after %v", done, total, told)
			}
			told = append(told, done)
		}
		r := open(t, f, opt)
		near(t, "copied", r.decode(text), want, 0)
		if last := told[len(told)-1]; last != r.Params().Bytes {
			t.Errorf("progress ended at %d of %d", last, r.Params().Bytes)
		}
		told = nil
	}
}

// smallBuffers is a device with a limit on each buffer.
type smallBuffers struct {
	*cpu.Device
	most int64
}

func (d smallBuffers) BufferTypes() []buffer.Type {
	return []buffer.Type{smallMemory{plainMemory{d.Memory()}, d.most}}
}

type smallMemory struct {
	plainMemory
	most int64
}

func (m smallMemory) MaxSize() int64 {
	if m.most == 0 {
		return m.plainMemory.MaxSize()
	}
	return m.most
}

// silent is a device that does not say how much memory it has.
type silent struct{ *cpu.Device }

func (d silent) Info() backends.Info {
	info := d.Device.Info()
	info.MemoryTotal, info.MemoryFree = 0, 0
	return info
}

// Whatever memory is missing, New says so and keeps nothing; newCPU checks the latter.
func TestTooLittleMemory(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	enough := newCPU(t, "CPU", 0)
	r := open(t, f, engine.Options{Devices: []backends.Device{enough}})
	need := enough.Memory().Used()
	must(t, r.Close())
	tooLittle := 0
	for _, limit := range []int64{1, 1000, need / 8, need / 4, need / 2, need * 5 / 8, need * 3 / 4, need * 9 / 10, need - 1} {
		d := newCPU(t, "CPU", limit)
		e, err := engine.New(f, engine.Options{Devices: []backends.Device{d}})
		// A limit below one tensor of the cache is a cache that cannot be, rather than one without room.
		if e != nil || !errors.Is(err, buffer.ErrNoMemory) && !(limit <= 1000 && errors.Is(err, kv.ErrConfig)) {
			t.Errorf("%d of %d bytes: %v", limit, need, err)
		}
		if n := d.Memory().Used(); n != 0 {
			t.Errorf("%d of %d bytes: %d stay allocated", limit, need, n)
		}
		var fit *engine.FitError
		if errors.As(err, &fit) {
			tooLittle++
			n := fit.Lacking[0]
			// A small limit is one on each buffer as well, and more buffers have more gaps.
			if n.Free != limit || n.Need < need || limit > need/2 && n.Need != need || n.Missing() != n.Need-limit || n.Total() != n.Need {
				t.Errorf("%d of %d bytes: %+v", limit, need, n)
			}
		}
		// A device that does not say what it has is found out by an allocation.
		e, err = engine.New(f, engine.Options{Devices: []backends.Device{silent{d}}})
		if e != nil || !errors.Is(err, buffer.ErrNoMemory) && !(limit <= 1000 && errors.Is(err, kv.ErrConfig)) || errors.As(err, &fit) {
			t.Errorf("%d of %d bytes, unsaid: %v", limit, need, err)
		}
		if n := d.Memory().Used(); n != 0 {
			t.Errorf("%d of %d bytes, unsaid: %d stay allocated", limit, need, n)
		}
	}
	if tooLittle < 5 {
		t.Errorf("only %d limits were noticed", tooLittle)
	}
	open(t, f, engine.Options{Devices: []backends.Device{newCPU(t, "CPU", need)}}).decode(tokens(0, 0, ids(1, 1)))
}
