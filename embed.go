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
// Errors: ErrEmpty for a text without tokens, kv.ErrFull for one that does not fit, a cancelled ctx's
// cause, ErrClosed.
func (m *Model) Embed(ctx context.Context, text string) ([]float32, error) {
	ids, err := m.tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true})
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 || text == "" {
		return nil, ErrEmpty
	}
	seq, err := m.acquire(ctx)
	if err != nil {
		return nil, err
	}
	pooling := m.Params().Pooling
	batch := make([]engine.Token, len(ids))
	for i, id := range ids {
		wanted := pooling != model.PoolCLS && pooling != model.PoolLast ||
			pooling == model.PoolCLS && i == 0 || pooling == model.PoolLast && i == len(ids)-1
		batch[i] = engine.Token{ID: id, Pos: int32(i), Seq: seq, Output: wanted}
	}
	var sum []float64
	err = m.with(func(e *engine.Engine) error {
		if err := e.Embed(ctx, batch); err != nil {
			return err
		}
		sum = make([]float64, e.Params().Embd)
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
