package model

import (
	"math"

	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/tensor"
)

// ShiftGraph turns the keys of a cache group in place, each cell by its own distance: what is left to
// do after positions were moved.
type ShiftGraph struct {
	Graph  *tensor.Graph
	Deltas *tensor.Tensor // I32 [cells], input: how far each cell's position has moved
	Cells  *tensor.Tensor // I64 [cells], input: All
	All    []int64        // 0, 1, 2 ... to be written to Cells
}

// ShiftGraph builds the graph for group i of a cache.
func (m *Model) ShiftGraph(i int, cache *kv.Cache) (*ShiftGraph, error) {
	b := tensor.NewBuilder()
	n := cache.Group(i).Cells
	g := &ShiftGraph{
		Deltas: b.Input("deltas", tensor.I32, tensor.MakeShape(n)),
		Cells:  b.Input("cells", tensor.I64, tensor.MakeShape(n)),
		All:    make([]int64, n),
	}
	for c := range g.All {
		g.All[c] = int64(c)
	}
	for _, l := range m.Layer {
		layer, _ := cache.Layer(l.Layer)
		rope, turns := m.family.keyRoPE(l.Layer)
		if layer.Group != i || layer.Source != l.Layer || !turns {
			continue
		}
		b.Layer(l.Layer)
		k := b.Cast(layer.K, tensor.F32)
		k = b.RoPE(unscaled(rope.op), b.Reshape(k, layer.KeyDim, layer.HeadsKV, n), g.Deltas, rope.freq)
		b.SetRows(layer.K, b.Reshape(k, layer.KeyDim*layer.HeadsKV, n), g.Cells)
	}
	var err error
	g.Graph, err = b.Build()
	return g, err
}

// unscaled returns op without the factor that YaRN multiplies its result by: keys carry it already.
func unscaled(op tensor.RoPE) tensor.RoPE {
	op.YaRN.AttnFactor = 1
	if op.YaRN.ExtFactor != 0 {
		op.YaRN.AttnFactor = float32(1 / (1 + 0.1*math.Log(1/float64(op.Scale))))
	}
	return op
}
