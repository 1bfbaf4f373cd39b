package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/internal/opcorpus"
	"github.com/tenon-go/tenon/tensor"
)

// corpusCases returns the cases of a reference corpus, in whose folder ops there are inputs of ops with
// the results of another implementation.
func corpusCases(folder string) ([]Case, error) {
	t := &table{}
	for _, path := range opcorpus.Files(folder) {
		f, err := opcorpus.Open(path)
		if err != nil {
			return nil, fmt.Errorf("conformance: %w: %w", ErrOptions, err)
		}
		for i := range f.Cases {
			name := f.Name + "/" + f.Cases[i].ID()
			t.check(ChapterCorpus, name, func(ctx context.Context, s *session) (measure, error) { return s.corpusCase(ctx, path, i) })
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	if len(t.cases) == 0 {
		return nil, fmt.Errorf("conformance: %w: %s/ops has no corpus", ErrOptions, folder)
	}
	return t.cases, nil
}

// corpusCase computes case i of a file in each way that the device supports, and compares with what the
// file says and with the oracle.
func (s *session) corpusCase(ctx context.Context, path string, i int) (m measure, err error) {
	f, err := s.corpusFile(path)
	if err != nil {
		return m, err
	}
	var refusal error
	for way, ways, ran := 0, 1, false; way < ways; way++ {
		g := newGen(s.rand(path))
		graph, err := f.Build(&f.Cases[i], g.Builder, func(t tensor.DType, shape tensor.Shape, data []byte) *tensor.Tensor {
			return g.leaf(tensor.Input, t, shape, data)
		})
		switch {
		case errors.Is(err, opcorpus.ErrNotHere):
			return m, skipError(err.Error())
		case err != nil:
			return m, fmt.Errorf("the case itself is wrong: %w", err)
		}
		ways = len(graph.Results)
		one, err := s.corpusWay(ctx, g, graph, graph.Results[way])
		if errors.Is(err, backends.ErrUnsupported) {
			if !ran {
				refusal = err
			}
			continue
		}
		if err != nil {
			return m, err
		}
		ran, refusal = true, nil
		m.worst(one)
	}
	return m, refusal
}

func (s *session) corpusWay(ctx context.Context, g *gen, graph *opcorpus.Graph, r opcorpus.Result) (m measure, err error) {
	b, err := s.bind(g, false, r.T)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.reset(); err != nil {
		return m, err
	}
	if err := b.submit(ctx, false); err != nil {
		return m, fmt.Errorf("submitting: %w", err)
	}
	if err := b.fetch(); err != nil {
		return m, err
	}
	got, err := b.read(r.T) // before untouched, which makes what was written like what was there
	if err != nil {
		return m, err
	}
	// What is built of several nodes has the errors of all of them: tolerances are for one.
	if len(b.nodes) == 1 {
		m, err = b.check(nil, b.nodes[0])
	} else {
		err = b.untouched()
	}
	if err != nil {
		return m, err
	}
	have := got.F
	if got.I != nil {
		have = make([]float64, len(got.I))
		for i, x := range got.I {
			have[i] = float64(x)
		}
	}
	if r.Limit.NMSE > 0 { // what the suite allows is allowed here
		tol := toleranceOf(r.T.Root())
		ulp := math.Ldexp(max(0, tol.ULP), -mantissa(r.T.Type))
		r.Limit.NMSE = max(r.Limit.NMSE, tol.NMSE, ulp*ulp)
	}
	_, off, err := graph.Judge(r, have)
	if err != nil {
		return m, fmt.Errorf("the corpus has another result: %w", err)
	}
	m.NMSE = max(m.NMSE, off)
	return m, nil
}

// corpusFile returns an open file of the corpus, which the session closes.
func (s *session) corpusFile(path string) (*opcorpus.File, error) {
	if f := s.corpus[path]; f != nil {
		return f, nil
	}
	f, err := opcorpus.Open(path)
	if err != nil {
		return nil, err
	}
	if s.corpus == nil {
		s.corpus = map[string]*opcorpus.File{}
	}
	s.corpus[path] = f
	return f, nil
}
