//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

type (
	area = card.Area
	span = card.Span
)

// keep returns scratch memory of size bytes that holds t in a form, and fills it by calling fill if it does not yet.
func (r *recorder) keep(form card.Form, t *tensor.Tensor, size int64, fill func(to area) error) (area, error) {
	a, err := r.address(t)
	if err != nil {
		return area{}, err
	}
	key := card.KeyOf(form, a, t)
	if at, ok := r.scratch.Find(key); ok {
		return at, nil
	}
	to := r.scratch.Take(size)
	if err := fill(to); err != nil {
		return area{}, err
	}
	r.scratch.Keep(key, span{Lo: a, Hi: a + uint64(t.Bytes())}, to)
	return to, nil
}

// rounding is where a kernel stores its result a second time, rounded for products of it: nil if it does not.
type rounding struct {
	t  *tensor.Tensor
	at area
}

// roundTo adds the addresses of bytes and scales for t to p, zeros if nobody will want them.
func (r *recorder) roundTo(p *push, t *tensor.Tensor) *rounding {
	elems := t.Shape.Elems()
	if !r.s.dev.integers() || t.Type != tensor.F32 || !t.Contiguous() || t.Shape[0]%32 != 0 || elems > maxRounded {
		p.u64(0).u64(0)
		return nil
	}
	x := &rounding{t, r.scratch.Take(int64(elems) + int64(elems)/2)}
	p.outArea(x.at).inAreaAt(x.at, int64(elems))
	return x
}

// maxRounded is how many elements of a result are rounded in case they are wanted: those of a few tokens.
const maxRounded = 1 << 17

// done notes that the kernel is recorded.
func (x *rounding) done(r *recorder) {
	if x == nil {
		return
	}
	a, err := r.address(x.t)
	if err != nil {
		return // it was recorded, so there is one
	}
	r.scratch.Keep(card.KeyOf(card.Rounded, a, x.t), span{Lo: a, Hi: a + uint64(x.t.Bytes())}, x.at)
}
