package sched

import (
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// What random scenarios do about fusions.

// fuses returns what a device fuses, nil for one that does not at all.
func (s *scenario) fuses() map[string]string {
	if s.rng.IntN(4) == 0 {
		return nil
	}
	all := map[string]string{}
	for _, f := range backends.Fusions() {
		if s.rng.IntN(6) > 0 {
			all[f.String()] = ""
		}
	}
	return all
}

// fusible returns a new value in the way of a fusion, now and then with something else between, or with a
// result that is read elsewhere.
func (s *scenario) fusible(b *tensor.Builder, x, y, w *tensor.Tensor, pick func() *tensor.Tensor) *tensor.Tensor {
	rng := s.rng
	gain := b.Slice(w, 1, 0, 1)
	if rng.IntN(3) == 0 {
		gain = pick()
	}
	switch rng.IntN(6) {
	case 5:
		gate := b.MatMul(w, x)
		if rng.IntN(4) == 0 {
			x = gate
		}
		return b.GLU(tensor.ReLU, gate, b.MatMul(w, x))
	case 0:
		return b.Mul(b.RMSNorm(x, 0.5), gain)
	case 1:
		sum := b.Add(x, y)
		if rng.IntN(3) == 0 {
			return b.Mul(b.RMSNorm(sum, 0.5), gain)
		}
		return b.Add(b.Scale(b.Mul(b.RMSNorm(sum, 0.5), gain), 0.125), sum)
	case 2:
		product := b.MatMul(w, x)
		if rng.IntN(2) == 0 {
			return b.Add(product, gain)
		}
		return b.Add(y, product)
	case 3:
		return b.SoftCap(x, 3)
	default:
		n := b.RMSNorm(x, 0.5)
		return b.Mul(b.Add(b.Mul(n, gain), y), n)
	}
}

// checkUnfused compares p with the plan without fusions, which it returns: nothing runs elsewhere or is
// copied otherwise, and no device needs more memory at a time.
func checkUnfused(t *testing.T, seed uint64, s *scenario, p *Plan) *Plan {
	t.Helper()
	opt := s.opt
	opt.NoFusion = backends.Fusions()
	q, err := NewPlan(s.graph, s.devices, opt)
	if err != nil {
		t.Fatalf("seed %d: without fusions: %v", seed, err)
	}
	if len(q.Groups) > 0 || p.Copied != q.Copied || p.Written != q.Written || len(p.Splits) != len(q.Splits) {
		t.Errorf("seed %d: fusions change more than they should; without:\n%v", seed, q)
		return q
	}
	for i := range p.Nodes {
		if p.Nodes[i].Device != q.Nodes[i].Device {
			t.Errorf("seed %d: %s is on %s, without fusions on %s", seed, p.Nodes[i].Node, p.Nodes[i].Device, q.Nodes[i].Device)
		}
	}
	for _, a := range p.Memory {
		b := q.Memory[slices.IndexFunc(q.Memory, func(m Arena) bool { return m.Device == a.Device })]
		if a.LargestLive > b.LargestLive {
			t.Errorf("seed %d: %s needs %d bytes at a time, without fusions %d; without:\n%v", seed, a.Device, a.LargestLive, b.LargestLive, q)
		} else if a.Bytes > b.Bytes {
			t.Errorf("seed %d: %s takes %d bytes, without fusions %d", seed, a.Device, a.Bytes, b.Bytes)
		}
	}
	return q
}
