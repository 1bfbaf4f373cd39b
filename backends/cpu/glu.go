package cpu

import "github.com/tenon-go/tenon/tensor"

func init() {
	register(tensor.GLU{}, func(c *compiler) {
		op := c.node.Op.(tensor.GLU)
		if op.OAI {
			c.binary(costly, swigluOAI(op.Alpha, op.Limit), nil)
			return
		}
		f := gates[op.Act]
		c.binary(f.grain, f.each, nil)
	}, func(n *tensor.Tensor) string {
		if f := n.Op.(tensor.GLU).Act; int(f) >= len(gates) || gates[f].each == nil {
			return "there is no kernel for gates by " + f.String()
		}
		return ""
	})
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
