package sim_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

// fusible is a graph with a norm and its gain, and a product and its bias.
func fusible(t *testing.T, dev backends.Device, opt sched.Options) (*sched.Plan, []byte, error) {
	t.Helper()
	b := tensor.NewBuilder()
	x, gain := b.Input("x", tensor.F32, tensor.MakeShape(40, 3)), b.Input("gain", tensor.F32, tensor.MakeShape(40))
	w := b.Input("w", tensor.F32, tensor.MakeShape(40, 40))
	y := b.Add(b.MatMul(w, b.Mul(b.RMSNorm(x, 1e-6), gain)), gain)
	g, err := b.Build(y)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sched.NewPlan(g, []backends.Device{dev}, opt)
	if err != nil {
		t.Fatal(err)
	}
	var mem sched.Memory
	e, err := sched.NewExec(p, &mem)
	if err != nil {
		return p, nil, errors.Join(err, mem.Close())
	}
	defer mem.Close()
	for k, in := range g.Inputs {
		data := make([]byte, in.Bytes())
		for i := 0; i < len(data); i += 4 {
			copy(data[i:], []byte{byte(i * 7), byte(i >> 3), byte(64 + k), 0x3F}) // numbers about 1
		}
		if err := e.Write(in, data); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]byte, y.Bytes())
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, out, errors.Join(e.Read(y, out), e.Close())
}

// TestFusionRules shows that rules about fusions are told to the plan, and that it makes no difference whether the
// CPU has a kernel for what they allow.
func TestFusionRules(t *testing.T) {
	_, want, err := fusible(t, open(t, sim.Config{Name: "Vulkan0"}), sched.Options{NoFusion: backends.Fusions()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text   string
		fused  []string
		reason string
	}{
		{`allow MatMul+Add`, []string{"RMSNorm+Mul", "MatMul+Add"}, ""},
		{`refuse RMSNorm+Mul "not yet"; allow MatMul+Add`, []string{"MatMul+Add"}, "Vulkan0 refuses: not yet"},
		{`refuse MatMul+Add Q4_K; allow MatMul+Add`, []string{"RMSNorm+Mul", "MatMul+Add"}, ""},
		{`refuse MatMul+Add F32; allow MatMul+Add`, []string{"RMSNorm+Mul"}, "Vulkan0 refuses: a rule of the simulation refuses it"},
	} {
		configs, err := sim.Parse("device Vulkan0; submit deferred; " + c.text)
		if err != nil {
			t.Fatal(err)
		}
		dev := open(t, configs[0])
		p, got, err := fusible(t, dev, sched.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var fused []string
		for _, g := range p.Groups {
			fused = append(fused, g.Fusion)
		}
		if !slices.Equal(fused, c.fused) || !bytes.Equal(got, want) {
			t.Errorf("%s: %v are fused, want %v; the result differs: %v", c.text, fused, c.fused, !bytes.Equal(got, want))
		}
		if c.reason != "" && (len(p.Unfused) != 1 || p.Unfused[0].Reason != c.reason) {
			t.Errorf("%s: %+v, want the reason %q", c.text, p.Unfused, c.reason)
		}
		if text := sim.Format([]sim.Config{dev.Config()}); !strings.Contains(text, "MatMul+Add") {
			t.Errorf("%s is written as\n%s", c.text, text)
		}
	}
}

// TestBugsInGroups plants bugs in ops that are fused: of a kernel of the CPU, and of nodes that run one by one.
func TestBugsInGroups(t *testing.T) {
	sound := sim.Config{Name: "Vulkan0", Rules: []sim.Rule{{Ops: []string{"MatMul+Add"}, Allow: true}}}
	_, want, err := fusible(t, open(t, sound), sched.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"RMSNorm", "Mul", "MatMul", "Add", ""} {
		for _, bug := range []sim.Bug{sim.WrongScale, sim.MissedTail, sim.DirtySource, sim.WrongStride} {
			c := sound
			c.Faults = []sim.Fault{sim.Break(op, bug)}
			p, got, err := fusible(t, open(t, c), sched.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Groups) != 2 {
				t.Errorf("%s in %s: %+v", bug, op, p.Groups)
			}
			if bug == sim.WrongScale && bytes.Equal(got, want) {
				t.Errorf("%s in %q changes nothing", bug, op)
			}
		}
		c := sound
		c.Faults = []sim.Fault{sim.FailCompile(op)}
		if _, _, err := fusible(t, open(t, c), sched.Options{}); !errors.Is(err, sim.ErrInjected) {
			t.Errorf("a failing compile of %q: %v", op, err)
		}
	}
}
