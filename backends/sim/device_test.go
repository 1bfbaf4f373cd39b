package sim_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

func TestInfo(t *testing.T) {
	d := open(t, sim.Config{
		Name: "ROCm1", Kind: backends.GPU, Description: "a card", PhysicalID: "0000:03:00.0",
		Driver: "hip 7", Memory: 1 << 20, Mapped: true, Import: true, Submit: sim.Deferred,
	})
	b := alloc(t, d.BufferTypes()[0], 1000)
	info := d.Info()
	if info.Owner != (buffer.Owner{Backend: "ROCm", Device: "ROCm1"}) || info.Kind != backends.GPU ||
		info.Description != "a card" || info.PhysicalID != "0000:03:00.0" || info.Driver != "hip 7" ||
		info.MemoryTotal != 1<<20 || info.MemoryFree != 1<<20-1000 {
		t.Errorf("%+v", info)
	}
	if want := []string{"simulated", "deferred", "mapped", "import"}; !slices.Equal(info.Features, want) {
		t.Errorf("features %v, want %v", info.Features, want)
	}
	if err := b.Close(); err != nil || d.Info().MemoryFree != 1<<20 {
		t.Errorf("%v, %d bytes free", err, d.Info().MemoryFree)
	}
	info = open(t, sim.Config{Name: "Card", Backend: "Metal"}).Info()
	if info.Owner.Backend != "Metal" || info.MemoryTotal != 0 || info.MemoryFree != 0 || info.Description == "" || info.Driver == "" {
		t.Errorf("%+v", info)
	}
	if own := open(t, sim.Config{Name: "7"}).Info().Owner; own.Backend != "7" {
		t.Errorf("%+v", own)
	}
}

func TestConfigErrors(t *testing.T) {
	for what, c := range map[string]sim.Config{
		"no name":              {Backend: "Vulkan"},
		"alignment 12":         {Name: "A", Alignment: 12},
		"alignment 4":          {Name: "A", Alignment: 4},
		"negative memory":      {Name: "A", Memory: -1},
		"negative buffer":      {Name: "A", MaxBuffer: -1},
		"negative latency":     {Name: "A", CopyLatency: -1},
		"negative bandwidth":   {Name: "A", MemoryBandwidth: -1},
		"negative threads":     {Name: "A", Threads: -1},
		"no such kind":         {Name: "A", Kind: 9},
		"no such mode":         {Name: "A", Submit: 9},
		"shared, no card":      {Name: "A", Memory: 5, Shared: true},
		"two types of a name":  {Name: "A", Types: []sim.MemoryType{{Name: "host"}, {Name: "host"}}},
		"a type without name":  {Name: "A", Types: []sim.MemoryType{{}}},
		"type with align 3":    {Name: "A", Types: []sim.MemoryType{{Name: "host", Alignment: 3}}},
		"rule about no op":     {Name: "A", Rules: []sim.Rule{{Ops: []string{"MatMull"}}}},
		"rule about no type":   {Name: "A", Rules: []sim.Rule{{Types: []tensor.DType{99}}}},
		"zero fault":           {Name: "A", Faults: []sim.Fault{{}}},
		"fault in no call":     {Name: "A", Faults: []sim.Fault{sim.LoseAtSubmit(0)}},
		"fault of no op":       {Name: "A", Faults: []sim.Fault{sim.FailCompile("Nothing")}},
		"fault without a bug":  {Name: "A", Faults: []sim.Fault{sim.Break("Add", 0)}},
		"memory ends below 0":  {Name: "A", Faults: []sim.Fault{sim.EndMemory(-1)}},
		"negative copy of it":  {Name: "A", CopyBandwidth: -1},
		"negative submit time": {Name: "A", SubmitLatency: -time.Second},
	} {
		if d, err := sim.New(c); !errors.Is(err, sim.ErrConfig) || d != nil {
			t.Errorf("%s: %v, %v", what, d, err)
		}
	}
}

// TestOwnMemory checks for each kind of memory what its type and its buffers promise.
func TestOwnMemory(t *testing.T) {
	d := open(t, sim.Config{
		Memory: 1 << 16, MaxBuffer: 1 << 12, Alignment: 256,
		Types: []sim.MemoryType{{Name: "host", Mapped: true, Memory: 1 << 10}, {Name: "odd", Alignment: 8, MaxBuffer: 100}},
	})
	types := d.BufferTypes()
	if again := d.BufferTypes(); len(types) != 3 || !slices.Equal(types, again) {
		t.Fatalf("%v, then %v", types, again)
	}
	for i, want := range []struct {
		name   string
		max    int64
		align  int
		mapped bool
	}{{"Vulkan0", 1 << 12, 256, false}, {"Vulkan0.host", 1 << 10, 64, true}, {"Vulkan0.odd", 100, 8, false}} {
		typ := types[i]
		if typ.Name() != want.name || typ.MaxSize() != want.max || typ.Alignment() != want.align || typ.Owner() != d.Info().Owner {
			t.Errorf("%s: %d, %d, %v", typ.Name(), typ.MaxSize(), typ.Alignment(), typ.Owner())
		}
		if !d.CanUse(typ) {
			t.Errorf("%s cannot be used by its owner", typ.Name())
		}
		b := alloc(t, typ, 64)
		if got := buffer.HostBytes(b) != nil; got != want.mapped || b.Type() != typ || b.Size() != 64 {
			t.Errorf("%s: mapped %v, of type %v, %d bytes", typ.Name(), got, b.Type(), b.Size())
		}
		checkBuffer(t, b)
		if _, err := typ.Alloc(want.max + 1); !errors.Is(err, buffer.ErrNoMemory) {
			t.Errorf("%s: beyond its largest buffer: %v", typ.Name(), err)
		}
		if _, err := typ.Alloc(-1); !errors.Is(err, buffer.ErrNoMemory) {
			t.Errorf("%s: negative size: %v", typ.Name(), err)
		}
		if e := alloc(t, typ, 0); e.Size() != 0 {
			t.Errorf("%s: an empty buffer has %d bytes", typ.Name(), e.Size())
		}
	}
}

// checkBuffer checks reading, writing, filling, ranges and closing of 64 fresh bytes.
func checkBuffer(t *testing.T, b buffer.Buffer) {
	t.Helper()
	p := make([]byte, 64)
	for i := range p {
		p[i] = 1
	}
	if n, err := b.ReadAt(p, 0); n != 64 || err != nil || slices.Max(p) != 0 {
		t.Errorf("fresh bytes: %d, %v, %x", n, err, p)
	}
	if n, err := b.WriteAt([]byte("hello"), 59); n != 5 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if err := buffer.Fill(b, 60, 3, 'x'); err != nil {
		t.Error(err)
	}
	if n, err := b.ReadAt(p[:5], 59); n != 5 || err != nil || string(p[:5]) != "hxxxo" {
		t.Errorf("read: %d, %v, %q", n, err, p[:5])
	}
	for _, err := range []error{
		second(b.ReadAt(p, 1)), second(b.ReadAt(p[:1], -1)), second(b.WriteAt(p, 1)), second(b.WriteAt(p[:1], 64)),
	} {
		if !errors.Is(err, buffer.ErrRange) {
			t.Errorf("outside the buffer: %v", err)
		}
	}
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	for _, err := range []error{second(b.ReadAt(p, 0)), second(b.WriteAt(p, 0))} {
		if !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	}
	if buffer.HostBytes(b) != nil {
		t.Error("a closed buffer shows its bytes")
	}
}

func second(_ int, err error) error { return err }

func TestMemoryAccount(t *testing.T) {
	d := open(t, sim.Config{Memory: 1000, Types: []sim.MemoryType{{Name: "host"}}})
	typ := d.BufferTypes()[0]
	a, b := alloc(t, typ, 600), alloc(t, typ, 400)
	var e *buffer.AllocError
	if _, err := typ.Alloc(1); !errors.As(err, &e) || e.Type != "Vulkan0" || e.Size != 1 || e.Available != 0 {
		t.Errorf("%+v", e)
	}
	alloc(t, d.BufferTypes()[1], 5000) // has its own account
	if s := d.Stats(); s.Live != 6000 || s.Peak != 6000 || s.Allocs != 3 || s.AllocBytes != 6000 || s.Buffers != 3 {
		t.Errorf("%+v", s)
	}
	b.Close()
	b.Close()
	if free := d.Info().MemoryFree; free != 400 {
		t.Errorf("%d bytes free, want 400", free)
	}
	alloc(t, typ, 400)
	a.Close()
	if s := d.Stats(); s.Live != 5400 || s.Peak != 6000 || s.Allocs != 4 || s.Buffers != 2 {
		t.Errorf("%+v", s)
	}
	d.ResetStats()
	if s := d.Stats(); s != (sim.Stats{Live: 5400, Peak: 5400, Buffers: 2}) {
		t.Errorf("after a reset: %+v", s)
	}
}

func TestCanUse(t *testing.T) {
	host := cpu.New(cpu.Options{Name: "CPU", Threads: 1})
	defer host.Close()
	a := open(t, sim.Config{Name: "A0"})
	b := open(t, sim.Config{Name: "B0", Reads: []string{"A0", "CPU"}})
	twin := open(t, sim.Config{Name: "A0", Reads: []string{"B0"}})
	for _, c := range []struct {
		d    backends.Device
		typ  buffer.Type
		want bool
	}{
		{a, a.BufferTypes()[0], true},
		{a, b.BufferTypes()[0], false},
		{a, host.Memory(), false},
		{b, a.BufferTypes()[0], true},
		{b, host.Memory(), true},
		{host, a.BufferTypes()[0], false},
		{a, twin.BufferTypes()[0], false}, // the same name, another device
		{twin, b.BufferTypes()[0], true},
		{a, nil, false},
	} {
		if got := c.d.CanUse(c.typ); got != c.want {
			t.Errorf("%s of %v: %v", c.d.Info().Owner, c.typ, got)
		}
	}
}

// TestForeignMemory runs over memory of another device, and refuses what it cannot use.
func TestForeignMemory(t *testing.T) {
	host := cpu.New(cpu.Options{Name: "CPU", Threads: 1})
	defer host.Close()
	other := open(t, sim.Config{Name: "A0"})
	d := open(t, sim.Config{Name: "B0", Reads: []string{"A0", "CPU"}})
	for _, typ := range []buffer.Type{host.Memory(), other.BufferTypes()[0]} {
		r := newDoubler(t, d, 3, typ)
		r.run(t, 1, 2, 3)
		if got := numbers(t, r.y); !slices.Equal(got, []float32{2, 4, 6}) {
			t.Errorf("over memory of %s: %v", typ.Owner(), got)
		}
	}
	g, x := doublerGraph(t, 3)
	mine := alloc(t, other.BufferTypes()[0], 12)
	at := map[*tensor.Tensor]buffer.Buffer{x: alloc(t, d.BufferTypes()[0], 12), g.Nodes[0]: mine}
	_, err := other.Compile(subgraph(g, at))
	if err == nil || !strings.Contains(err.Error(), "A0 cannot use x F32") || !strings.Contains(err.Error(), "B0") {
		t.Errorf("a foreign source: %v", err)
	}
	delete(at, x)
	if _, err := other.Compile(subgraph(g, at)); err == nil || !strings.Contains(err.Error(), "no place") {
		t.Errorf("no place: %v", err)
	}
	at[x] = alloc(t, other.BufferTypes()[0], 11)
	if _, err := other.Compile(subgraph(g, at)); !errors.Is(err, buffer.ErrRange) {
		t.Errorf("a buffer that is too small: %v", err)
	}
}

func TestRules(t *testing.T) {
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(256))
	w := func(typ tensor.DType) *tensor.Tensor { return b.Input("w", typ, tensor.MakeShape(256, 4)) }
	mm := b.MatMul(w(tensor.Q4_K), x)
	mmF16 := b.MatMul(w(tensor.F16), x)
	rows := b.GetRows(w(tensor.Q4_K), b.Input("i", tensor.I32, tensor.MakeShape(2)))
	add := b.Add(x, x)
	noDecoder := b.MatMul(w(tensor.IQ1_S), x)
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	refuse := sim.Rule{Ops: []string{"MatMul", "Add"}, Types: []tensor.DType{tensor.Q4_K, tensor.Q6_K}, Reason: "no kernel"}
	only := []sim.Rule{{Allow: true, Ops: []string{"MatMul"}, Types: []tensor.DType{tensor.F32, tensor.F16}}, {}}
	support := func(n *tensor.Tensor) string {
		if n.Shape[0] > 100 {
			return "too wide"
		}
		return ""
	}
	for _, c := range []struct {
		what string
		cfg  sim.Config
		n    *tensor.Tensor
		want string
	}{
		{"no rules", sim.Config{}, mm, ""},
		{"refused type", sim.Config{Rules: []sim.Rule{refuse}}, mm, "no kernel"},
		{"other type", sim.Config{Rules: []sim.Rule{refuse}}, mmF16, ""},
		{"other op", sim.Config{Rules: []sim.Rule{refuse}}, rows, ""},
		{"allowed before", sim.Config{Rules: []sim.Rule{{Allow: true, Ops: []string{"MatMul"}}, refuse}}, mm, ""},
		{"among the allowed", sim.Config{Rules: only}, mmF16, ""},
		{"not all allowed", sim.Config{Rules: only}, mm, "a rule of the simulation refuses it"},
		{"no allowed op", sim.Config{Rules: only}, add, "a rule of the simulation refuses it"},
		{"function", sim.Config{Support: support}, add, "too wide"},
		{"function says yes", sim.Config{Support: support}, mm, ""},
		{"rule before function", sim.Config{Rules: []sim.Rule{refuse}, Support: support}, mm, "no kernel"},
		{"the CPU's own reason", sim.Config{Rules: []sim.Rule{{Allow: true}}}, noDecoder, "no decoder for IQ1_S (w)"},
	} {
		d := open(t, c.cfg)
		err := d.Supports(c.n)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		var u *backends.UnsupportedError
		if !errors.As(err, &u) || u.Reason != c.want || u.Device != "Vulkan0" || u.Op != c.n.Op.Kind() || u.Node != c.n.Name {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
		if _, err := d.Compile(&backends.Subgraph{Nodes: []*tensor.Tensor{c.n}}); !errors.Is(err, backends.ErrUnsupported) {
			t.Errorf("%s: compile: %v", c.what, err)
		}
	}
}

func TestCopies(t *testing.T) {
	a := open(t, sim.Config{Name: "A0"})
	b := open(t, sim.Config{Name: "B0", Reads: []string{"A0"}})
	src, same, near := alloc(t, a.BufferTypes()[0], 100), alloc(t, a.BufferTypes()[0], 100), alloc(t, b.BufferTypes()[0], 100)
	if _, err := src.WriteAt([]byte("abcdefgh"), 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dst, src buffer.Buffer }{{same, src}, {near, src}, {src, near}} {
		if err := buffer.Copy(c.dst, 10, c.src, 2, 4, nil); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 4)
		if _, err := c.dst.ReadAt(p, 10); err != nil || c.src != near && string(p) != "cdef" {
			t.Errorf("%q, %v", p, err)
		}
	}
	// One write and the reads of the checks; a copy within A0; and of the one from B0, which A0 does not
	// read, a write.
	if s := a.Stats(); s.Writes != (sim.Count{N: 2, Bytes: 12}) || s.Reads != (sim.Count{N: 2, Bytes: 8}) || s.Transfers != (sim.Count{N: 1, Bytes: 4}) {
		t.Errorf("A0: %+v", s)
	}
	if s := b.Stats(); s.Writes != (sim.Count{}) || s.Reads != (sim.Count{N: 2, Bytes: 8}) || s.Transfers != (sim.Count{N: 1, Bytes: 4}) {
		t.Errorf("B0: %+v", s)
	}
	if err := buffer.Copy(same, 98, src, 0, 4, nil); !errors.Is(err, buffer.ErrRange) {
		t.Errorf("outside: %v", err)
	}
}

func TestImport(t *testing.T) {
	p := make([]byte, 256)
	skip := 0
	for ; ; skip++ { // to an aligned place
		if b, err := buffer.Import(open(t, sim.Config{Import: true, Mapped: true}).BufferTypes()[0], p[skip:skip+64]); err != nil {
			t.Fatal(err)
		} else if b != nil {
			b.Close()
			break
		}
	}
	host := p[skip : skip+64]
	copy(host, "where it lies")
	d := open(t, sim.Config{Import: true, Memory: 1, MaxBuffer: 64})
	b, err := buffer.Import(d.BufferTypes()[0], host)
	if b == nil || err != nil {
		t.Fatal(b, err)
	}
	defer b.Close()
	got := make([]byte, 5)
	if _, err := b.ReadAt(got, 0); err != nil || string(got) != "where" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := b.WriteAt([]byte("THERE"), 0); err != nil || string(host[:5]) != "THERE" {
		t.Errorf("%q, %v", host[:5], err)
	}
	if s := d.Stats(); s.Live != 0 || s.Allocs != 0 || s.Buffers != 1 {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct {
		cfg  sim.Config
		host []byte
	}{{sim.Config{}, host}, {sim.Config{Import: true}, host[1:]}, {sim.Config{Import: true, MaxBuffer: 63}, host}} {
		if b, err := buffer.Import(open(t, c.cfg).BufferTypes()[0], c.host); b != nil || err != nil {
			t.Errorf("%+v: %v, %v", c.cfg, b, err)
		}
	}
}

func TestHeap(t *testing.T) {
	d := open(t, sim.Config{Heap: true, Mapped: true, Alignment: 512})
	b := alloc(t, d.BufferTypes()[0], 64)
	mem := buffer.HostBytes(b)
	checkBuffer(t, b)
	if slices.Min(mem) != 0xdd {
		t.Errorf("freed memory is not poisoned: %x", mem)
	}
	r := newDoubler(t, d, 20, nil)
	r.run(t, counting(20)...)
	if got := numbers(t, r.y); got[19] != 40 {
		t.Errorf("%v", got)
	}
}

func TestPlanOnly(t *testing.T) {
	d := open(t, sim.Config{Memory: 1 << 50, PlanOnly: true, Mapped: true})
	typ := d.BufferTypes()[0]
	big := alloc(t, typ, 1<<46)
	if n, err := big.WriteAt([]byte("dropped"), 1<<45); n != 7 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if err := buffer.Fill(big, 0, 1<<46, 1); err != nil {
		t.Error(err)
	}
	if _, err := big.ReadAt(make([]byte, 1), 0); !errors.Is(err, sim.ErrPlanOnly) {
		t.Errorf("read: %v", err)
	}
	if buffer.HostBytes(big) != nil {
		t.Error("it has bytes")
	}
	if err := buffer.Copy(big, 0, alloc(t, typ, 8), 0, 8, nil); !errors.Is(err, sim.ErrPlanOnly) {
		t.Errorf("copy: %v", err)
	}
	r := newDoubler(t, d, 4, nil)
	if err := r.program.Submit(context.Background()); !errors.Is(err, sim.ErrPlanOnly) {
		t.Errorf("submit: %v", err)
	}
	if s := d.Stats(); s.Live != 1<<46+8+32 || s.Submits != 0 || s.Compiles != 1 {
		t.Errorf("%+v", s)
	}
	real := open(t, sim.Config{Name: "Real0", Reads: []string{"Vulkan0"}})
	g, x := doublerGraph(t, 1)
	at := map[*tensor.Tensor]buffer.Buffer{x: big, g.Nodes[0]: alloc(t, real.BufferTypes()[0], 4)}
	if _, err := real.Compile(subgraph(g, at)); !errors.Is(err, sim.ErrPlanOnly) {
		t.Errorf("compile over it: %v", err)
	}
}

func TestSharedCPU(t *testing.T) {
	host := cpu.New(cpu.Options{Threads: 2})
	defer host.Close()
	a, b := open(t, sim.Config{Name: "A0", CPU: host}), open(t, sim.Config{Name: "B0", CPU: host, Submit: sim.Async})
	ra, rb := newDoubler(t, a, 200, nil), newDoubler(t, b, 200, nil)
	ra.run(t, counting(200)...)
	rb.run(t, counting(200)...)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	rb.run(t, counting(200)...) // the team is still there
	if got := numbers(t, rb.y); got[199] != 400 {
		t.Errorf("%v", got)
	}
}
