package sched

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// hollow is a buffer without memory: planning never looks at the bytes.
type hollow struct {
	*fakeBuffer
	size int64
}

func (h hollow) Size() int64 { return h.size }

func bindHollow(t testing.TB, l *tensor.Tensor, d *fakeDevice) *tensor.Tensor {
	t.Helper()
	if err := l.Bind(hollow{&fakeBuffer{typ: d.typ}, int64(l.Bytes())}, 0); err != nil {
		t.Fatal(err)
	}
	return l
}

// fakeModel builds the graph of a model whose weights and caches have no memory.
func fakeModel(t testing.TB, devices []*fakeDevice, layers, tok, ctx int) (*tensor.Graph, Options) {
	names := []string{}
	for _, d := range devices {
		names = append(names, d.name)
	}
	return buildModel(t, names, layers, tok, ctx, func(l *tensor.Tensor, device int) { bindHollow(t, l, devices[device]) })
}

// buildModel builds the graph of a transformer with SwiGLU, layer i on devices[i*len(devices)/layers],
// for tok tokens over a cache of ctx cells. bind gives a leaf memory of a device.
func buildModel(t testing.TB, devices []string, layers, tok, ctx int, bind func(l *tensor.Tensor, device int)) (*tensor.Graph, Options) {
	const n, heads, dim, ff, vocab = 512, 8, 64, 1536, 4096
	var opt Options
	b := tensor.NewBuilder()
	leaf := func(d int, role tensor.Role, name string, sizes ...int) *tensor.Tensor {
		l, err := tensor.NewLeaf(role, name, tensor.F32, tensor.MakeShape(sizes...))
		if err != nil {
			t.Fatal(err)
		}
		bind(l, d)
		return l
	}
	ids := b.Input("tokens", tensor.I32, tensor.MakeShape(tok))
	pos := b.Input("pos", tensor.I32, tensor.MakeShape(tok))
	cells := b.Input("cells", tensor.I64, tensor.MakeShape(tok))
	mask := b.Input("mask", tensor.F16, tensor.MakeShape(ctx, tok))
	last := len(devices) - 1
	x := b.GetRows(leaf(0, tensor.Weight, "token_embd", n, vocab), ids)
	for i := range layers {
		d := i * len(devices) / layers
		opt.Layers = append(opt.Layers, devices[d])
		b.Layer(i)
		w := func(name string, sizes ...int) *tensor.Tensor {
			return leaf(d, tensor.Weight, fmt.Sprintf("blk.%d.%s", i, name), sizes...)
		}
		h := b.Mul(b.RMSNorm(x, 1e-5), w("attn_norm", n))
		q := b.Name("q", b.MatMul(w("attn_q", n, n), h))
		k := b.Name("k", b.MatMul(w("attn_k", n, n), h))
		v := b.Name("v", b.MatMul(w("attn_v", n, n), h))
		rope := tensor.RoPE{Dims: dim, Base: 10000}
		q = b.RoPE(rope, b.Reshape(q, dim, heads, tok), pos, nil)
		k = b.RoPE(rope, b.Reshape(k, dim, heads, tok), pos, nil)
		ck, cv := leaf(d, tensor.Cache, fmt.Sprintf("k.%d", i), n, ctx), leaf(d, tensor.Cache, fmt.Sprintf("v.%d", i), n, ctx)
		ck = b.Name("k_set", b.SetRows(ck, b.Reshape(k, n, tok), cells))
		cv = b.Name("v_set", b.SetRows(cv, v, cells))
		kv := func(c *tensor.Tensor) *tensor.Tensor {
			return b.Permute(b.Reshape(c, dim, heads, ctx), 0, 1, 2, 3)
		}
		a := b.Name("attn", b.FlashAttn(tensor.FlashAttn{Scale: 0.125}, q, kv(ck), kv(cv), mask, nil))
		x = b.Add(b.MatMul(w("attn_o", n, n), b.Reshape(a, n, tok)), x)
		h = b.Mul(b.RMSNorm(x, 1e-5), w("ffn_norm", n))
		g := b.GLU(tensor.SiLU, b.MatMul(w("ffn_gate", n, ff), h), b.MatMul(w("ffn_up", n, ff), h))
		x = b.Add(b.MatMul(w("ffn_down", ff, n), g), x)
	}
	b.Layer(-1)
	x = b.Mul(b.RMSNorm(x, 1e-5), leaf(last, tensor.Weight, "output_norm", n))
	logits := b.Name("logits", b.MatMul(leaf(last, tensor.Weight, "output", n, vocab), x))
	g, err := b.Build(logits)
	if err != nil {
		t.Fatal(err)
	}
	return g, opt
}

// able makes a fake device say yes to every op; it can then plan, but not run, what it has no kernel for.
type able struct{ *fakeDevice }

func (able) Supports(*tensor.Tensor) error { return nil }

func fourDevices() (fakes []*fakeDevice, devices []backends.Device) {
	for _, name := range []string{"A0", "A1", "B0", "CPU"} {
		d := newFake(name)
		fakes, devices = append(fakes, d), append(devices, able{d})
	}
	return fakes, devices
}

func BenchmarkNewPlan(b *testing.B) {
	fakes, devices := fourDevices()
	g, opt := fakeModel(b, fakes, 294, 1, 4096)
	b.ReportMetric(float64(len(g.Nodes)), "nodes")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewPlan(g, devices, opt); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(g.Nodes)), "nodes")
}

func BenchmarkRun(b *testing.B) {
	s := newScenario(b, 0, false)
	p, err := NewPlan(s.graph, s.devices, Options{KeepInputs: true})
	if err != nil {
		b.Fatal(err)
	}
	e, err := NewExec(p, new(Memory))
	if err != nil {
		b.Fatal(err)
	}
	for _, in := range s.inputs {
		if err := e.Write(in, make([]byte, in.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Run(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// TestModelMemory compares what a whole model takes with what it cannot do without.
func TestModelMemory(t *testing.T) {
	fakes, devices := fourDevices()
	for _, c := range []struct{ layers, tok, ctx int }{{1, 1, 256}, {22, 1, 4096}, {22, 512, 4096}, {40, 33, 700}} {
		g, opt := fakeModel(t, fakes, c.layers, c.tok, c.ctx)
		p, err := NewPlan(g, devices, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range p.Memory {
			ratio := float64(a.Bytes) / float64(a.LargestLive)
			t.Logf("%d layers, %d tokens: %s takes %d bytes, %.3f of what is in use at a time", c.layers, c.tok, a.Device, a.Bytes, ratio)
			if a.LargestLive > 4096 && ratio > 1.02 {
				t.Errorf("%s wastes memory: %+v", a.Device, a)
			}
		}
		if c.layers < len(fakes) {
			continue
		}
		// A hand-over between devices copies the residual stream and nothing else; each device is given
		// the inputs that it reads once.
		for i, s := range p.Splits[1:] {
			if len(s.Copies) != 1 || !strings.Contains(s.Copies[0].Tensor, ".add.") {
				t.Errorf("split %d copies %+v", i+1, s.Copies)
			}
		}
		written := map[string][]string{}
		for _, s := range p.Slots {
			if s.Use == "input" {
				written[s.Tensor] = append(written[s.Tensor], s.Device)
			}
		}
		for name, want := range map[string]int{"tokens": 1, "pos": 4, "cells": 4, "mask": 4} {
			if got := written[name]; len(got) != want || len(slices.Compact(slices.Sorted(slices.Values(got)))) != want {
				t.Errorf("%s is written to %v, want %d devices", name, got, want)
			}
		}
	}
}
