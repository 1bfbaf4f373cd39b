package sched

import (
	"cmp"
	"slices"
	"time"

	"github.com/tenon-go/tenon/tensor"
)

// Work is the least that a node has to do in one run.
type Work struct {
	Bytes int64 `json:"bytes"` // read of its sources and written of its result, each once
	FLOPs int64 `json:"flops"`
}

// WorkOf returns the work of n: a product counts two operations for each pair of factors, attention the
// two products that it is made of, and anything else one for each element of the result. Of tables and
// experts, only the rows and the experts count that one run can reach.
func WorkOf(n *tensor.Tensor) Work {
	var w Work
	out := int64(n.Shape.Elems())
	w.FLOPs, w.Bytes = out, int64(n.Bytes())
	for _, s := range n.Src {
		if s != nil {
			w.Bytes += int64(s.Bytes())
		}
	}
	switch n.Op.(type) {
	case tensor.MatMul:
		w.FLOPs = 2 * out * int64(n.Src[0].Shape[0])
	case tensor.MatMulID:
		a, ids := n.Src[0], n.Src[2]
		w.FLOPs = 2 * out * int64(a.Shape[0])
		if experts, used := int64(a.Shape[2]), int64(ids.Shape.Elems()); used < experts {
			w.Bytes -= int64(a.Bytes()) - int64(a.Bytes())/experts*used
		}
	case tensor.FlashAttn:
		q, k, v := n.Src[0], n.Src[1], n.Src[2]
		rows := int64(q.Shape.Elems() / max(q.Shape[0], 1))
		w.FLOPs = 2 * rows * int64(k.Shape[2]) * int64(q.Shape[0]+v.Shape[0])
	case tensor.GetRows:
		x := n.Src[0]
		w.Bytes += rowBytes(x, n.Shape) - int64(x.Bytes())
	case tensor.SetRows:
		cache, x, idx := n.Src[0], n.Src[1], n.Src[2]
		w = Work{Bytes: rowBytes(cache, x.Shape) + int64(x.Bytes()) + int64(idx.Bytes()), FLOPs: int64(x.Shape.Elems())}
	}
	return w
}

// rowBytes returns the bytes that rows of shape s take in the type of t.
func rowBytes(t *tensor.Tensor, s tensor.Shape) int64 {
	return int64(t.Type.RowBytes(s[0])) * int64(s.Elems()/max(s[0], 1))
}

// Rates are the speeds that costs are estimated with.
type Rates struct {
	Bandwidth float64 `json:"bandwidth"` // of the device's memory, in bytes per second
	Compute   float64 `json:"compute"`   // in FLOP per second
	Link      float64 `json:"link"`      // between devices, in bytes per second
	Latency   float64 `json:"latency"`   // of each copy, in seconds
}

// HostRates are those of a plain desktop: two channels of DDR4, eight cores, PCI Express 3.0 x16. They
// are meant to tell cheap fallbacks from dear ones, not to foretell times.
var HostRates = Rates{Bandwidth: 30e9, Compute: 200e9, Link: 12e9, Latency: 10e-6}

// Time returns what f takes: as long as the slower of memory and arithmetic, and then the copies.
func (r Rates) Time(f *Fallback) time.Duration {
	seconds := max(float64(f.Work.Bytes)/r.Bandwidth, float64(f.Work.FLOPs)/r.Compute)
	seconds += float64(f.Copies)*r.Latency + float64(f.Copied)/r.Link
	return time.Duration(seconds * float64(time.Second))
}

// Fallback is a set of nodes that run where they do because a better device refused them for one
// reason.
type Fallback struct {
	Op      string `json:"op"`
	Refused string `json:"refused"` // the device that would have been better
	Reason  string `json:"reason"`  // what it said
	Device  string `json:"device"`  // where they run
	Nodes   []int  `json:"nodes"`   // in Plan.Nodes
	Work    Work   `json:"work"`
	// Copies are those to them, and from them to their readers, and Copied their bytes, each run.
	Copies int   `json:"copies"`
	Copied int64 `json:"copied"`
}

// Fallbacks returns the nodes that a better device refused, by op, devices and reason. The dearest by
// HostRates come first.
func (p *Plan) Fallbacks() []Fallback {
	var all []Fallback
	number := make([]int, len(p.Nodes)) // of a node's fallback, plus 1
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.Reason.Rule != RuleFallback {
			continue
		}
		at := slices.IndexFunc(all, func(f Fallback) bool {
			return f.Op == n.Op && f.Refused == n.Reason.Device && f.Device == n.Device && f.Reason == n.Reason.Text
		})
		if at < 0 {
			at = len(all)
			all = append(all, Fallback{Op: n.Op, Refused: n.Reason.Device, Reason: n.Reason.Text, Device: n.Device})
		}
		f, w := &all[at], WorkOf(p.graph.Nodes[i])
		f.Nodes = append(f.Nodes, i)
		f.Work.Bytes += w.Bytes
		f.Work.FLOPs += w.FLOPs
		number[i] = at + 1
	}
	if len(all) > 0 {
		p.blame(all, number)
	}
	slices.SortStableFunc(all, func(a, b Fallback) int {
		return cmp.Compare(HostRates.Time(&b), HostRates.Time(&a))
	})
	return all
}

// blame adds each copy to the fallback that makes it or, if that is none, to the first that reads it.
func (p *Plan) blame(all []Fallback, number []int) {
	maker := map[*tensor.Tensor]int{}
	for i, n := range p.graph.Nodes {
		if n.Base == nil {
			maker[n] = number[i]
		}
	}
	for i := range p.Splits {
		s := &p.Splits[i]
		for k, c := range s.Copies {
			root := p.layout.roots[p.layout.splits[i].copies[k].root].t
			at := maker[root]
			for n := s.From; n < s.To && at == 0; n++ {
				reads := func(src *tensor.Tensor) bool { return src != nil && src.Root() == root }
				if number[n] > 0 && slices.ContainsFunc(p.graph.Nodes[n].Src, reads) {
					at = number[n]
				}
			}
			if at > 0 {
				all[at-1].Copied += c.Bytes
				all[at-1].Copies++
			}
		}
	}
}
