package tenon

import (
	"context"
	"math"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tokenizer"
)

// Embed returns the embedding of a text: the model's hidden states [width], pooled as the file says
// (their mean if it says nothing) and scaled to length 1.
//
// Errors: ErrEmpty for a text without tokens, kv.ErrFull for one that does not fit, the error and the
// cause of a cancelled ctx, ErrClosed.
func (m *Model) Embed(ctx context.Context, text string) ([]float32, error) {
	if text == "" {
		return nil, ErrEmpty
	}
	ids, err := m.tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true})
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, ErrEmpty
	}
	ctx, done := m.call(ctx)
	defer done()
	seq, err := m.acquire(ctx)
	if err != nil {
		return nil, err
	}
	sum := make([]float64, m.Params().Embd)
	err = m.inTurns(ctx, m.pooled(ids, seq), func(e *engine.Engine, run []engine.Token) error {
		if err := e.Embed(ctx, run); err != nil {
			return err
		}
		for i := range e.Outputs() {
			for j, v := range e.Hidden(i) {
				sum[j] += float64(v)
			}
		}
		return nil
	})
	if released := m.release(seq); err == nil {
		err = released
	}
	if err != nil {
		return nil, err
	}
	return normalized(sum), nil
}

// pooled returns ids as tokens of which those that the embedding is made of are outputs.
func (m *Model) pooled(ids []int32, seq int32) []engine.Token {
	pooling := m.Params().Pooling
	tokens := make([]engine.Token, len(ids))
	for i, id := range ids {
		output := true
		switch pooling {
		case model.PoolCLS:
			output = i == 0
		case model.PoolLast:
			output = i == len(ids)-1
		}
		tokens[i] = engine.Token{ID: id, Pos: int32(i), Seq: seq, Output: output}
	}
	return tokens
}

// normalized returns v scaled to length 1; zeros stay zeros. A mean needs no division before it.
func normalized(v []float64) []float32 {
	var length float64
	for _, x := range v {
		length += x * x
	}
	out := make([]float32, len(v))
	if length == 0 {
		return out
	}
	for i, x := range v {
		out[i] = float32(x / math.Sqrt(length))
	}
	return out
}
