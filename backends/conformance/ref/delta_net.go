package ref

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// deltaNet runs the recurrence head by head: the matrix forgets, then learns the token's pair of key and
// value, then answers its query.
func deltaNet(op tensor.GatedDeltaNet, n *tensor.Tensor, src []Value) Value {
	q, k, v, g, beta, state := &src[0], &src[1], &src[2], &src[3], &src[4], &src[5]
	out := newValue(n.Type, n.Shape).withMag()
	dk, headsK, dv, heads, tokens, seqs := k.Shape[0], k.Shape[1], v.Shape[0], v.Shape[1], v.Shape[2], v.Shape[3]
	out.Terms = dk
	outputs := dv * heads * tokens * seqs
	for seq := range seqs {
		for h := range heads {
			m := make([]float64, dk*dv)
			copy(m, state.F[(seq*heads+h)*dk*dv:])
			for t := range tokens {
				key := k.row(h%headsK + headsK*(t+tokens*seq))
				query := q.row(h%headsK + headsK*(t+tokens*seq))
				r := h + heads*(t+tokens*seq)
				for j := range dv {
					row := m[j*dk : (j+1)*dk]
					learn(row, key, g.row(r), beta.row(r)[0], v.row(r)[j])
					sum, mag := dot(row, query)
					out.F[r*dv+j], out.Mag[r*dv+j] = sum/math.Sqrt(float64(dk)), mag/math.Sqrt(float64(dk))
				}
				if back := tokens - 1 - t; back < op.States {
					to := outputs + ((back*seqs+seq)*heads+h)*dk*dv
					copy(out.F[to:], m)
					size := rootMeanSquare(m)
					for i := range m {
						out.Mag[to+i] = size
					}
				}
			}
		}
	}
	return out
}

// learn takes one row of the matrix over a token: row *= exp(g), row += beta * (v - row·key) * key.
func learn(row, key, g []float64, beta, v float64) {
	for i := range row {
		row[i] *= math.Exp(g[i%len(g)])
	}
	says, _ := dot(row, key)
	for i, k := range key {
		row[i] += beta * (v - says) * k
	}
}

func rootMeanSquare(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
}
