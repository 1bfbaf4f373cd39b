package sched

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/tensor"
)

func TestWorkOf(t *testing.T) {
	b := tensor.NewBuilder()
	in := func(name string, typ tensor.DType, sizes ...int) *tensor.Tensor {
		return b.Input(name, typ, tensor.MakeShape(sizes...))
	}
	leaf := func(role tensor.Role, name string, typ tensor.DType, sizes ...int) *tensor.Tensor {
		l, err := tensor.NewLeaf(role, name, typ, tensor.MakeShape(sizes...))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	x := in("x", tensor.F32, 64, 3)
	k, v := leaf(tensor.Cache, "k", tensor.F16, 16, 2, 32), leaf(tensor.Cache, "v", tensor.F16, 8, 2, 32)
	for _, c := range []struct {
		n    *tensor.Tensor
		want Work
	}{
		{b.Add(x, x), Work{3 * 768, 192}},
		// 32 rows of two blocks of 34 bytes, and F32 in and out.
		{b.MatMul(leaf(tensor.Weight, "w", tensor.Q8_0, 64, 32), x), Work{32*68 + 768 + 3*32*4, 2 * 64 * 32 * 3}},
		// Two of eight experts.
		{
			b.MatMulID(leaf(tensor.Weight, "e", tensor.F32, 64, 32, 8), in("row", tensor.F32, 64, 1, 1), in("ids", tensor.I32, 2, 1)),
			Work{2*64*32*4 + 256 + 8 + 2*32*4, 2 * 64 * 32 * 2},
		},
		// 4 heads of 3 tokens over 32 cells: q·k of 16, and v of 8.
		{
			b.FlashAttn(tensor.FlashAttn{Scale: 1}, in("q", tensor.F32, 16, 4, 3), permuted(b, k), permuted(b, v), nil, nil),
			Work{16*4*3*4 + 2*32*2*(16+8) + 8*4*3*4, 2 * 12 * 32 * (16 + 8)},
		},
		// Three rows of a table of a thousand.
		{b.GetRows(leaf(tensor.Weight, "t", tensor.F16, 64, 1000), in("i", tensor.I32, 3)), Work{3*128 + 12 + 768, 192}},
		{b.SetRows(leaf(tensor.Cache, "c", tensor.F16, 64, 100), x, in("at", tensor.I64, 3)), Work{3*128 + 768 + 24, 192}},
	} {
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		if got := WorkOf(c.n); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.n, got, c.want)
		}
	}
}

// permuted returns a cache [dim, heads, cells] as attention reads it.
func permuted(b *tensor.Builder, c *tensor.Tensor) *tensor.Tensor {
	return b.Permute(c, 0, 1, 2, 3)
}

// TestFallbacks sums up what a device refuses, with the copies that it costs.
func TestFallbacks(t *testing.T) {
	g, devices, opt := refusing(t)
	p, err := NewPlan(g, devices, opt)
	if err != nil {
		t.Fatal(err)
	}
	all := p.Fallbacks()
	if len(all) != 2 {
		t.Fatalf("%+v\n%v", all, p)
	}
	work, copied, copies := Work{}, int64(0), 0
	for i, f := range all {
		if f.Refused != "A0" || f.Device != "CPU" || f.Reason != f.Op+" is not for me" || len(f.Nodes) == 0 {
			t.Errorf("%+v", f)
		}
		for _, n := range f.Nodes {
			w := WorkOf(g.Nodes[n])
			work.Bytes, work.FLOPs = work.Bytes-w.Bytes, work.FLOPs-w.FLOPs
			if p.Nodes[n].Device != "CPU" || p.Nodes[n].Op != f.Op {
				t.Errorf("%+v counts node %+v", f, p.Nodes[n])
			}
		}
		work.Bytes, work.FLOPs = work.Bytes+f.Work.Bytes, work.FLOPs+f.Work.FLOPs
		copied, copies = copied+f.Copied, copies+f.Copies
		if i > 0 && HostRates.Time(&f) > HostRates.Time(&all[i-1]) {
			t.Errorf("the dearest does not come first: %+v", all)
		}
	}
	if work != (Work{}) || copied != p.Copied || copies == 0 {
		t.Errorf("work is off by %+v; %d bytes are blamed on fallbacks, the plan copies %d\n%v", work, copied, p.Copied, p)
	}
	f := Fallback{Work: Work{Bytes: 30e9, FLOPs: 1}, Copies: 100, Copied: 12e9}
	if got, want := HostRates.Time(&f), 2*time.Second+time.Millisecond; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// refusing returns a model of two layers for a device that refuses two kinds of op, and the CPU.
func refusing(t *testing.T) (*tensor.Graph, []backends.Device, Options) {
	fakes := []*fakeDevice{newFake("A0")}
	g, opt := fakeModel(t, fakes, 2, 1, 64)
	picky := fakes[0]
	picky.refuses["RMSNorm"], picky.refuses["GLU"] = "RMSNorm is not for me", "GLU is not for me"
	return g, []backends.Device{refuser{picky}, able{newFake("CPU")}}, opt
}

// refuser is a fake device that plans every op but those that it refuses.
type refuser struct{ *fakeDevice }

func (r refuser) Supports(n *tensor.Tensor) error {
	if r.refuses[n.Op.Kind().String()] == "" {
		return nil
	}
	return r.fakeDevice.Supports(n)
}

// TestDot checks that the graph has each node, each split and each copy once.
func TestDot(t *testing.T) {
	g, devices, opt := refusing(t)
	p, err := NewPlan(g, devices, opt)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := p.WriteDot(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	copies := 0
	for _, s := range p.Splits {
		copies += len(s.Copies)
	}
	for pattern, want := range map[string]int{
		`(?m)^    n\d+ \[label="[^"]+" fillcolor=\w+\]$`: len(p.Nodes),
		`(?m)^  subgraph cluster_\d+ \{$`:                len(p.Splits),
		`(?m)style=dashed label="\d+ bytes"\]$`:          copies,
		`(?m)^digraph plan \{$`:                          1,
	} {
		if got := len(regexp.MustCompile(pattern).FindAllString(text, -1)); got != want || want == 0 {
			t.Errorf("%d times %s, want %d\n%s", got, pattern, want, text)
		}
	}
	if strings.Count(text, "{") != strings.Count(text, "}") {
		t.Error("braces do not match")
	}
	if got, want := quoted("a\"b\\c\nd\x01é"), `"a\"b\\c\nd?é"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// overlap is a graph on three simulated devices: C needs a result of A, which is done soon, and one of B,
// which takes long.
func overlap(t *testing.T, link time.Duration) (took time.Duration, plan *Plan) {
	configs := []sim.Config{
		{Name: "A", Submit: sim.Async, SubmitLatency: time.Millisecond},
		{Name: "B", Submit: sim.Async, SubmitLatency: 10 * time.Millisecond},
		{Name: "C", Submit: sim.Async, CopyLatency: link},
	}
	m, err := sim.NewMachine(configs...)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b := tensor.NewBuilder()
	weight := func(i int) *tensor.Tensor {
		w, err := tensor.NewLeaf(tensor.Weight, "w", tensor.F32, tensor.MakeShape(8, 8))
		if err != nil {
			t.Fatal(err)
		}
		mem, err := m.Devices()[i].BufferTypes()[0].Alloc(256)
		if err == nil {
			err = w.Bind(mem, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { mem.Close() })
		return w
	}
	x := b.Input("x", tensor.F32, tensor.MakeShape(8, 4))
	first, long := b.MatMul(weight(0), x), b.MatMul(weight(1), x)
	w := weight(2)
	g, err := b.Build(b.MatMul(w, first), b.MatMul(w, long))
	if err != nil {
		t.Fatal(err)
	}
	if plan, err = NewPlan(g, m.Backends(), Options{}); err != nil {
		t.Fatal(err)
	}
	var mem Memory
	e, err := NewExec(plan, &mem)
	if err == nil {
		err = e.Write(x, bytes.Repeat([]byte{1}, 128))
	}
	if err != nil {
		t.Fatal(err)
	}
	before := m.Clock().Now()
	if err := e.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	took = m.Clock().Now() - before
	if err := errors.Join(e.Close(), mem.Close()); err != nil {
		t.Fatal(err)
	}
	return took, plan
}

// TestCopiesOverlapCompute counts the time of a run by the clock of simulated devices: the copy of what A
// has made costs nothing while B computes.
func TestCopiesOverlapCompute(t *testing.T) {
	free, _ := overlap(t, 0)
	link := 4 * time.Millisecond
	took, p := overlap(t, link)
	if s := p.Splits[len(p.Splits)-1]; len(s.Copies) != 2 || len(s.Waits) != 2 || s.Copies[0].After != 1 || s.Copies[1].After != 2 {
		t.Fatalf("the plan is not what this test is about:\n%v", p)
	}
	if took < free+link || took >= free+2*link {
		t.Errorf("with copies of %v a run takes %v, without %v: want one copy more and not two", link, took, free)
	}
	t.Logf("%v without the cost of copies, %v with two of %v", free, took, link)
}
