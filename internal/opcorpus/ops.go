package opcorpus

import "github.com/tenon-go/tenon/tensor"

// Limit is what the corpus allows the normalized squared error to be.
type Limit struct {
	What string // is compared
	NMSE float64
}

var (
	equal      = Limit{"moved", 0}
	arithmetic = Limit{"arithmetic", 1e-10}
	gelu16     = Limit{"GELU", 1e-6} // the peer looks it up in a table of halves
	angles     = Limit{"RoPE", 1e-6} // the peer sums angles up in float32
	product    = Limit{"product", 1e-9}
)

var unaryOps = map[string]tensor.Func{
	"abs": tensor.Abs, "sgn": tensor.Sgn, "neg": tensor.Neg, "step": tensor.Step, "tanh": tensor.Tanh, "elu": tensor.ELU,
	"relu": tensor.ReLU, "sigmoid": tensor.Sigmoid, "gelu": tensor.GELU, "gelu_quick": tensor.GELUQuick,
	"gelu_erf": tensor.GELUErf, "silu": tensor.SiLU, "hardswish": tensor.HardSwish, "hardsigmoid": tensor.HardSigmoid,
	"exp": tensor.Exp, "expm1": tensor.Expm1, "softplus": tensor.Softplus, "floor": tensor.Floor, "ceil": tensor.Ceil,
	"round": tensor.Round, "trunc": tensor.Trunc, "sqr": tensor.Sqr, "sqrt": tensor.Sqrt, "log": tensor.Log,
	"sin": tensor.Sin, "cos": tensor.Cos,
}

var gluOps = map[string]tensor.GLU{
	"reglu":       {Act: tensor.ReLU},
	"geglu":       {Act: tensor.GELU},
	"geglu_erf":   {Act: tensor.GELUErf},
	"geglu_quick": {Act: tensor.GELUQuick},
	"swiglu":      {Act: tensor.SiLU},
	"swiglu_oai":  {Act: tensor.SiLU, OAI: true},
}

var ropeModes = map[any]tensor.RoPEMode{
	0.: tensor.RoPENormal, 2.: tensor.RoPENeoX, 8.: tensor.RoPEMulti, 24.: tensor.RoPEVision, 40.: tensor.RoPEIMulti,
}

// build returns what the case computes in terms of our ops, or nil if there are none for it.
func (k *builder) build() []Result {
	p, a, b := &k.c.Params, k.in("a"), k.in("b")
	one := func(t *tensor.Tensor, l Limit) []Result { return []Result{{T: t, Limit: l}} }
	if f, ok := unaryOps[k.c.Op]; ok {
		return one(k.Unary(f, a), unaryLimit(f))
	}
	if op, ok := gluOps[k.c.Op]; ok {
		return one(k.glu(op, a, b), unaryLimit(op.Act))
	}
	switch k.c.Op {
	case "add":
		return one(k.Add(a, b), arithmetic)
	case "sub":
		return one(k.Sub(a, b), arithmetic)
	case "mul":
		return one(k.Mul(a, b), arithmetic)
	case "div":
		return one(k.Div(a, b), arithmetic)
	case "add_id":
		return one(k.AddID(a, b, k.in("ids")), arithmetic)
	case "scale":
		return one(k.Apply(tensor.Scale{Scale: p.Scale, Bias: p.Bias}, a), arithmetic)
	case "clamp":
		return one(k.Clamp(a, p.Min, p.Max), equal)
	case "rms_norm":
		return one(k.RMSNorm(a, p.Eps), arithmetic)
	case "norm":
		return one(k.LayerNorm(a, p.Eps), arithmetic)
	case "l2_norm":
		return one(k.L2Norm(a, p.Eps), arithmetic)
	case "group_norm":
		s := a.Shape
		groups := k.Reshape(a, s[0]*s[1]*s[2]/p.Groups, p.Groups, s[3])
		return one(k.Reshape(k.LayerNorm(groups, p.Eps), s[:]...), arithmetic)
	case "sum_rows":
		return one(k.SumRows(a), arithmetic)
	case "mean":
		return one(k.Scale(k.SumRows(a), 1/float32(a.Shape[0])), arithmetic)
	case "sum":
		return one(k.SumRows(k.Reshape(a, a.Shape.Elems())), arithmetic)
	case "soft_max_ext":
		return one(k.Apply(tensor.SoftMax{Scale: p.Scale, MaxBias: p.MaxBias}, a, k.in("mask"), k.in("sinks")), arithmetic)
	case "ssm_conv":
		return one(k.SSMConv(k.in("sx"), k.in("c")), arithmetic)
	case "gated_delta_net":
		op := tensor.GatedDeltaNet{States: p.States}
		return one(k.Apply(op, k.in("q"), k.in("k"), k.in("v"), k.in("g"), k.in("beta"), k.in("state")), arithmetic)
	case "rope":
		return one(k.Apply(k.rope(), a, k.in("pos"), k.in("freq_factors")), angles)
	}
	if r := k.moves(a, b); r != nil {
		return r
	}
	return k.products(a, b)
}

// moves returns what a case that moves or orders data computes, or nil.
func (k *builder) moves(a, b *tensor.Tensor) []Result {
	p := &k.c.Params
	switch k.c.Op {
	case "cpy", "dup", "cont":
		info, ok := k.f.Tensor(k.c.Output.Tensor)
		if !ok {
			k.fail("the file has no tensor %s", k.c.Output.Tensor)
			return nil
		}
		return []Result{{T: k.Cast(a, info.Type), Limit: equal}}
	case "concat":
		return []Result{{T: k.Concat(a, b, p.Dim), Limit: equal}}
	case "repeat":
		return []Result{{T: k.Repeat(a, p.Ne...), Limit: equal}}
	case "get_rows":
		return []Result{{T: k.GetRows(a, k.in("ids")), Limit: equal}}
	case "set_rows":
		return []Result{{T: k.SetRows(k.in("dst"), k.in("src"), k.in("ids")), Limit: equal}}
	case "argsort":
		return []Result{{T: k.Apply(tensor.ArgSort{Descending: p.Order == "desc"}, a), Limit: equal}}
	case "argsort_top_k":
		return []Result{{T: k.TopK(a, p.K), Limit: equal}}
	case "top_k":
		return []Result{{T: k.TopK(a, p.K), Limit: equal, Set: true}}
	case "argmax":
		return []Result{{T: k.ArgMax(a), Limit: equal}}
	}
	return nil
}

// products returns what a matrix product or attention computes, or nil. The reference is the product of
// the decoded factors; what may round a factor first has to come as near to it as the peer.
func (k *builder) products(a, b *tensor.Tensor) []Result {
	l := product
	if k.c.Reference == "" {
		l = Limit{"product, beside the peer's", 1e-6} // which rounds b to halves
	}
	rounded := Limit{"product of rounded factors", max(4*k.c.NMSE, l.NMSE)}
	switch k.c.Op {
	case "mul_mat":
		return []Result{{T: k.MatMulExact(a, b), Limit: l}, {T: k.MatMul(a, b), Limit: rounded}}
	case "mul_mat_id":
		ids := k.in("ids")
		return []Result{
			{T: k.Apply(tensor.MatMulID{Exact: true}, a, b, ids), Limit: l},
			{T: k.MatMulID(a, b, ids), Limit: rounded},
		}
	case "flash_attn_ext":
		p := &k.c.Params
		op := tensor.FlashAttn{Scale: p.Scale, MaxBias: p.MaxBias, SoftCap: p.SoftCap}
		heads := func(x *tensor.Tensor) *tensor.Tensor { return k.Permute(x, 0, 2, 1, 3) } // ggml has rows before heads
		return []Result{{
			T:     k.FlashAttn(op, heads(k.in("q")), heads(k.in("k")), heads(k.in("v")), k.in("mask"), k.in("sinks")),
			Limit: l,
		}}
	}
	return nil
}

func unaryLimit(f tensor.Func) Limit {
	switch f {
	case tensor.GELU, tensor.GELUQuick, tensor.GELUErf:
		return gelu16
	}
	return arithmetic
}

// glu splits one tensor into its halves where the case does.
func (k *builder) glu(op tensor.GLU, a, b *tensor.Tensor) *tensor.Tensor {
	op.Alpha, op.Limit = k.c.Params.Alpha, k.c.Params.Limit
	if b == nil {
		n := a.Shape[0] / 2
		a, b = k.Slice(a, 0, 0, n), k.Slice(a, 0, n, 2*n)
		if k.c.Params.Swapped {
			a, b = b, a
		}
	}
	return k.Apply(op, a, b)
}

func (k *builder) rope() tensor.RoPE {
	p := &k.c.Params
	mode, ok := ropeModes[p.Mode]
	if !ok {
		k.fail("no mode %v of RoPE", p.Mode)
	}
	return tensor.RoPE{
		Dims: p.Dims, Mode: mode, Base: p.FreqBase, Scale: p.FreqScale, Sections: p.Sections,
		YaRN: tensor.YaRN{
			ExtFactor: p.ExtFactor, AttnFactor: p.AttnFactor, BetaFast: p.BetaFast, BetaSlow: p.BetaSlow, OrigCtx: p.OrigCtx,
		},
	}
}
