//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import "github.com/tenon-go/tenon/tensor"

// What a product makes of its second factor first, rounded or converted, is kept for other products of it: until the factor is
// written to, or others have come after it. So is what SetRows makes of indices, by which all layers store.

// keptForm is what was made.
type keptForm uint8

const (
	formQ8   keptForm = iota // blocks of 32, by round_rows
	formF16                  // rows of halves, by halve_rows
	formBF16                 // rows of BF16, by halve_rows
	formLast                 // of indices, by set_rows_last
)

type keptKey struct {
	form  keptForm
	typ   tensor.DType
	at    uint64
	shape tensor.Shape
	step  tensor.Strides
}

type kept struct {
	key keptKey
	src span
	at  area
}

func keyOf(form keptForm, at uint64, t *tensor.Tensor) keptKey {
	if form == formQ8 && t.Contiguous() {
		return keptKey{form, t.Type, at, tensor.MakeShape(t.Shape.Elems()), tensor.Strides{}} // rows do not matter
	}
	return keptKey{form, t.Type, at, t.Shape, t.Stride}
}

// maxKept is how many are kept at most: the factors of products that are near each other.
const maxKept = 3

// keep returns scratch memory of size bytes that holds t in a form, and fills it by calling fill if it does not yet.
func (r *recorder) keep(form keptForm, t *tensor.Tensor, size int64, fill func(to area) error) (area, error) {
	a, err := r.address(t)
	if err != nil {
		return area{}, err
	}
	key := keyOf(form, a, t)
	for _, k := range r.kept {
		if k.key == key {
			return k.at, nil
		}
	}
	to := r.spareArea(size)
	if err := fill(to); err != nil {
		return area{}, err
	}
	r.keepAt(key, a, t, to)
	return to, nil
}

func (r *recorder) keepAt(key keptKey, at uint64, t *tensor.Tensor, to area) {
	factors, oldest := 0, 0
	for i := len(r.kept) - 1; i >= 0; i-- {
		if r.kept[i].key.form != formLast {
			factors, oldest = factors+1, i
		}
	}
	if factors >= maxKept {
		r.drop(oldest)
	}
	r.kept = append(r.kept, kept{key, span{at, at + uint64(t.Bytes())}, to})
}

// rounding is where a kernel stores its result a second time, rounded for products of it: nil if it does not.
type rounding struct {
	t  *tensor.Tensor
	at area
}

// maxRounded is how many elements of a result are rounded in case they are wanted: those of a few tokens.
const maxRounded = 1 << 17

// roundTo adds the addresses of bytes and scales for t to p, zeros if nobody will want them.
func (r *recorder) roundTo(p *push, t *tensor.Tensor) *rounding {
	elems := t.Shape.Elems()
	if t.Type != tensor.F32 || !t.Contiguous() || t.Shape[0]%32 != 0 || elems > maxRounded {
		p.u64(0).u64(0)
		return nil
	}
	x := &rounding{t, r.spareArea(int64(elems) + int64(elems)/2)}
	p.outArea(x.at).outAreaAt(x.at, int64(elems))
	return x
}

// done notes that the kernel is recorded.
func (x *rounding) done(r *recorder) {
	if x == nil {
		return
	}
	a, err := r.address(x.t)
	if err != nil {
		return // it was recorded, so there is one
	}
	r.keepAt(keyOf(formQ8, a, x.t), a, x.t, x.at)
}

// drop forgets one. Its memory may be used again at once: launches run in order.
func (r *recorder) drop(i int) {
	r.spare = append(r.spare, r.kept[i].at)
	r.kept = append(r.kept[:i], r.kept[i+1:]...)
}

// overwritten forgets what was made of memory that is written now.
func (r *recorder) overwritten(writes []span) {
	for i := len(r.kept) - 1; i >= 0; i-- {
		for _, w := range writes {
			if w.meets(r.kept[i].src) {
				r.drop(i)
				break
			}
		}
	}
}

// span is a range of addresses.
type span struct{ lo, hi uint64 }

func (a span) meets(b span) bool { return a.lo < b.hi && b.lo < a.hi }

// spareArea returns scratch memory that is no longer needed, the smallest that is large enough, or new.
func (r *recorder) spareArea(size int64) area {
	best := -1
	for i, a := range r.spare {
		if a.size >= size && (best < 0 || a.size < r.spare[best].size) {
			best = i
		}
	}
	if best < 0 {
		return r.area(size)
	}
	a := r.spare[best]
	r.spare = append(r.spare[:best], r.spare[best+1:]...)
	return a
}
