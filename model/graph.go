package model

import (
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/tensor"
)

// Batch is the shape of a run: graphs of equal Batches are equal, and are built and planned once.
type Batch struct {
	Tokens  int  // in the batch
	Outputs int  // rows that are wanted; if equal to Tokens, all rows in order
	Hidden  bool // the hidden state alone is wanted of them, no logits
	Exact   bool // products do not round activations

	// AllHidden wants the hidden states of all rows, and logits of the Outputs alone.
	AllHidden bool

	// Sequences is how many sequences the tokens are of, each with as many, one sequence after the
	// other. Only recurrent layers care: it is 0 over a cache without them.
	Sequences int

	// Cells is how many leading cells attention reads in each group of the cache.
	Cells [MaxGroups]int
}

// MaxGroups is the number of cache groups that a model may have: one for each window size.
const MaxGroups = 4

// Graph is a batch's way through a model, as it is built and when it is done.
type Graph struct {
	*tensor.Builder
	Batch

	// Inputs, to be written before each run; nil where the graph has no use for one.
	TokenIDs *tensor.Tensor   // I32 [Tokens]
	Pos      *tensor.Tensor   // I32 [Tokens]
	HiddenIn *tensor.Tensor   // F32 [width, Tokens], the target's hidden states; nil but for drafts
	OutRows  *tensor.Tensor   // I32 [Outputs], which rows are wanted; nil if all are
	Slots    []*tensor.Tensor // by cache group: I64 [Tokens], the cell that each token is written to
	Masks    []*tensor.Tensor // by cache group: F32 [Cells, Tokens], 0 or -Inf

	// Of recurrent layers: I32 [Sequences] and I32 [Sequences * states kept], the rows of their states
	// that are read and written, as kv.Slots names them.
	StateReads, StateWrites *tensor.Tensor

	// Outputs.
	Hidden *tensor.Tensor // F32 [Embd, Outputs, or Tokens if AllHidden], after the last norm; of a draft what its next step takes
	Logits *tensor.Tensor // F32 [Vocab, Outputs], nil if not wanted

	// Graph is the finished graph.
	Graph *tensor.Graph

	m      *Model
	cache  Cache
	export *tensor.Tensor // Hidden, where that is not what the logits are made of
}

// Cache is what a graph reads and writes: a *kv.Cache, or the target's for a draft that reads it.
type Cache interface {
	Layer(i int) (kv.Layer, bool)
	Groups() int
}

// hiddenIn returns the input of the target's hidden states.
func (g *Graph) hiddenIn(width int) *tensor.Tensor {
	if g.HiddenIn == nil {
		g.HiddenIn = g.Input("target hidden", tensor.F32, tensor.MakeShape(width, g.Tokens))
	}
	return g.HiddenIn
}

// Graph builds the graph of a batch over a cache. Errors are mistakes of this package or of the file's
// hyper-parameters: *tensor.OpError.
func (m *Model) Graph(batch Batch, cache Cache) (*Graph, error) {
	g := &Graph{Builder: tensor.NewBuilder(), Batch: batch, m: m, cache: cache}
	n := batch.Tokens
	g.TokenIDs = g.Input("tokens", tensor.I32, tensor.MakeShape(n))
	g.Pos = g.Input("positions", tensor.I32, tensor.MakeShape(n))
	if batch.Outputs != n {
		g.OutRows = g.Input("output rows", tensor.I32, tensor.MakeShape(batch.Outputs))
	}
	g.Slots = make([]*tensor.Tensor, cache.Groups())
	g.Masks = make([]*tensor.Tensor, cache.Groups())
	for i := range g.Slots {
		g.Slots[i] = g.Input("cells", tensor.I64, tensor.MakeShape(n))
		g.Masks[i] = g.Input("mask", tensor.F32, tensor.MakeShape(batch.Cells[i], n))
	}
	if batch.Sequences > 0 {
		g.stateInputs()
	}
	outRows := g.OutRows
	if batch.AllHidden {
		g.OutRows = nil // the layers keep all rows
	}
	g.Hidden = m.family.forward(g)
	state := g.Hidden
	if g.export != nil {
		g.Hidden = g.export
	}
	if batch.AllHidden {
		g.OutRows = outRows
		state = g.rows(state)
	}
	var outputs []*tensor.Tensor
	switch {
	case batch.Outputs == 0 && !batch.AllHidden:
	case batch.Outputs > 0 && !batch.Hidden:
		g.Layer(m.Layers)
		g.Logits = g.Name("logits", m.family.logits(g, state))
		outputs = []*tensor.Tensor{g.Logits, g.Hidden}
	default:
		outputs = []*tensor.Tensor{g.Hidden}
	}
	var err error
	g.Graph, err = g.Build(outputs...)
	if err != nil {
		return nil, err
	}
	g.dropUnused()
	return g, nil
}

// dropUnused forgets the inputs that nothing reads: a run without outputs has no use for some.
func (g *Graph) dropUnused() {
	used := map[*tensor.Tensor]bool{}
	for _, in := range g.Graph.Inputs {
		used[in] = true
	}
	drop := func(t **tensor.Tensor) {
		if !used[*t] {
			*t = nil
		}
	}
	drop(&g.TokenIDs)
	drop(&g.Pos)
	drop(&g.HiddenIn)
	drop(&g.OutRows)
	drop(&g.StateReads)
	drop(&g.StateWrites)
	for i := range g.Slots {
		drop(&g.Slots[i])
		drop(&g.Masks[i])
	}
}
