package bench

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

// cost is what one run of some tokens must read, compute and copy at least, by its plan.
type cost struct {
	tokens  int
	weights int64   // bytes of weights that are read, each once
	ops     float64 // multiplications and additions of products with weights
	copied  int64   // bytes between devices
}

// planCost adds up a plan.
func planCost(p *sched.Plan, tokens int) cost {
	c := cost{tokens: tokens, copied: p.Copied}
	seen := map[*tensor.Tensor]bool{}
	for _, n := range p.Graph().Nodes {
		switch n.Op.(type) {
		case tensor.MatMul, tensor.MatMulID:
			if n.Src[0].Root().Role == tensor.Weight {
				c.ops += 2 * float64(n.Src[0].Shape[0]) * float64(n.Shape.Elems())
			}
		}
		for i, s := range n.Src {
			if s == nil || s.Root().Role != tensor.Weight {
				continue
			}
			switch n.Op.(type) {
			case tensor.GetRows: // only the rows that are named
				c.weights += int64(n.Shape.Rows()) * int64(s.Type.RowBytes(s.Shape[0]))
				continue
			case tensor.MatMulID:
				if i == 0 { // only the experts that are named
					used := min(n.Src[2].Shape.Elems(), s.Shape[2])
					c.weights += packedBytes(s) / int64(max(s.Shape[2], 1)) * int64(used)
					continue
				}
			}
			if root := s.Root(); !seen[root] {
				seen[root] = true
				c.weights += packedBytes(s)
			}
		}
	}
	return c
}

func packedBytes(t *tensor.Tensor) int64 {
	return int64(t.Shape.Rows()) * int64(t.Type.RowBytes(t.Shape[0]))
}

// planHash returns a name for what a plan does and where: equal plans have equal ones.
func planHash(p *sched.Plan) string {
	sum := sha256.Sum256([]byte(p.String()))
	return hex.EncodeToString(sum[:6])
}

// attention is what the layers' caches cost a token.
type attention struct {
	rows    int64   // bytes of a layer's key and value of one token
	window  int     // tokens that are seen at most, or 0
	ops     float64 // for each token that is seen
	repeats int     // layers alike
}

// attentions lists the kinds of layers that have a cache. queries is the number of query heads in all
// layers, by layer.
func attentions(e *engine.Engine, p *sched.Plan) []attention {
	heads := map[int]int{}
	for _, n := range p.Graph().Nodes {
		if _, ok := n.Op.(tensor.FlashAttn); ok {
			heads[n.Layer] = n.Src[0].Shape[1]
		}
	}
	count := map[attention]int{}
	for i := range e.Params().Layers {
		l, ok := e.Cache().Layer(i)
		if !ok {
			continue
		}
		a := attention{
			rows:   int64(l.K.Type.RowBytes(l.K.Shape[0])) + int64(l.V.Type.RowBytes(l.V.Shape[0])),
			window: l.Window,
			ops:    2 * float64(heads[i]) * float64(l.KeyDim+l.ValueDim),
		}
		count[a]++
	}
	var all []attention
	for a, n := range count {
		a.repeats = n
		all = append(all, a)
	}
	return all
}

// work is what a test must move and compute.
type work struct {
	bytes  float64 // read: weights in each run, and the cache
	ops    float64
	copied int64
}

// add adds a run of c.tokens tokens after past others. Within a run the cache is read once, for all of its
// tokens.
func (w *work) add(c cost, all []attention, past int) {
	w.bytes += float64(c.weights)
	w.ops += c.ops
	w.copied += c.copied
	for _, a := range all {
		read := float64(past + c.tokens)
		seen := float64(past) + float64(c.tokens+1)/2 // by a token of the run in the middle
		if a.window > 0 {
			read, seen = min(read, float64(a.window+c.tokens-1)), min(seen, float64(a.window))
		}
		w.bytes += float64(a.repeats) * read * float64(a.rows)
		w.ops += float64(a.repeats) * a.ops * seen * float64(c.tokens)
	}
}

// planner finds the costs of runs of each size, and keeps them.
type planner struct {
	engine *engine.Engine
	plans  map[int]cost
	layers []attention
}

func (p *planner) cost(tokens int) (cost, error) {
	if c, ok := p.plans[tokens]; ok {
		return c, nil
	}
	plan, err := p.engine.Plan(tokens)
	if err != nil {
		return cost{}, err
	}
	if p.plans == nil {
		p.plans = map[int]cost{}
		p.layers = attentions(p.engine, plan)
	}
	c := planCost(plan, tokens)
	p.plans[tokens] = c
	return c, nil
}

// work adds up the runs of a test.
func (p *planner) work(t Params) (w work, err error) {
	past := t.Depth
	for left := t.Prompt; left > 0; {
		batch := min(left, t.Batch)
		left -= batch
		for batch > 0 {
			c, err := p.cost(min(batch, t.UBatch))
			if err != nil {
				return w, err
			}
			w.add(c, p.layers, past)
			past += c.tokens
			batch -= c.tokens
		}
	}
	if t.Gen > 0 {
		c, err := p.cost(1)
		if err != nil {
			return w, err
		}
		for range t.Gen {
			w.add(c, p.layers, past)
			past++
		}
	}
	return w, nil
}

// hashOf returns the name of the plan of a test's largest run.
func (p *planner) hashOf(t Params) (string, error) {
	plan, err := p.engine.Plan(max(1, min(t.Prompt, t.Batch, t.UBatch)))
	if err != nil {
		return "", err
	}
	return planHash(plan), nil
}
