package cpu

import (
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// expertGroups are the pairs of (slot, token) of a mixture, in the shared scratch, ordered by expert,
// so that an expert's weights are read once for all its tokens. A pair is token*used + slot. Each expert's
// pairs are cut into groups of groupTokens, which are numbered through all experts.
type expertGroups struct{ at, experts, pairs int }

// all returns where each expert's pairs begin, and its groups, and the pairs.
func (g *expertGroups) all(w *worker) (start, groups, order []int32) {
	n := g.experts + 1
	v := i32s(w.shared[g.at : g.at+4*(2*n+g.pairs)])
	return v[:n], v[n : 2*n], v[2*n:]
}

// of returns the pairs of expert e.
func (g *expertGroups) of(w *worker, e int) []int32 {
	start, _, order := g.all(w)
	return order[start[e]:start[e+1]]
}

// firstGroup returns the number of expert e's first group.
func (g *expertGroups) firstGroup(w *worker, e int) int {
	_, groups, _ := g.all(w)
	return int(groups[e])
}

// group returns the pairs of group i, none if there are fewer groups.
func (g *expertGroups) group(w *worker, i int) []int32 {
	start, groups, order := g.all(w)
	e, found := slices.BinarySearch(groups, int32(i+1))
	if !found && e == len(groups) {
		return nil
	}
	e-- // the last expert whose first group is not behind i
	from := start[e] + (int32(i)-groups[e])*groupTokens
	return order[from:min(from+groupTokens, start[e+1])]
}

// groupByExpert adds the step that orders node n's pairs by their ids.
func (c *compiler) groupByExpert(n *tensor.Tensor, ids operand, experts int) *expertGroups {
	name, kind := n.Name, n.Op.Kind()
	used := ids.t.Shape[0]
	g := &expertGroups{experts: experts, pairs: used * ids.t.Shape[1]}
	g.at = c.common(4 * (2*(experts+1) + g.pairs))
	id := func(pair int) int64 { return ids.index(ids.at(pair/used, 0, 0), pair%used) }
	c.step(func(w *worker) {
		if w.id != 0 {
			return
		}
		start, groups, order := g.all(w)
		clear(start)
		for p := range g.pairs {
			e := id(p)
			if e < 0 || e >= int64(experts) {
				w.r.fail(&backends.IndexError{Node: name, Op: kind, Index: e, Rows: experts})
				return
			}
			start[e+1]++
		}
		groups[0] = 0
		for e := range experts {
			groups[e+1] = groups[e] + (start[e+1]+groupTokens-1)/groupTokens
			start[e+1] += start[e]
		}
		for p := range g.pairs {
			e := id(p)
			order[start[e]] = int32(p)
			start[e]++
		}
		copy(start[1:], start[:experts]) // each start has moved to its group's end
		start[0] = 0
	})
	return g
}
