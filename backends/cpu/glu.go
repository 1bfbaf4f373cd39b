package cpu

import (
	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.GLU{}, func(c *compiler) {
		op := c.node.Op.(tensor.GLU)
		grain := costly
		if !op.OAI {
			grain = gates[op.Act].grain
		}
		c.binary(grain, c.u.gateOf(op), nil)
	}, func(n *tensor.Tensor) string {
		if f := n.Op.(tensor.GLU).Act; int(f) >= len(gates) || gates[f].each == nil {
			return "there is no kernel for gates by " + f.String()
		}
		return ""
	})
}

// gateOf returns what a GLU makes of both its sources.
func (u *units) gateOf(op tensor.GLU) func(dst, g, up []float32) {
	if op.OAI {
		return swigluOAI(op.Alpha, op.Limit)
	}
	return u.gates[op.Act]
}

// gate is how a GLU's activation is computed and multiplied; dst may be g.
type gate struct {
	grain int
	each  func(dst, g, up []float32)
}

var gates = [...]gate{
	tensor.ReLU: {cheap, func(dst, g, up []float32) {
		up = up[:len(dst)]
		for i, v := range g[:len(dst)] {
			dst[i] = max(v, 0) * up[i]
		}
	}},
	tensor.SiLU: {costly, func(dst, g, up []float32) {
		up = up[:len(dst)]
		for i, v := range g[:len(dst)] {
			dst[i] = v / (1 + expf(-v)) * up[i]
		}
	}},
	tensor.GELU: {costly, func(dst, g, up []float32) {
		up = up[:len(dst)]
		for i, v := range g[:len(dst)] {
			dst[i] = v / (1 + expf(gelu(v))) * up[i]
		}
	}},
	tensor.GELUQuick: {costly, func(dst, g, up []float32) {
		up = up[:len(dst)]
		for i, v := range g[:len(dst)] {
			dst[i] = v / (1 + expf(-1.702*v)) * up[i]
		}
	}},
	tensor.GELUErf: {costly, func(dst, g, up []float32) {
		up = up[:len(dst)]
		for i, v := range g[:len(dst)] {
			dst[i] = float32(geluErf(float64(v))) * up[i]
		}
	}},
}

// swigluOAI is the OAI form of a gated linear unit.
func swigluOAI(alpha, limit float32) func(dst, g, up []float32) {
	return func(dst, g, up []float32) {
		up = up[:len(dst)]
		for i, v := range g[:len(dst)] {
			v = min(v, limit)
			u := min(max(up[i], -limit), limit)
			dst[i] = v / (1 + expf(-alpha*v)) * (u + 1)
		}
	}
}

// gating is what a level's gates are given: n times eight numbers.
type gating struct {
	dst, gate, up *float32
	n             int
}

// byEights makes a gate of one that takes eights: each number has the same bits wherever it stands.
func byEights(f func(p *gating)) func(dst, g, up []float32) {
	return func(dst, g, up []float32) {
		n := len(dst) / 8
		if n > 0 {
			_, _ = g[8*n-1], up[8*n-1]
			f(&gating{&dst[0], &g[0], &up[0], n})
		}
		if rest := dst[8*n:]; len(rest) > 0 {
			var a, b, out [8]float32
			copy(a[:], g[8*n:len(dst)])
			copy(b[:], up[8*n:len(dst)])
			f(&gating{&out[0], &a[0], &b[0], 1})
			copy(rest, out[:])
		}
	}
}
