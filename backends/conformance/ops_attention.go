package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

type attentionParams struct {
	k, v      tensor.DType
	dk, dv    int
	heads     int
	kv        int // heads of k and v
	tok       int
	cells     int
	streams   int
	mask      tensor.DType
	planes    [2]int // of the mask; zero for no mask
	cap, bias float32
	sinks     bool
	l         layout // of k and v
}

// usual is what cases change.
var usual = attentionParams{
	k: tensor.F16, v: tensor.F16, dk: 64, dv: 64, heads: 4, kv: 2, tok: 3, cells: 70, streams: 1,
	mask: tensor.F16, planes: [2]int{1, 1},
}

func attentionCases(t *table) {
	attentionTypes(t)
	attentionSizes(t)
	attentionPrompts(t)
	attentionScores(t)
	attentionValues(t)
}

func (t *table) attention(p attentionParams) {
	t.op(p.id(), p.k, 0, func(g *gen) *tensor.Tensor { return g.attention(p) })
}

func (p attentionParams) id() string {
	mask := "none"
	if p.planes[0] > 0 {
		mask = id("", "", tensor.MakeShape(p.planes[:]...))[2:] + p.mask.String()
	}
	all := []any{"k", p.k, "v", p.v, "dk", p.dk, "dv", p.dv, "heads", p.heads, "kv", p.kv, "tok", p.tok, "cells", p.cells, "mask", mask}
	if p.streams != 1 {
		all = append(all, "streams", p.streams)
	}
	if p.cap != 0 {
		all = append(all, "cap", p.cap)
	}
	if p.bias != 0 {
		all = append(all, "bias", p.bias)
	}
	if p.sinks {
		all = append(all, "sinks", true)
	}
	if p.l != packed {
		all = append(all, "l", p.l)
	}
	return id("FlashAttn", all...)
}

func (g *gen) attention(p attentionParams) *tensor.Tensor {
	q := g.laid(tensor.F32, tensor.Shape{p.dk, p.heads, p.tok, p.streams}, p.l)
	k := g.laid(p.k, tensor.Shape{p.dk, p.kv, p.cells, p.streams}, p.l)
	v := g.laid(p.v, tensor.Shape{p.dv, p.kv, p.cells, p.streams}, p.l)
	var mask, sinks *tensor.Tensor
	if p.planes[0] > 0 {
		mask = g.masked(p.mask, tensor.Shape{p.cells, p.tok, p.planes[0], p.planes[1]}, packed)
	}
	if p.sinks {
		sinks = g.values(tensor.F32, tensor.MakeShape(p.heads), g.normal(p.heads, 1))
	}
	op := tensor.FlashAttn{Scale: float32(1 / math.Sqrt(float64(p.dk))), MaxBias: p.bias, SoftCap: p.cap}
	return g.FlashAttn(op, q, k, v, mask, sinks)
}

// attentionTypes has every type of cache, alone and in pairs, for one token and for several.
func attentionTypes(t *table) {
	for _, typ := range cacheTypes() {
		n, _ := typ.Block()
		p := usual
		p.k, p.v = typ, typ
		p.dk, p.dv = max(64, n), max(64, n)
		for _, tok := range []int{1, 5} {
			p.tok = tok
			t.attention(p)
		}
		p.l, p.heads = permuted, 6
		t.attention(p)
	}
	for _, pair := range [][2]tensor.DType{
		{tensor.F32, tensor.F16}, {tensor.F16, tensor.BF16}, {tensor.Q8_0, tensor.F16}, {tensor.Q8_0, tensor.Q4_0}, {tensor.F16, tensor.Q8_0}, {tensor.Q4_0, tensor.Q5_1},
	} {
		p := usual
		p.k, p.v = pair[0], pair[1]
		t.attention(p)
	}
}

// attentionPrompts has enough tokens for tiles of queries, and for one token enough cells to be divided.
func attentionPrompts(t *table) {
	for _, d := range []int{64, 80, 128} {
		p := usual
		p.dk, p.dv, p.heads, p.kv, p.tok, p.cells = d, d, 8, 2, 37, 136
		t.attention(p)
	}
	for _, change := range []func(p *attentionParams){
		func(p *attentionParams) { p.planes = [2]int{} },
		func(p *attentionParams) { p.planes = [2]int{4, 2} },
		func(p *attentionParams) { p.cap = 2 },
		func(p *attentionParams) { p.bias, p.sinks = 8, true },
		func(p *attentionParams) { p.mask = tensor.F32 },
		func(p *attentionParams) { p.k, p.v = tensor.Q8_0, tensor.Q8_0 },
		func(p *attentionParams) { p.k, p.v = tensor.Q5_1, tensor.Q4_0 },
	} {
		p := usual
		p.heads, p.kv, p.tok, p.cells, p.streams = 4, 1, 20, 72, 2
		change(&p)
		t.attention(p)
		p.heads, p.kv, p.tok, p.cells, p.streams = 4, 2, 1, 1100, 1
		p.planes[1] = min(p.planes[1], 1)
		t.attention(p)
	}
}

// attentionSizes has head sizes, ratios of heads, and numbers of tokens and cells.
func attentionSizes(t *table) {
	for _, d := range [][2]int{
		{64, 64},
		{72, 72},
		{80, 80},
		{96, 96},
		{112, 112},
		{128, 128},
		{192, 192},
		{256, 256},
		{512, 512},
		{192, 128},
		{320, 256},
		{576, 512},
		{64, 128},
		{40, 40},
		{33, 17},
		{1, 1},
		{128, 0},
	} {
		for _, typ := range []tensor.DType{tensor.F32, tensor.F16} {
			p := usual
			p.k, p.v, p.dk, p.dv, p.cells = typ, typ, d[0], d[1], 37
			t.attention(p)
		}
		if d[0]%32 == 0 && d[1]%32 == 0 {
			p := usual
			p.k, p.v, p.dk, p.dv, p.cells = tensor.Q8_0, tensor.Q8_0, d[0], d[1], 37
			t.attention(p)
		}
	}
	for _, h := range [][2]int{{1, 1}, {4, 4}, {8, 1}, {6, 2}, {5, 5}, {15, 3}, {16, 2}, {32, 1}} {
		for _, tok := range []int{1, 4} {
			p := usual
			p.heads, p.kv, p.tok = h[0], h[1], tok
			t.attention(p)
		}
	}
	for _, tok := range []int{0, 1, 2, 7, 8, 9, 33} {
		for _, cells := range []int{1, 2, 31, 32, 33, 64, 65, 113, 256, 300} {
			if tok > 8 && cells > 120 {
				continue
			}
			p := usual
			p.tok, p.cells = tok, cells
			t.attention(p)
		}
	}
	for _, cells := range []int{1024, 4097} { // a long context
		p := usual
		p.tok, p.cells, p.heads, p.kv = 1, cells, 2, 1
		t.attention(p)
	}
	p := usual
	p.cells = 0 // there is nothing to see
	p.planes = [2]int{}
	t.attention(p)
}

// attentionScores has what is done to scores: masks of all shapes, caps, ALiBi, sinks, and all at once.
func attentionScores(t *table) {
	for _, mask := range []tensor.DType{tensor.F32, tensor.F16} {
		for _, planes := range [][2]int{{0, 0}, {1, 1}, {4, 1}, {1, 3}, {4, 3}} {
			if planes[0] == 0 && mask == tensor.F16 {
				continue
			}
			for _, p := range []attentionParams{{}, {cap: 30}, {cap: 2}, {bias: 8}, {sinks: true}, {cap: 5, bias: 4, sinks: true}} {
				if p.bias > 0 && planes[0] == 0 {
					continue
				}
				o := usual
				o.mask, o.planes, o.streams = mask, planes, 3
				o.cap, o.bias, o.sinks = p.cap, p.bias, p.sinks
				o.cells = 45
				t.attention(o)
			}
		}
	}
	for _, heads := range []int{1, 3, 6, 12, 20} { // ALiBi where the heads are no power of two
		p := usual
		p.heads, p.kv, p.bias, p.cells = heads, 1, 8, 40
		t.attention(p)
	}
	for l := gaps; l < numLayouts; l++ {
		for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0} {
			p := usual
			p.k, p.v, p.l, p.streams, p.cells = typ, typ, l, 2, 40
			t.attention(p)
		}
	}
}

// attentionValues has scores far apart, hidden cells with large content, and rows without a cell.
func attentionValues(t *table) {
	const d, cells, tok = 64, 50, 4
	add := func(name string, typ tensor.DType, sink *float32, fill func(g *gen, q, k, v, mask []float32)) {
		t.op(id("FlashAttn", "k", typ, "values", name), typ, 0, func(g *gen) *tensor.Tensor {
			q, k, v := g.normal(d*tok, 1), g.normal(d*cells, 1), g.normal(d*cells, 1)
			mask := make([]float32, cells*tok)
			fill(g, q, k, v, mask)
			var sinks *tensor.Tensor
			if sink != nil {
				sinks = g.values(tensor.F32, tensor.MakeShape(1), []float32{*sink})
			}
			return g.FlashAttn(tensor.FlashAttn{Scale: 0.125},
				g.values(tensor.F32, tensor.MakeShape(d, 1, tok), q),
				g.values(typ, tensor.MakeShape(d, 1, cells), k), g.values(typ, tensor.MakeShape(d, 1, cells), v),
				g.values(tensor.F32, tensor.MakeShape(cells, tok), mask), sinks)
		})
	}
	hide := float32(math.Inf(-1))
	for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0} {
		add("oneseen", typ, nil, func(_ *gen, _, _, _, mask []float32) { // each token sees one cell: its row comes out
			for i := range mask {
				if i%cells != (i/cells*17+3)%cells {
					mask[i] = hide
				}
			}
		})
		add("hiddenlarge", typ, nil, func(g *gen, _, k, v, mask []float32) { // what is hidden shows nowhere
			for c := range cells {
				if c%3 != 1 {
					continue
				}
				for i := range d {
					k[c*d+i], v[c*d+i] = 3000, -3000
				}
				for t := range tok {
					mask[t*cells+c] = hide
				}
			}
		})
		add("rising", typ, nil, func(g *gen, q, k, _, _ []float32) { // each cell's score is above the one before
			for i := range q {
				q[i] = 0.5
			}
			for i := range k {
				k[i] = float32(i/d)*0.15 - 4
			}
		})
		add("far", typ, nil, func(g *gen, q, _, _, _ []float32) { // one cell takes nearly all
			for i := range q {
				q[i] *= 12
			}
		})
		for _, sink := range []float32{-1000, 0, 1000} {
			name := id("", "", sink)[2:]
			add("hiddensink"+name, typ, &sink, func(_ *gen, _, _, _, mask []float32) {
				for i := range mask[:2*cells] { // of two tokens
					mask[i] = hide
				}
			})
		}
	}
	add("nan", tensor.F32, nil, func(_ *gen, q, _, _, _ []float32) { q[d+5] = float32(math.NaN()) }) // spoils its token only
}
