package model

import (
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/tensor"
)

// What recurrent layers share. Their state is read by GetRows and written by SetRows, like keys and
// values, so that a graph does not depend on which rows they are.

// recurrentCache is a Cache that keeps states; a *kv.Cache is one.
type recurrentCache interface {
	Cache
	State(i int) (kv.State, bool)
	StatesKept(n int) int
}

// state says what recurrent layer i keeps: the window of a convolution and a state of its own.
func (l *loader) state(i, conv, hidden int) {
	l.m.State = append(l.m.State, kv.StateConfig{Layer: i, Conv: conv, Hidden: hidden})
}

// stateInputs adds the inputs of recurrent layers.
func (g *Graph) stateInputs() {
	g.StateReads = g.Input("states read", tensor.I32, tensor.MakeShape(g.Sequences))
	g.StateWrites = g.Input("states written", tensor.I32, tensor.MakeShape(g.Sequences*g.statesKept()))
}

// seqTokens returns how many tokens of each sequence the batch has.
func (g *Graph) seqTokens() int { return g.Tokens / g.Sequences }

// statesKept returns after how many tokens of each sequence states are kept: that many of the last ones.
func (g *Graph) statesKept() int { return g.recurrentCache().StatesKept(g.seqTokens()) }

func (g *Graph) recurrentCache() recurrentCache {
	c, ok := g.cache.(recurrentCache)
	if !ok {
		panic("model: a batch of sequences over a cache without states")
	}
	return c
}

// state returns what recurrent layer i keeps.
func (g *Graph) state(i int) kv.State {
	s, ok := g.recurrentCache().State(i)
	if !ok || g.Sequences == 0 || g.Tokens%g.Sequences != 0 {
		panic("model: a recurrent layer without a state, or a batch without sequences")
	}
	return s
}

// shortConv returns the causal convolution of x [channels, tokens] with filters w [k, channels], over
// the window that past tokens have left in state: [channels, tokens, sequences]. It keeps the window for
// tokens to come.
func (g *Graph) shortConv(state, w, x *tensor.Tensor) *tensor.Tensor {
	k, channels := w.Shape[0], w.Shape[1]
	n, seqs := g.seqTokens(), g.Sequences
	x = g.Permute(g.Reshape(x, channels, n, seqs), 1, 0, 2, 3)
	if k > 1 {
		x = g.Concat(g.Reshape(g.GetRows(state, g.StateReads), k-1, channels, seqs), x, 0)
		for back := range g.statesKept() {
			window := g.Contiguous(g.Slice(x, 0, n-back, n-back+k-1))
			g.SetRows(state, g.Reshape(window, (k-1)*channels, seqs), g.Slice(g.StateWrites, 0, back*seqs, (back+1)*seqs))
		}
	}
	return g.SSMConv(x, w)
}

// deltaNet returns what the gated delta rule makes of a batch, [dv*heads, tokens], and keeps its state
// after the last tokens. See tensor.GatedDeltaNet for the sizes.
func (g *Graph) deltaNet(state, q, k, v, gate, beta *tensor.Tensor) *tensor.Tensor {
	if g.Err() != nil {
		return v
	}
	dv, heads := v.Shape[0], v.Shape[1]
	before := g.Reshape(g.GetRows(state, g.StateReads), k.Shape[0], dv, heads, g.Sequences)
	out, after := g.GatedDeltaNet(q, k, v, gate, beta, before, g.statesKept())
	g.SetRows(state, after, g.StateWrites)
	return g.Reshape(out, dv*heads, g.Tokens)
}
