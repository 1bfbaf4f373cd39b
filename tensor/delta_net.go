package tensor

import "math/bits"

// GatedDeltaNet is the recurrence of linear attention with a decay and the delta rule. Each head of a
// sequence has a matrix S of dv rows of dk, which token after token forgets a little and corrects what
// it says for the key:
//
//	S *= exp(g)    S += beta * (v - S·k) ⊗ k    out = S·q / sqrt(dk)
//
// Heads share queries and keys: head h has those of head h mod nHeadK. g is one number for each head, or
// one for each element of the key.
//
//	q, k F32 [dk, nHeadK, nTok, nSeq]    v F32 [dv, nHead, nTok, nSeq]    g F32 [1 or dk, nHead, nTok, nSeq]
//	beta F32 [1, nHead, nTok, nSeq]      state F32 [dk, dv, nHead, nSeq]
//	dst  F32 [dv*nHead, nTok*nSeq + States*dk*nSeq]
//
// The result's first nTok*nSeq rows are the output; the matrices after each of the last States tokens
// follow, [dk, dv, nHead, nSeq] for each, the latest first. So the op has one result and writes nothing
// else: a backend's kernel is a pure function, and where states go is SetRows' concern, as it is for keys
// and values. Builder.GatedDeltaNet returns both parts as views.
//
// Errors: ErrShape if the sizes do not fit together, or States is not 1 to nTok. Source:
// arXiv:2412.06464.
type GatedDeltaNet struct{ States int }

var kindGatedDeltaNet = newKind("GatedDeltaNet")

func (GatedDeltaNet) Kind() Kind { return kindGatedDeltaNet }

// Infer implements Op.
func (op GatedDeltaNet) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 6, 6); err != nil {
		return 0, Shape{}, err
	}
	if err := wantF32(src...); err != nil {
		return 0, Shape{}, err
	}
	q, k, v, g, beta, state := src[0], src[1], src[2], src[3], src[4], src[5]
	dk, headsK, dv, heads, tokens, seqs := k.Shape[0], k.Shape[1], v.Shape[0], v.Shape[1], v.Shape[2], v.Shape[3]
	switch {
	case q.Shape != k.Shape:
		return 0, Shape{}, shapeErr("q is %v, k is %v", q.Shape, k.Shape)
	case dk < 1 || dv < 1 || headsK < 1 || heads%headsK != 0:
		return 0, Shape{}, shapeErr("%d heads of %d cannot share %d of %d", heads, dv, headsK, dk)
	case k.Shape[2] != tokens || k.Shape[3] != seqs:
		return 0, Shape{}, shapeErr("k is %v, v is %v", k.Shape, v.Shape)
	case g.Shape != (Shape{1, heads, tokens, seqs}) && g.Shape != (Shape{dk, heads, tokens, seqs}):
		return 0, Shape{}, shapeErr("g is %v, want [1 or %d, %d %d %d]", g.Shape, dk, heads, tokens, seqs)
	case beta.Shape != (Shape{1, heads, tokens, seqs}):
		return 0, Shape{}, shapeErr("beta is %v, want [1 %d %d %d]", beta.Shape, heads, tokens, seqs)
	case state.Shape != (Shape{dk, dv, heads, seqs}):
		return 0, Shape{}, shapeErr("the state is %v, want [%d %d %d %d]", state.Shape, dk, dv, heads, seqs)
	case op.States < 1 || op.States > tokens:
		return 0, Shape{}, shapeErr("%d states of %d tokens", op.States, tokens)
	}
	// States is not read from a tensor, so that nothing else bounds the product.
	hi, rows := bits.Mul64(uint64(op.States), uint64(dk*seqs))
	if hi != 0 || rows > 1<<59 {
		return 0, Shape{}, shapeErr("%d states of %v", op.States, state.Shape)
	}
	return F32, MakeShape(dv*heads, tokens*seqs+int(rows)), nil
}

// GatedDeltaNet returns the output [dv, nHead, nTok, nSeq] and the matrices after the last states tokens,
// the latest first: [dk*dv*nHead, nSeq*states], a row for each sequence. See type GatedDeltaNet.
func (b *Builder) GatedDeltaNet(q, k, v, g, beta, state *Tensor, states int) (out, after *Tensor) {
	both := b.Apply(GatedDeltaNet{states}, q, k, v, g, beta, state)
	if b.err != nil {
		return b.bad, b.bad
	}
	s := v.Shape
	n := s[2] * s[3]
	out = b.Reshape(b.Slice(both, 1, 0, n), s[:]...)
	after = b.Reshape(b.Slice(both, 1, n, both.Shape[1]), state.Shape[0]*state.Shape[1]*state.Shape[2], s[3]*states)
	return out, after
}
