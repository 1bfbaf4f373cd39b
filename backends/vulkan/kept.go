//go:build cgo && linux && (amd64 || arm64)

package vulkan

import "github.com/tenon-go/tenon/tensor"

// What a product makes of its second factor first, rounded or converted, is kept for other products of it:
// until the factor is written to, or others have come after it.

// keptForm is what was made.
type keptForm uint8

const (
	formQ8  keptForm = iota // blocks of 32, by quantize_x
	formF16                 // rows of halves, by halve_x
)

type keptKey struct {
	form  keptForm
	at    uint64
	shape tensor.Shape
	step  tensor.Strides
}

type kept struct {
	key keptKey
	src span
	at  area
}

// maxKept is how many are kept at most: the factors of products that run at the same time.
const maxKept = 3

// keep returns scratch memory of size bytes that holds t in a form, and fills it by calling fill if it does not yet.
func (r *recorder) keep(form keptForm, t *tensor.Tensor, size int64, fill func(to area) error) (area, error) {
	a, err := r.address(t)
	if err != nil {
		return area{}, err
	}
	key := keptKey{form, a, t.Shape, t.Stride}
	for _, k := range r.kept {
		if k.key == key {
			return k.at, nil
		}
	}
	if len(r.kept) >= maxKept {
		r.drop(0)
	}
	at := r.spareArea(size)
	if err := fill(at); err != nil {
		return area{}, err
	}
	r.kept = append(r.kept, kept{key, span{a, a + uint64(t.Bytes())}, at})
	return at, nil
}

func (r *recorder) drop(i int) {
	r.spare = append(r.spare, r.kept[i].at)
	r.kept = append(r.kept[:i], r.kept[i+1:]...)
}

// overwritten forgets what was made of memory that is written now.
func (r *recorder) overwritten(writes []span) {
	for i := len(r.kept) - 1; i >= 0; i-- {
		if meet(writes, []span{r.kept[i].src}) {
			r.drop(i)
		}
	}
}

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
