//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/internal/hipemu"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/tensor"
)

// emulated returns the first device of an emulator: see testdata/emulator. When the test ends, nothing of it may be left.
func emulated(t *testing.T, opt hipemu.Options) (*Device, *hipemu.Emulator) {
	t.Helper()
	e := hipemu.Use(t, opt)
	devices, err := Devices(Options{CacheDir: t.TempDir()})
	if len(devices) == 0 {
		t.Fatal(err)
	}
	d := devices[0]
	if d.rt.Path != e.Path {
		hipemu.Missing(t, "%s is found before the emulator", d.rt.Path)
	}
	t.Cleanup(func() {
		e.Fail("", 0, 0, 0)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		for _, what := range []string{"allocations", "device_bytes", "host_bytes", "streams", "events", "graphs", "modules", "programs"} {
			if n := e.Count(what); n != 0 {
				t.Errorf("%d %s are left", n, what)
			}
		}
	})
	return d, e
}

// waves are the two kinds of card: an RDNA with waves of 32 threads, and a CDNA with waves of 64.
var waves = map[string]string{"wave 32": "gfx1030", "wave 64": "gfx90a:sramecc+:xnack-"}

// inWaves are ops whose kernels depend on the size of a wave, with some of their types: each is compiled for itself.
var inWaves = regexp.MustCompile(`^((MatMul|MatMulID)/a=(F32|F16|BF16|Q4_0|Q8_0|Q4_K|Q6_K),|FlashAttn/.*=(F16|Q8_0),|(RMSNorm|LayerNorm|L2Norm|SumRows|SoftMax|ArgMax|GatedDeltaNet)/)`)

// TestEmulated is the conformance suite, on both kinds of card. Where the emulator is demanded it is whole with waves of 32, and with waves of
// 64 it has the ops that depend on them and what is fused; TENON_DEMAND_HIPEMU=all leaves nothing out.
func TestEmulated(t *testing.T) {
	for name, arch := range waves {
		t.Run(name, func(t *testing.T) {
			d, _ := emulated(t, hipemu.Options{Devices: arch})
			opt := conformance.Options{}
			switch {
			case testing.Short() || !hipemu.Demanded():
				opt.Chapters = []string{conformance.ChapterBuffers, conformance.ChapterPrograms, conformance.ChapterFaults}
				t.Logf("without %s only chapters %v", hipemu.Demand, opt.Chapters)
			case name != "wave 32" && !hipemu.All():
				opt.Chapters = []string{conformance.ChapterFusion}
				conformance.Test(t, func() (backends.Device, error) { return d, nil }, opt)
				opt = conformance.Options{Chapters: []string{conformance.ChapterOps}, Filter: inWaves}
				t.Logf("only chapter %s and of the ops %v: %s=all runs all", conformance.ChapterFusion, inWaves, hipemu.Demand)
			}
			conformance.Test(t, func() (backends.Device, error) { return d, nil }, opt)
		})
	}
}

// TestEmulatedOps runs the ops of the reference corpus and compares with what the peer made of them.
func TestEmulatedOps(t *testing.T) {
	dir := testcorpus.Dir(t)
	for name, arch := range waves {
		t.Run(name, func(t *testing.T) {
			d, _ := emulated(t, hipemu.Options{Devices: arch})
			conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{
				Chapters: []string{conformance.ChapterCorpus}, Corpus: dir,
			})
		})
	}
}

// TestEmulatedLater has streams do what they get later, and threads of a block run in the other order: who does not wait for what it needs
// gets something else.
func TestEmulatedLater(t *testing.T) {
	d, _ := emulated(t, hipemu.Options{Async: true, Reverse: true})
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{Chapters: []string{
		conformance.ChapterBuffers, conformance.ChapterPrograms, conformance.ChapterSched, conformance.ChapterConcurrency, conformance.ChapterCancel,
	}})
	filter := regexp.MustCompile(`^(SoftMax|LayerNorm|ArgMax|TopK|FlashAttn/.*k=F16|MatMul/a=(F16|Q4_K))`)
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{Chapters: []string{conformance.ChapterOps}, Filter: filter})
}

// TestEmulatedArchitectures multiplies on one card of each kind: what the kernels use of their instructions differs.
func TestEmulatedArchitectures(t *testing.T) {
	if testing.Short() || !hipemu.Demanded() {
		t.Skip(hipemu.Demand + " is not set")
	}
	filter, all := regexp.MustCompile(`^MatMul(ID)?/a=(F16|Q8_0|Q4_K)`), []string{"gfx942", "gfx1100", "gfx1201"}
	if hipemu.All() {
		filter, all = regexp.MustCompile(`^(MatMul(ID)?|FlashAttn)/`), append(all, "gfx900", "gfx908", "gfx950")
	} else {
		t.Logf("only %v and %v: %s=all runs more", all, filter, hipemu.Demand)
	}
	for _, arch := range all {
		t.Run(arch, func(t *testing.T) {
			d, _ := emulated(t, hipemu.Options{Devices: arch})
			conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{Chapters: []string{conformance.ChapterOps}, Filter: filter})
		})
	}
}

func TestEmulatedInfo(t *testing.T) {
	d, _ := emulated(t, hipemu.Options{Devices: "gfx90a:sramecc+:xnack-@0000:0A:00.0/512,gfx1030"})
	info := d.Info()
	if info.Owner.Device != "ROCm0" || info.PhysicalID != "0000:0a:00.0" || info.MemoryTotal != 512<<20 || info.Driver != "HIP 7.1.0" ||
		!slices.Equal(info.Features, []string{"gfx90a:sramecc+:xnack-", "wave 64"}) {
		t.Errorf("got %+v", info)
	}
	if devices, err := Devices(Options{}); len(devices) != 2 || err != nil || devices[1].phys.Wave != 32 {
		t.Errorf("got %v, %v", devices, err)
	}
}

// Each version of the runtime is found by the name of its library; before 6 launches are not captured.
func TestEmulatedVersions(t *testing.T) {
	for version, text := range map[int]string{50200000: "HIP 5.2.0", 60241133: "HIP 6.2.41133", 70100000: "HIP 7.1.0"} {
		t.Run(text, func(t *testing.T) {
			d, e := emulated(t, hipemu.Options{Version: version})
			if got := d.Info().Driver; got != text {
				t.Errorf("got %s", got)
			}
			r := newRig(t, d, 8)
			r.run(t)
			if graphs := e.Count("graphs") > 0; graphs != (version >= 60000000) {
				t.Errorf("launches are captured: %v", graphs)
			}
			r.close(t)
		})
	}
}

// What is missing or does not start is told in a line.
func TestEmulatedNoDevice(t *testing.T) {
	e := hipemu.Use(t, hipemu.Options{})
	for call, want := range map[string]error{"hipInit": backends.ErrNoDevice, "hipGetDeviceCount": backends.ErrNoDevice} {
		e.Fail(call, 100, 0, -1)
		if d, err := Devices(Options{}); len(d) > 0 || !errors.Is(err, want) || !strings.Contains(err.Error(), call) {
			t.Errorf("%s: %v, %v", call, d, err)
		}
		e.Fail(call, 0, 0, 0)
	}
}

func TestEmulatedOutOfMemory(t *testing.T) {
	d, _ := emulated(t, hipemu.Options{Devices: "gfx1030/512"})
	b, err := d.local.Alloc(400 << 20)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.local.Alloc(400 << 20)
	var e *buffer.AllocError
	if !errors.Is(err, buffer.ErrNoMemory) || !errors.As(err, &e) || e.Size != 400<<20 || e.Available > 112<<20 || e.Available < 111<<20 {
		t.Errorf("got %v", err)
	}
	if free := d.Info().MemoryFree; free != e.Available {
		t.Errorf("%d bytes are free, %d by the error", free, e.Available)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if b, err = d.local.Alloc(400 << 20); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever call fails while something is made: the error comes back, nothing stays behind, and the next try works.
func TestEmulatedFailures(t *testing.T) {
	d, e := emulated(t, hipemu.Options{})
	newRig(t, d, 8).close(t) // the device is open, and its kernels are loaded
	for call, want := range map[string]error{
		"hipMalloc": buffer.ErrNoMemory, "hipMemsetAsync": nil, "hipMemcpyAsync": nil, "hipEventRecord": nil, "hipStreamBeginCapture": errFine,
		"hipGraphInstantiateWithFlags": errFine, "hipStreamEndCapture": errFine,
	} {
		before := e.Count("allocations")
		e.Fail(call, 2, 0, 1)
		r, err := makeRig(d, 8)
		if err == nil {
			err = r.again()
		}
		switch {
		case want == errFine && err != nil:
			t.Errorf("%s: %v, though launches do without", call, err)
		case want != errFine && (err == nil || want != nil && !errors.Is(err, want)):
			t.Errorf("%s: %v", call, err)
		}
		e.Fail(call, 0, 0, 0)
		if r != nil {
			r.close(t)
		}
		if now := e.Count("allocations"); now != before {
			t.Errorf("%s: %d allocations, %d before", call, now, before)
		}
		r = newRig(t, d, 8)
		r.run(t)
		r.close(t)
	}
}

// errFine says that a failure is made good.
var errFine = errors.New("none")

// A device that is lost fails what was made on it, and opens again for what comes after.
func TestEmulatedLost(t *testing.T) {
	for _, call := range []string{"hipEventQuery", "hipModuleLaunchKernel"} {
		t.Run(call, func(t *testing.T) {
			d, e := emulated(t, hipemu.Options{Version: 50200000}) // no graphs: each launch is a call
			r := newRig(t, d, 8)
			r.run(t)
			e.Fail(call, 719, 0, -1)
			if err := r.again(); !errors.Is(err, backends.ErrDeviceLost) {
				t.Errorf("a run: %v", err)
			}
			e.Fail(call, 0, 0, 0)
			if err := r.again(); !errors.Is(err, backends.ErrDeviceLost) {
				t.Errorf("another run: %v", err)
			}
			if _, err := r.mem.ReadAt(make([]byte, 4), 0); !errors.Is(err, backends.ErrDeviceLost) {
				t.Errorf("a read: %v", err)
			}
			r.close(t)
			again := newRig(t, d, 8)
			again.run(t)
			again.close(t)
		})
	}
}

// TestEmulatedLeaks runs, and makes and frees, ten thousand times: memory and handles are what they were.
func TestEmulatedLeaks(t *testing.T) {
	d, e := emulated(t, hipemu.Options{})
	runs := 10_000
	if testing.Short() {
		runs = 500
	}
	r := newRig(t, d, 8)
	counts := func() string {
		text := "" // not graphs: a program that a busy machine makes slow is cut into more
		for _, what := range []string{"allocations", "device_bytes", "host_bytes", "streams", "events", "modules", "programs"} {
			text += fmt.Sprintf("%s %d, ", what, e.Count(what))
		}
		return text
	}
	r.run(t)
	before := counts()
	for i := range runs {
		r.run(t)
		if i%10 == 0 {
			other := newRig(t, d, 5)
			other.run(t)
			other.close(t)
		}
	}
	if now := counts(); now != before {
		t.Errorf("before %s\nafter %s", before, now)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := r.again(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Submit and Wait allocate %v times", n)
	}
	r.close(t)
}

// rig is a row x of numbers that n nodes, one after the other, scale by 2 and normalize.
type rig struct {
	mem  buffer.Buffer
	prog backends.Program
	out  int64
}

func newRig(t *testing.T, d *Device, n int) *rig {
	t.Helper()
	r, err := makeRig(d, n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const rigElems = 256

// makeRig returns a rig and its error: what was made is in it.
func makeRig(d *Device, n int) (*rig, error) {
	var b tensor.Builder
	x := b.Input("x", tensor.F32, tensor.MakeShape(rigElems))
	y := x
	for i := range n {
		if i%2 == 0 {
			y = b.Scale(y, 2)
		} else {
			y = b.RMSNorm(y, 0)
		}
	}
	g, err := b.Build(y)
	if err != nil {
		return nil, err
	}
	at := map[*tensor.Tensor]int64{x: 0}
	for i, n := range g.Nodes {
		at[n] = int64(i+1) * 4 * rigElems
	}
	mem, err := d.local.Alloc(int64(n+1) * 4 * rigElems)
	if err != nil {
		return nil, err
	}
	prog, err := d.Compile(&backends.Subgraph{Nodes: g.Nodes, Place: func(t *tensor.Tensor) tensor.Storage {
		return tensor.Storage{Buffer: mem, Offset: at[t]}
	}})
	if err != nil {
		return nil, errors.Join(err, mem.Close())
	}
	r := &rig{mem: mem, prog: prog, out: at[y]}
	one := []byte{0, 0, 0x80, 0x3f}
	_, err = mem.WriteAt(slices.Repeat(one, rigElems), 0)
	return r, err
}

// again runs.
func (r *rig) again() error {
	if err := r.prog.Submit(context.Background()); err != nil {
		return err
	}
	return r.prog.Wait(context.Background())
}

// run runs, and looks at the result: ones that are normalized are ones, and twice them.
func (r *rig) run(t *testing.T) {
	t.Helper()
	if err := r.again(); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 4*rigElems)
	if _, err := r.mem.ReadAt(p, r.out); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(p); i += 4 {
		if p[i] != 0 || p[i+1] != 0 || (p[i+2] != 0x80 && p[i+2] != 0) || (p[i+3] != 0x3f && p[i+3] != 0x40) {
			t.Fatalf("element %d is %x", i/4, p[i:i+4])
		}
	}
}

func (r *rig) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(r.prog.Close(), r.mem.Close()); err != nil {
		t.Error(err)
	}
}
