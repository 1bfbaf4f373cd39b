package card

import (
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// node builds one node, or fails.
func node(t *testing.T, build func(b *tensor.Builder) *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	var b tensor.Builder
	n := build(&b)
	if _, err := b.Build(n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What is refused has a reason that names what is wrong, and the like of it that kernels take has none.
func TestRefuses(t *testing.T) {
	s := tensor.MakeShape
	for name, tc := range map[string]struct {
		build func(b *tensor.Builder) *tensor.Tensor
		why   string
	}{
		"floats": {func(b *tensor.Builder) *tensor.Tensor {
			return b.Add(b.Input("x", tensor.F32, s(8)), b.Input("y", tensor.F16, s(8)))
		}, ""},
		"weights": {func(b *tensor.Builder) *tensor.Tensor {
			return b.MatMul(b.Input("w", tensor.Q4_K, s(256, 8)), b.Input("x", tensor.F32, s(256)))
		}, ""},
		"weights that no kernel decodes": {func(b *tensor.Builder) *tensor.Tensor {
			return b.MatMul(b.Input("w", tensor.IQ1_S, s(256, 8)), b.Input("x", tensor.F32, s(256)))
		}, "w is IQ1_S"},
		"rows of them": {func(b *tensor.Builder) *tensor.Tensor {
			return b.GetRows(b.Input("w", tensor.IQ1_S, s(256, 8)), b.Input("i", tensor.I32, s(2)))
		}, "rows are IQ1_S"},
		"a head": {func(b *tensor.Builder) *tensor.Tensor {
			q, k := b.Input("q", tensor.F32, s(1024, 2, 1)), b.Input("k", tensor.F16, s(1024, 2, 32))
			return b.FlashAttn(tensor.FlashAttn{Scale: 1}, q, k, k, nil, nil)
		}, ""},
		"a head too large": {func(b *tensor.Builder) *tensor.Tensor {
			q, k := b.Input("q", tensor.F32, s(1056, 2, 1)), b.Input("k", tensor.F16, s(1056, 2, 32))
			return b.FlashAttn(tensor.FlashAttn{Scale: 1}, q, k, k, nil, nil)
		}, "heads of 1056"},
		"too many elements": {func(b *tensor.Builder) *tensor.Tensor {
			return b.Scale(b.Input("x", tensor.F32, s(1<<16, 1<<16)), 2)
		}, "2^32 elements"},
	} {
		t.Run(name, func(t *testing.T) {
			why := Refuses(node(t, tc.build))
			if tc.why == "" && why != "" || !strings.Contains(why, tc.why) {
				t.Errorf("%q, want %q", why, tc.why)
			}
		})
	}
}

func TestRefusesFusion(t *testing.T) {
	s := tensor.MakeShape
	group := func(w tensor.Shape) []*tensor.Tensor {
		var b tensor.Builder
		norm := b.RMSNorm(b.Input("x", tensor.F32, s(48, 3)), 1e-6)
		mul := b.Mul(norm, b.Input("w", tensor.F32, w))
		if _, err := b.Build(mul); err != nil {
			t.Fatal(err)
		}
		return []*tensor.Tensor{norm, mul}
	}
	for _, tc := range []struct {
		w       tensor.Shape
		refused bool
	}{{s(48), false}, {s(48, 3), false}, {s(1), false}, {s(16), true}} {
		if why := RefusesFusion(backends.RMSNormMul, group(tc.w)); (why != "") != tc.refused {
			t.Errorf("a gain of %v: %q", tc.w, why)
		}
	}
}

// A product costs with its length, and a larger one more.
func TestCost(t *testing.T) {
	s := tensor.MakeShape
	product := func(k, m int) float64 {
		return Cost(node(t, func(b *tensor.Builder) *tensor.Tensor {
			return b.MatMul(b.Input("w", tensor.F32, s(k, m)), b.Input("x", tensor.F32, s(k, 4)))
		}))
	}
	if a, b := product(64, 32), product(128, 32); b <= a {
		t.Errorf("rows of 64 cost %v, of 128 %v", a, b)
	}
	if a, b := product(64, 32), product(64, 64); b != 2*a {
		t.Errorf("32 rows cost %v, 64 %v", a, b)
	}
}

// Scratch memory is used again as soon as nobody wants what is there: the last few factors are, until they are written to.
func TestScratch(t *testing.T) {
	var s Scratch
	key := func(i int) Key { return Key{form: Rounded, at: uint64(1000 * i)} }
	src := func(i int) Span { return Span{uint64(1000 * i), uint64(1000*i + 100)} }
	put := func(i int) Area {
		a := s.Take(300)
		s.Keep(key(i), src(i), a)
		return a
	}
	first := put(1)
	s.Keep(Key{form: Last, at: 9000}, src(9), s.New(10))
	put(2)
	put(3)
	if _, ok := s.Find(key(1)); !ok || s.Size != 3*512+256 {
		t.Fatalf("three factors take %d bytes, and the first is kept: %v", s.Size, ok)
	}
	put(4)
	if _, ok := s.Find(key(1)); ok {
		t.Error("a fourth factor leaves the first")
	}
	if a := s.Take(200); a != first {
		t.Errorf("what is free is at %v, and taken is %v", first, a)
	}
	s.Overwritten([]Span{{2099, 2200}, {2900, 3000}})
	if _, ok := s.Find(key(2)); ok {
		t.Error("a factor is kept whose end was written to")
	}
	if _, ok := s.Find(key(3)); !ok {
		t.Error("a write before a factor has it forgotten")
	}
	if _, ok := s.Find(Key{form: Last, at: 9000}); !ok {
		t.Error("factors drive out what is made of indices")
	}
}
