//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// TestStaging runs the suite's chapters about memory and programs with memory that the host cannot address, as most cards'
// was.
func TestStaging(t *testing.T) {
	d := open(t, Options{NoMapping: true})
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{
		Chapters: []string{conformance.ChapterBuffers, conformance.ChapterPrograms, conformance.ChapterSched, conformance.ChapterConcurrency},
	})
}

// TestSlices runs programs in the smallest pieces that there are.
func TestSlices(t *testing.T) {
	d := open(t, Options{Slice: 1})
	conformance.Test(t, func() (backends.Device, error) { return d, nil }, conformance.Options{
		Chapters: []string{conformance.ChapterPrograms, conformance.ChapterCancel, conformance.ChapterFaults},
	})
}

func TestInfo(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	info := d.Info()
	if info.Owner.Device != "Vulkan0" || info.Description == "" || info.Driver == "" || info.MemoryTotal <= 0 || info.MemoryFree < 0 {
		t.Errorf("%+v", info)
	}
	if d.phys.Can.PCIKnown && !regexp.MustCompile(`^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`).MatchString(info.PhysicalID) {
		t.Errorf("the physical identity is %q, want a PCI address", info.PhysicalID)
	}
	if d.UUID() == ([16]byte{}) {
		t.Error("the device has no UUID")
	}
	if d.open != nil {
		t.Error("to be described, the device was opened")
	}
	free := info.MemoryFree
	b, err := d.local.Alloc(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if now := d.Info().MemoryFree; d.phys.Kind == vk.Software && now > free-64<<20 {
		t.Errorf("64 MiB are taken, and %d bytes are free of %d", now, free)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestLost takes the device away under programs and buffers: each call fails with ErrDeviceLost, closing works, and
// the device opens again.
func TestLost(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	compute := func() *rig {
		var b tensor.Builder
		x := b.Input("x", tensor.F32, tensor.MakeShape(8))
		r := newRig(t, d, &b, []*tensor.Tensor{x}, b.Scale(x, 2))
		r.write(x, floats(8, func(i int) float32 { return float32(i) }))
		return r
	}
	r := compute()
	if err := r.prog.Submit(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.mem.(*buf).s.lost.Store(true)
	for what, err := range map[string]error{
		"submit": r.prog.Submit(t.Context()),
		"read":   second(r.mem.ReadAt(make([]byte, 4), 0)),
		"write":  second(r.mem.WriteAt(make([]byte, 4), 0)),
		"fill":   buffer.Fill(r.mem, 0, 8, 1),
	} {
		if !errors.Is(err, backends.ErrDeviceLost) {
			t.Errorf("%s: %v, want ErrDeviceLost", what, err)
		}
	}
	other := compute() // opens the device again
	if err := other.prog.Submit(t.Context()); err != nil {
		t.Error(err)
	}
	if err := other.prog.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := d.Compile(&backends.Subgraph{Nodes: []*tensor.Tensor{scaleOf(t)}, Place: func(*tensor.Tensor) tensor.Storage {
		return tensor.Storage{Buffer: r.mem}
	}}); !errors.Is(err, backends.ErrDeviceLost) {
		t.Errorf("compiling over memory that is lost: %v", err)
	}
	other.close()
	r.close()
	if used := d.local.used.Load(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
}

func second(_ int, err error) error { return err }

func scaleOf(t *testing.T) *tensor.Tensor {
	var b tensor.Builder
	g, err := b.Build(b.Scale(b.Input("x", tensor.F32, tensor.MakeShape(8)), 2))
	if err != nil {
		t.Fatal(err)
	}
	return g.Nodes[0]
}

// TestClosedMemory submits a program whose memory is gone: an error, and no access.
func TestClosedMemory(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	var b tensor.Builder
	x := b.Input("x", tensor.F32, tensor.MakeShape(8))
	r := newRig(t, d, &b, []*tensor.Tensor{x}, b.Scale(x, 2))
	if err := r.mem.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.prog.Submit(t.Context()); !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
	r.close()
	if err := r.prog.Submit(t.Context()); !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("a closed program: %v, want ErrClosed", err)
	}
}

// TestOutOfMemory asks for all that there can be, piece by piece: the error has both figures, and afterwards there is
// memory again. A driver in software promises what it does not have, so that the test ends there.
func TestOutOfMemory(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	var e *buffer.AllocError
	_, err := d.local.Alloc(d.local.MaxSize() + 1)
	if !errors.As(err, &e) || e.Size != d.local.MaxSize()+1 || e.Available <= 0 {
		t.Fatalf("%v, want an *AllocError with both figures", err)
	}
	if d.phys.Kind == vk.Software || testing.Short() {
		return
	}
	var all []buffer.Buffer
	for len(all) < 1000 {
		b, err := d.local.Alloc(d.local.MaxSize())
		if err != nil {
			if !errors.As(err, &e) || e.Available < 0 || e.Err == nil {
				t.Errorf("%v, want an *AllocError with both figures and what the driver said", err)
			}
			break
		}
		all = append(all, b)
	}
	for _, b := range all {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	b, err := d.local.Alloc(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestPipelineCache looks for the file, and opens the device with it, with a damaged one, and without a place for it.
func TestPipelineCache(t *testing.T) {
	dir := t.TempDir()
	run := func(dir string) {
		t.Helper()
		d := open(t, Options{CacheDir: dir})
		var b tensor.Builder
		x := b.Input("x", tensor.F32, tensor.MakeShape(8))
		r := newRig(t, d, &b, []*tensor.Tensor{x}, b.Scale(x, 2))
		r.close()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	run(dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.pipelines"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v, want one file", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range [][]byte{data, data[:len(data)/2], {}, slices.Concat(data[:len(data)-1], []byte{data[len(data)-1] ^ 1})} {
		if err := os.WriteFile(files[0], damage, 0o644); err != nil {
			t.Fatal(err)
		}
		run(dir)
	}
	run(filepath.Join(files[0], "below-a-file"))
	run("-")
}

// TestMissing has drivers that do not do: each reason is named.
func TestMissing(t *testing.T) {
	if have := missing(&vk.Physical{Version: 1<<22 | 1<<12}); len(have) != 1 || have[0] != "Vulkan 1.2 (it has 1.1)" {
		t.Errorf("%q", have)
	}
	p := &vk.Physical{Version: 1<<22 | 3<<12, Can: vk.Features{Int64: true, Int16: true, Int8: true, Storage8: true, Storage16: true, Timeline: true, ScalarLayout: true}}
	p.Limits.SubgroupInKernel, p.Limits.SubgroupOps = true, 5
	if have := missing(p); len(have) != 1 || have[0] != "bufferDeviceAddress" {
		t.Errorf("%q", have)
	}
	p.Can.Addresses, p.Limits.SubgroupOps = true, 1
	if have := missing(p); len(have) != 1 || !strings.Contains(have[0], "subgroup") {
		t.Errorf("%q", have)
	}
}

func TestSwitchedOff(t *testing.T) {
	t.Setenv(disabled, "1")
	if devices, err := Devices(Options{}); len(devices) != 0 || err == nil || !strings.Contains(err.Error(), disabled) {
		t.Errorf("%v, %v", devices, err)
	}
}

// TestBarriers counts the barriers of programs: one between nodes that need each other, none between others.
func TestBarriers(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	count := func(build func(b *tensor.Builder, x, y *tensor.Tensor) []*tensor.Tensor) int {
		var b tensor.Builder
		x, y := b.Input("x", tensor.F32, tensor.MakeShape(64)), b.Input("y", tensor.F32, tensor.MakeShape(64))
		g, err := b.Build(build(&b, x, y)...)
		if err != nil {
			t.Fatal(err)
		}
		mem, err := d.local.Alloc(1 << 16)
		if err != nil {
			t.Fatal(err)
		}
		defer mem.Close()
		at, end := map[*tensor.Tensor]int64{}, int64(0)
		s, err := d.session()
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{s: s, place: map[*tensor.Tensor]uint64{}, faults: -1, graph: &backends.Subgraph{Nodes: g.Nodes, Place: func(t *tensor.Tensor) tensor.Storage {
			if _, ok := at[t.Root()]; !ok {
				at[t.Root()], end = end, end+256
			}
			return tensor.Storage{Buffer: mem, Offset: at[t.Root()] + int64(t.Offset)}
		}}}
		barriers := 0
		for _, n := range g.Nodes {
			if err := kernels[n.Op.Kind()].record(r, n); err != nil {
				t.Fatal(err)
			}
		}
		for _, st := range r.steps {
			if st.barrier {
				barriers++
			}
		}
		return barriers
	}
	if n := count(func(b *tensor.Builder, x, y *tensor.Tensor) []*tensor.Tensor {
		return []*tensor.Tensor{b.Scale(x, 2), b.Scale(y, 3), b.Add(x, y)}
	}); n != 0 {
		t.Errorf("three nodes that do not need each other have %d barriers", n)
	}
	if n := count(func(b *tensor.Builder, x, y *tensor.Tensor) []*tensor.Tensor {
		return []*tensor.Tensor{b.Scale(b.Scale(b.Scale(x, 2), 3), 4)}
	}); n != 2 {
		t.Errorf("a chain of three nodes has %d barriers, want 2", n)
	}
	if n := count(func(b *tensor.Builder, x, y *tensor.Tensor) []*tensor.Tensor {
		return []*tensor.Tensor{b.Add(b.Scale(x, 2), b.Scale(y, 3))}
	}); n != 1 {
		t.Errorf("two nodes and one that needs both have %d barriers, want 1", n)
	}
}

// TestProfile counts the runs of each kernel of a program.
func TestProfile(t *testing.T) {
	d := open(t, Options{Profile: true})
	defer d.Close()
	if len(d.Profile()) != 0 {
		t.Error("there is a profile before anything ran")
	}
	var b tensor.Builder
	x := b.Input("x", tensor.F32, tensor.MakeShape(4096))
	r := newRig(t, d, &b, []*tensor.Tensor{x}, b.Unary(tensor.Sin, b.Scale(b.Scale(x, 2), 3)))
	defer r.close()
	for range 5 {
		if err := r.prog.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.prog.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	runs := map[string]int{}
	for _, k := range d.Profile() {
		runs[k.Kernel] = k.Runs
		if k.Total <= 0 {
			t.Errorf("%s took %v", k.Kernel, k.Total)
		}
	}
	if runs["unary Scale F32[4096]"] != 10 || runs["unary Unary F32[4096]"] != 5 || len(runs) != 2 {
		t.Errorf("%v", runs)
	}
}

// TestShaderThatDoesNotCompile has a driver that refuses a shader: an error of Compile, and the next plan knows.
func TestShaderThatDoesNotCompile(t *testing.T) {
	d := open(t, Options{})
	defer d.Close()
	n := scaleOf(t)
	if err := d.Supports(n); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		errors.New("something else"),
		&shaderError{"unary", fmt.Errorf("compiling: %w", buffer.ErrNoMemory)},
		&shaderError{"unary", fmt.Errorf("compiling: %w", backends.ErrDeviceLost)},
	} {
		if d.blame(n.Op.Kind(), err); d.Supports(n) != nil {
			t.Errorf("after %v: %v", err, d.Supports(n))
		}
	}
	d.blame(n.Op.Kind(), fmt.Errorf("vulkan: x: %w", &shaderError{"unary", &vk.Error{Call: "vkCreateComputePipelines", Result: -1000012000}}))
	err := d.Supports(n)
	if !errors.Is(err, backends.ErrUnsupported) || !strings.Contains(err.Error(), "does not compile shader unary (vkCreateComputePipelines: invalid shader)") {
		t.Errorf("%v", err)
	}
	s, err := d.session()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pipeline(pipelineKey{shader: "nothing", local: 1}); err == nil {
		t.Error("a shader that there is not has a pipeline")
	}
}
