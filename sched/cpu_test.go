package sched

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/tensor"
)

// cpuModel is a model on CPU devices, with its caches.
type cpuModel struct {
	graph *tensor.Graph
	plan  *Plan
	exec  *Exec
	data  []byte // an input, as it is written
}

// newCPUModel builds a model of two layers on the named devices, with the same weights each time.
func newCPUModel(t *testing.T, pins []Pin, names ...string) *cpuModel {
	t.Helper()
	var devices []backends.Device
	for _, name := range names {
		d := cpu.New(cpu.Options{Name: name, Threads: 1})
		devices = append(devices, d)
		t.Cleanup(func() { d.Close() })
	}
	rng := rand.New(rand.NewPCG(1, 1))
	m := &cpuModel{}
	var opt Options
	m.graph, opt = buildModel(t, names, 2, 2, 32, func(l *tensor.Tensor, device int) {
		b, err := devices[device].BufferTypes()[0].Alloc(int64(l.Bytes()))
		if err == nil {
			err = l.Bind(b, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		if l.Role == tensor.Weight {
			p := make([]byte, l.Bytes())
			for i := 0; i < len(p); i += 4 {
				binary.LittleEndian.PutUint32(p[i:], math.Float32bits((rng.Float32()-0.5)/8))
			}
			if _, err := b.WriteAt(p, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	opt.Pins = pins
	var err error
	if m.plan, err = NewPlan(m.graph, devices, opt); err != nil {
		t.Fatal(err)
	}
	mem := new(Memory)
	if m.exec, err = NewExec(m.plan, mem); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// step runs two tokens from position pos on and reads the logits.
func (m *cpuModel) step(t *testing.T, pos int, logits []byte) {
	t.Helper()
	for _, in := range m.graph.Inputs {
		p := m.exec.HostBytes(in)
		filled := p != nil
		if !filled { // several devices read it
			if len(m.data) < in.Bytes() {
				m.data = make([]byte, in.Bytes())
			}
			p = m.data[:in.Bytes()]
		}
		clear(p)
		for i := range 2 {
			switch in.Name {
			case "tokens":
				binary.LittleEndian.PutUint32(p[4*i:], uint32(100+pos+i))
			case "pos":
				binary.LittleEndian.PutUint32(p[4*i:], uint32(pos+i))
			case "cells":
				binary.LittleEndian.PutUint64(p[8*i:], uint64(pos+i))
			}
		}
		if filled {
			continue
		}
		if err := m.exec.Write(in, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.exec.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := m.exec.Read(m.graph.Outputs[0], logits); err != nil {
		t.Fatal(err)
	}
}

// TestCPU runs one model on one CPU device and on two, and with nodes that stand in the wrong place:
// the logits are the same, bit for bit, and nothing is allocated.
func TestCPU(t *testing.T) {
	one := newCPUModel(t, nil, "CPU0")
	two := newCPUModel(t, nil, "CPU0", "CPU1")
	odd := newCPUModel(t, []Pin{{mustPin("attn|glu"), "CPU1"}, {mustPin(`\.q$`), "CPU0"}}, "CPU0", "CPU1")
	if len(two.plan.Splits) != 2 || two.plan.Copied == 0 || len(odd.plan.Splits) < 5 {
		t.Fatalf("the plans are not what this test is about:\n%v%v", two.plan, odd.plan)
	}
	want := make([]byte, one.graph.Outputs[0].Bytes())
	got := make([]byte, len(want))
	for step := range 3 {
		one.step(t, 2*step, want)
		if x := math.Float32frombits(binary.LittleEndian.Uint32(want)); x == 0 || x != x {
			t.Fatalf("the first logit is %g", x)
		}
		for _, m := range []*cpuModel{two, odd} {
			m.step(t, 2*step, got)
			if !bytes.Equal(got, want) {
				t.Errorf("step %d: logits differ with\n%v", step, m.plan)
			}
		}
	}
	if n := testing.AllocsPerRun(5, func() { two.step(t, 6, got) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
