package card

import "github.com/tenon-go/tenon/tensor"

// Span is a range of addresses.
type Span struct{ Lo, Hi uint64 }

// Meets reports whether two spans have an address in common.
func (a Span) Meets(b Span) bool { return a.Lo < b.Hi && b.Lo < a.Hi }

// Meet reports whether one of as meets one of bs.
func Meet(as, bs []Span) bool {
	for _, a := range as {
		for _, b := range bs {
			if a.Meets(b) {
				return true
			}
		}
	}
	return false
}

// Area is a piece of a program's scratch memory: it holds nothing from one submit to the next.
type Area struct{ At, Size int64 }

// Align is where areas begin, as tensors do.
const Align = 256

// Scratch is the scratch memory of a program that is being recorded. Launches are recorded in the order in which they see memory, so that what none of
// the later ones reads is used again.
//
// What a product makes of its second factor first, rounded or converted, is kept there for other products of it: until the factor is written to, or
// others have come after it. So may be what is made of indices.
type Scratch struct {
	Size  int64 // how much is needed
	spare []Area
	kept  []kept
}

// Form is what was made of a tensor.
type Form uint8

// The forms.
const (
	Rounded Form = iota // F32 to blocks of 32 bytes with scales
	Halved              // rows of halves
	Brained             // rows of BF16
	Last                // of indices: which of equal ones is the last
)

// Key says of what a form was made.
type Key struct {
	form  Form
	typ   tensor.DType
	at    uint64
	shape tensor.Shape
	step  tensor.Strides
}

// KeyOf returns the key of a form of t, whose address is at.
func KeyOf(form Form, at uint64, t *tensor.Tensor) Key {
	if form == Rounded && t.Contiguous() {
		return Key{form, t.Type, at, tensor.MakeShape(t.Shape.Elems()), tensor.Strides{}} // rows do not matter
	}
	return Key{form, t.Type, at, t.Shape, t.Stride}
}

type kept struct {
	key Key
	src Span
	at  Area
}

// maxKept is how many forms of factors are kept at most: those of products that are near each other.
const maxKept = 3

// New returns an area that nothing has used.
func (s *Scratch) New(size int64) Area {
	a := Area{s.Size, size}
	s.Size += (size + Align - 1) &^ (Align - 1)
	return a
}

// Take returns the smallest free area that is large enough, or a new one.
func (s *Scratch) Take(size int64) Area {
	best := -1
	for i, a := range s.spare {
		if a.Size >= size && (best < 0 || a.Size < s.spare[best].Size) {
			best = i
		}
	}
	if best < 0 {
		return s.New(size)
	}
	a := s.spare[best]
	s.spare = append(s.spare[:best], s.spare[best+1:]...)
	return a
}

// Free gives areas back, which no launch reads from here on.
func (s *Scratch) Free(areas ...Area) { s.spare = append(s.spare, areas...) }

// Find returns where a form is kept.
func (s *Scratch) Find(key Key) (Area, bool) {
	for _, k := range s.kept {
		if k.key == key {
			return k.at, true
		}
	}
	return Area{}, false
}

// Keep keeps a form at an area, which is given back when src is written to or it was the last to be wanted.
func (s *Scratch) Keep(key Key, src Span, at Area) {
	factors, oldest := 0, 0
	for i := len(s.kept) - 1; i >= 0; i-- {
		if s.kept[i].key.form != Last {
			factors, oldest = factors+1, i
		}
	}
	if factors >= maxKept {
		s.drop(oldest)
	}
	s.kept = append(s.kept, kept{key, src, at})
}

func (s *Scratch) drop(i int) {
	s.Free(s.kept[i].at)
	s.kept = append(s.kept[:i], s.kept[i+1:]...)
}

// Overwritten forgets what was made of memory that is written now.
func (s *Scratch) Overwritten(writes []Span) {
	for i := len(s.kept) - 1; i >= 0; i-- {
		if Meet(writes, []Span{s.kept[i].src}) {
			s.drop(i)
		}
	}
}
