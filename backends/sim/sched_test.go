package sim_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// model is a small transformer with a KV cache, spread over devices layer by layer.
type model struct {
	graph  *tensor.Graph
	plan   *sched.Plan
	exec   *sched.Exec
	memory sched.Memory
	leaves []*tensor.Tensor
}

const embd, heads, headDim, ffn, vocab, cells, layers = 64, 4, 16, 96, 50, 32, 4

// newModel builds the model with the same weights each time. Its layers go to the devices in turns, in
// equal parts one after the other.
func newModel(t testing.TB, devices []backends.Device, tok int) *model {
	t.Helper()
	m := &model{}
	b := tensor.NewBuilder()
	var opt sched.Options
	on := func(dev int, role tensor.Role, name string, typ tensor.DType, sizes ...int) *tensor.Tensor {
		l, err := tensor.NewLeaf(role, name, typ, tensor.MakeShape(sizes...))
		if err != nil {
			t.Fatal(err)
		}
		m.bind(t, l, devices[dev].BufferTypes()[0])
		return l
	}
	ids, pos := b.Input("tokens", tensor.I32, tensor.MakeShape(tok)), b.Input("pos", tensor.I32, tensor.MakeShape(tok))
	at, mask := b.Input("cells", tensor.I64, tensor.MakeShape(tok)), b.Input("mask", tensor.F16, tensor.MakeShape(cells, tok))
	x := b.GetRows(on(0, tensor.Weight, "embd", tensor.Q8_0, embd, vocab), ids)
	for i := range layers {
		d := i * len(devices) / layers
		opt.Layers = append(opt.Layers, devices[d].Info().Owner.Device)
		b.Layer(i)
		w := func(name string, typ tensor.DType, sizes ...int) *tensor.Tensor {
			return on(d, tensor.Weight, fmt.Sprintf("blk.%d.%s", i, name), typ, sizes...)
		}
		h := b.Mul(b.RMSNorm(x, 1e-5), w("norm", tensor.F32, embd))
		rope := tensor.RoPE{Dims: headDim, Base: 10000}
		q := b.RoPE(rope, b.Reshape(b.MatMul(w("q", tensor.Q4_0, embd, embd), h), headDim, heads, tok), pos, nil)
		k := b.RoPE(rope, b.Reshape(b.MatMul(w("k", tensor.F16, embd, embd), h), headDim, heads, tok), pos, nil)
		v := b.MatMul(w("v", tensor.F32, embd, embd), h)
		kv := func(name string, rows *tensor.Tensor) *tensor.Tensor {
			c := on(d, tensor.Cache, fmt.Sprintf("%s.%d", name, i), tensor.F16, embd, cells)
			c = b.SetRows(c, b.Reshape(rows, embd, tok), at)
			return b.Reshape(c, headDim, heads, cells)
		}
		a := b.FlashAttn(tensor.FlashAttn{Scale: 0.25}, q, kv("k", k), kv("v", v), mask, nil)
		x = b.Add(b.MatMul(w("o", tensor.BF16, embd, embd), b.Reshape(a, embd, tok)), x)
		h = b.RMSNorm(x, 1e-5)
		g := b.GLU(tensor.SiLU, b.MatMul(w("gate", tensor.Q8_0, embd, ffn), h), b.MatMul(w("up", tensor.Q8_0, embd, ffn), h))
		x = b.Add(b.MatMul(w("down", tensor.F16, ffn, embd), g), x)
	}
	b.Layer(-1)
	logits := b.MatMul(on(len(devices)-1, tensor.Weight, "output", tensor.Q8_0, embd, vocab), b.RMSNorm(x, 1e-5))
	var err error
	if m.graph, err = b.Build(logits); err != nil {
		t.Fatal(err)
	}
	if m.plan, err = sched.NewPlan(m.graph, devices, opt); err != nil {
		t.Fatal(err)
	}
	return m
}

// start reserves the memory of the plan, until the test ends.
func (m *model) start(t testing.TB) {
	t.Helper()
	var err error
	if m.exec, err = sched.NewExec(m.plan, &m.memory); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.exec.Close(), m.memory.Close()); err != nil {
			t.Error(err)
		}
	})
}

// bind gives a leaf memory of typ and contents that its name decides.
func (m *model) bind(t testing.TB, l *tensor.Tensor, typ buffer.Type) {
	b := alloc(t, typ, int64(l.Bytes()))
	if err := l.Bind(b, 0); err != nil {
		t.Fatal(err)
	}
	m.leaves = append(m.leaves, l)
	if l.Role != tensor.Weight {
		return
	}
	seed := uint64(7)
	for _, c := range l.Name {
		seed = seed*31 + uint64(c)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	v := make([]float32, l.Shape.Elems())
	for i := range v {
		v[i] = float32(rng.NormFloat64()) / 6
	}
	p := make([]byte, l.Bytes())
	if err := quant.Encode(l.Type, p, v, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteAt(p, 0); err != nil {
		t.Fatal(err)
	}
}

// step runs tokens from position pos on and returns the logits.
func (m *model) step(ctx context.Context, pos int) ([]byte, error) {
	for _, in := range m.graph.Inputs {
		p := make([]byte, in.Bytes())
		for i := range in.Shape[0] {
			switch in.Name {
			case "tokens":
				binary.LittleEndian.PutUint32(p[4*i:], uint32((7*pos+3*i)%vocab))
			case "pos":
				binary.LittleEndian.PutUint32(p[4*i:], uint32(pos+i))
			case "cells":
				binary.LittleEndian.PutUint64(p[8*i:], uint64(pos+i))
			}
		}
		if in.Name == "mask" {
			for row := range in.Shape[1] {
				for c := pos + row + 1; c < cells; c++ {
					binary.LittleEndian.PutUint16(p[2*(row*cells+c):], 0xfc00) // -Inf
				}
			}
		}
		if err := m.exec.Write(in, p); err != nil {
			return nil, err
		}
	}
	if err := m.exec.Run(ctx); err != nil {
		return nil, err
	}
	out := m.graph.Outputs[0]
	logits := make([]byte, out.Bytes())
	return logits, m.exec.Read(out, logits)
}

// TestScheduledOnSimulatedDevices runs one model on the CPU and on simulated machines: in every way of
// submitting, with memory that is mapped or not, read by a neighbour or not, and with ops that go to
// another device. The logits and the caches are the same, bit for bit.
func TestScheduledOnSimulatedDevices(t *testing.T) {
	host := cpu.New(cpu.Options{Threads: 1})
	defer host.Close()
	const tok, steps = 3, 4
	one := newModel(t, []backends.Device{host}, tok)
	one.start(t)
	var want [steps][]byte
	for i := range want {
		var err error
		if want[i], err = one.step(context.Background(), tok*i); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(want[0], want[1]) {
		t.Fatal("all steps give the same logits")
	}
	machines, copied, splits := 0, int64(0), 0
	for _, mode := range modes {
		for bits := range 16 {
			configs := []sim.Config{{Name: "Vulkan0", Submit: mode}, {Name: "ROCm1", Submit: mode}}
			for i := range configs {
				configs[i].Mapped = bits>>i&1 == 1
				configs[i].Heap = true // where the race detector looks
			}
			if bits&4 != 0 {
				configs[0].Reads, configs[1].Reads = []string{"ROCm1"}, []string{"Vulkan0"}
			}
			if bits&8 != 0 {
				configs[0].Rules = []sim.Rule{{Ops: []string{"RMSNorm", "GLU"}, Reason: "no kernel"}}
			}
			m, err := sim.NewMachine(configs...)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			got := newModel(t, m.Backends(), tok)
			got.start(t)
			for i := range want {
				logits, err := got.step(context.Background(), tok*i)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(logits, want[i]) {
					t.Fatalf("%s step %d: logits differ with\n%s%v", mode, i, sim.Format(configs), got.plan)
				}
			}
			compareCaches(t, one, got)
			machines, copied, splits = machines+1, copied+got.plan.Copied, splits+len(got.plan.Splits)
		}
	}
	t.Logf("%d machines, %d splits, %d bytes copied a step", machines, splits, copied)
	if copied == 0 || splits < 4*machines {
		t.Error("the machines do not reach what they should")
	}
}

func compareCaches(t *testing.T, want, got *model) {
	t.Helper()
	for i, l := range want.leaves {
		if l.Role != tensor.Cache {
			continue
		}
		a, b := make([]byte, l.Bytes()), make([]byte, l.Bytes())
		err := errors.Join(second(l.Storage.Buffer.ReadAt(a, 0)), second(got.leaves[i].Storage.Buffer.ReadAt(b, 0)))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v", l.Name, err)
		}
	}
}

// TestPlannedMemory compares what a plan says that it takes with what the devices have given, and what
// it says that it copies with what they have copied.
func TestPlannedMemory(t *testing.T) {
	m, err := sim.NewMachine(sim.Config{Name: "Vulkan0"}, sim.Config{Name: "ROCm1"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got := newModel(t, m.Backends(), 2)
	before := map[string]int64{}
	for _, d := range m.Devices() {
		before[d.Config().Name] = d.Stats().Live
	}
	got.start(t)
	for _, a := range got.plan.Memory {
		if live := m.Device(a.Device).Stats().Live - before[a.Device]; live != a.Bytes {
			t.Errorf("%s: %d bytes, planned are %d", a.Device, live, a.Bytes)
		}
	}
	for _, d := range m.Devices() {
		d.ResetStats()
	}
	logits, err := got.step(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var reads, writes int64
	for _, d := range m.Devices() {
		reads, writes = reads+d.Stats().Reads.Bytes, writes+d.Stats().Writes.Bytes
	}
	if reads != got.plan.Copied+int64(len(logits)) || writes != got.plan.Copied+got.plan.Written {
		t.Errorf("%d bytes read and %d written; planned %d, and %d of results and %d of inputs",
			reads, writes, got.plan.Copied, len(logits), got.plan.Written)
	}
}

// TestScheduledFaults checks that faults come out of a run as what they are, and that the next run works
// where the device does.
func TestScheduledFaults(t *testing.T) {
	for _, mode := range modes {
		m, err := sim.NewMachine(sim.Config{Name: "Vulkan0", Submit: mode}, sim.Config{Name: "ROCm1", Submit: mode})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		d := m.Device("ROCm1")
		got := newModel(t, m.Backends(), 1)
		inject(t, d, sim.FailAlloc(1))
		if _, err := sched.NewExec(got.plan, &got.memory); !errors.Is(err, buffer.ErrNoMemory) {
			t.Errorf("%s: %v", mode, err)
		}
		inject(t, d, sim.FailCompile(""))
		if _, err := sched.NewExec(got.plan, &got.memory); !errors.Is(err, sim.ErrInjected) {
			t.Errorf("%s: %v", mode, err)
		}
		d.Heal()
		got.start(t)
		want, err := got.step(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			fault sim.Fault
			want  error
		}{
			{sim.FailSubmit(1), sim.ErrInjected},
			{sim.FailCopy(1), sim.ErrInjected},
			{sim.HangAtSubmit(1), context.DeadlineExceeded},
			{sim.LoseAtSubmit(1), backends.ErrDeviceLost},
		} {
			inject(t, d, c.fault)
			ctx, cancel := context.Background(), context.CancelFunc(func() {})
			if c.fault == sim.HangAtSubmit(1) {
				ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
			}
			if _, err := got.step(ctx, 0); !errors.Is(err, c.want) {
				t.Errorf("%s: %v: %v", mode, c.fault, err)
			}
			cancel()
			if d.Lost() {
				continue
			}
			if logits, err := got.step(context.Background(), 0); err != nil || !bytes.Equal(logits, want) {
				t.Errorf("%s: after %v: %v", mode, c.fault, err)
			}
		}
	}
}

// TestPlanOfALargeMachine plans a model on a machine that this one could not hold.
func TestPlanOfALargeMachine(t *testing.T) {
	small, err := sim.NewMachine(sim.Config{Name: "Vulkan0"}, sim.Config{Name: "ROCm1"})
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	large, err := sim.NewMachine(sim.Config{Name: "Vulkan0", PlanOnly: true, Memory: 1 << 50}, sim.Config{Name: "ROCm1", PlanOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	if big := alloc(t, large.Device("Vulkan0").BufferTypes()[0], 1<<45); big.Size() != 1<<45 {
		t.Error(big.Size())
	}
	if a, b := newModel(t, small.Backends(), 2), newModel(t, large.Backends(), 2); !a.plan.Equal(b.plan) {
		t.Errorf("%v\n%v", a.plan, b.plan)
	}
}
