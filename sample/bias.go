package sample

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// logitBias adds a constant to the logits of single tokens.
type logitBias []biasEntry

type biasEntry struct {
	id   int32
	bias float32
}

func newLogitBias(m map[int32]float32, nVocab int) (logitBias, error) {
	var b logitBias
	for _, id := range slices.Sorted(maps.Keys(m)) {
		if int(id) >= nVocab {
			return nil, &ParamError{"LogitBias", id, fmt.Sprintf("token ids of 0 to %d", nVocab-1)}
		}
		b = append(b, biasEntry{id, m[id]})
	}
	return b, nil
}

func (b logitBias) edit(logits []float32) {
	for _, e := range b {
		v := logits[e.id]
		if e.bias == negInf && isFinite(v) {
			logits[e.id] = negInf
			continue
		}
		logits[e.id] = edited(v, float64(v)+float64(e.bias))
	}
}

// edited is the new value of a logit. What is not finite stays, so that a mask holds and an error is found; what was finite
// stays finite, so that a large bias or penalty is not taken for a bad logit.
func edited(was float32, now float64) float32 {
	if !isFinite(was) {
		return was
	}
	return float32(max(-math.MaxFloat32, min(math.MaxFloat32, now)))
}

func isFinite(v float32) bool { return within(v, -math.MaxFloat32, math.MaxFloat32) }
