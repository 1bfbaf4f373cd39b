//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import "github.com/tenon-go/tenon/tensor"

// Products of one factor, such as query, key and value, are one launch: each by itself may be too small to busy a card. Nodes come one by one, so
// that a product takes the launches of those before it away and makes one of them all.

// joined are the products that the last steps compute, if more of the same factor may join them.
type joined struct {
	parts  []*product
	kernel string
	x      factor
	vec    vecLaunch // if it is that

	step, steps int // the number of the last step, from 1 on, and how many there are
}

// maxParts is MAX_PARTS of parts.h.
const maxParts = 3

// parts adds MAX_PARTS of parts.h: add adds one that is there.
func (p *push) parts(all []*product, add func(i int, q *product)) {
	for i := range maxParts {
		if i < len(all) {
			add(i, all[i])
		} else {
			p.u64(0, 0, 0).i(0, 0)
		}
	}
}

// join returns the products that the last steps compute, if p can join them.
func (r *recorder) join(p *product, kernel string, x factor) ([]*product, error) {
	j := &r.joined
	if j.step != len(r.steps) || j.step == 0 || j.kernel != kernel || j.x != x || len(j.parts) == maxParts || p.ids != nil || p.a2 != nil {
		return nil, nil
	}
	to, err := r.spanOf(p.n)
	if err != nil {
		return nil, err
	}
	added, err := r.spanOf(p.addend)
	if err != nil {
		return nil, err
	}
	for _, q := range j.parts {
		if q.a.Type != p.a.Type || q.a.Stride[1] != p.a.Stride[1] || addStepOf(q.addend) != addStepOf(p.addend) {
			return nil, nil
		}
		dst, err := r.spanOf(q.n)
		if err != nil {
			return nil, err
		}
		add, err := r.spanOf(q.addend)
		if err != nil {
			return nil, err
		}
		if to.Meets(dst) || to.Meets(add) || added.Meets(dst) { // one of them must come first
			return nil, nil
		}
	}
	return j.parts, nil
}

// joining makes the launches of j, whose last part is p, in place of those of the others.
func (r *recorder) joining(p *product, j joined, launch func() error) error {
	before, err := len(r.steps), error(nil)
	if len(j.parts) > 1 {
		before -= r.joined.steps
		err = r.instead(r.joined.steps, p.n, launch)
	} else {
		err = launch()
	}
	r.joined = joined{}
	if err == nil && p.ids == nil && p.a2 == nil {
		j.step, j.steps = len(r.steps), len(r.steps)-before
		r.joined = j
	}
	return err
}

// spanOf returns where t lies, nowhere if it is absent.
func (r *recorder) spanOf(t *tensor.Tensor) (span, error) {
	a, err := r.address(t)
	if a == 0 || err != nil {
		return span{}, err
	}
	return span{Lo: a, Hi: a + uint64(t.Bytes())}, nil
}

// rowsOf returns how many rows of first factors products have.
func rowsOf(parts []*product) int {
	rows := 0
	for _, q := range parts {
		rows += q.n.Shape[0]
	}
	return rows
}

// addStepOf is how many bytes lie from what is added to a row of b to the next, 0 for a bias.
func addStepOf(t *tensor.Tensor) int {
	if t == nil || t.Shape[1] == 1 {
		return 0
	}
	return t.Stride[1]
}
