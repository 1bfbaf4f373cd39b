package tensor_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

var hostile = []int{0, -1, math.MinInt, math.MaxInt, 1 << 62, 1<<62 - 1, 1 << 61, 1 << 59, 1 << 31, 1 << 32, -1 << 62}

func randomSize(r *rand.Rand) int {
	if r.IntN(12) == 0 {
		return hostile[r.IntN(len(hostile))]
	}
	return []int{1, 1, 1, 2, 3, 4, 8, 32, 64, 256}[r.IntN(10)]
}

func randomDim(r *rand.Rand) int {
	if r.IntN(12) == 0 {
		return randomSize(r)
	}
	return r.IntN(tensor.MaxDims)
}

func randomShape(r *rand.Rand) tensor.Shape {
	return tensor.Shape{randomSize(r), randomSize(r), randomSize(r), randomSize(r)}
}

func randomStrides(r *rand.Rand) tensor.Strides {
	return tensor.Strides{4 * randomSize(r), 4 * randomSize(r), 4 * randomSize(r), 4 * randomSize(r)}
}

func randomFloat(r *rand.Rand) float32 {
	return []float32{0, 1, -1, 1e-5, 10000, nan, inf, -inf}[r.IntN(8)]
}

func randomType(r *rand.Rand) tensor.DType {
	if r.IntN(3) == 0 {
		return tensor.DType(r.IntN(256))
	}
	return []tensor.DType{tensor.F32, tensor.F32, tensor.F32, tensor.F16, tensor.I32, tensor.Q8_0}[r.IntN(6)]
}

// oddTensor is a tensor that nobody builds: any type, sizes, strides and place.
func oddTensor(r *rand.Rand) *tensor.Tensor {
	if r.IntN(12) == 0 {
		return nil
	}
	x := &tensor.Tensor{Type: randomType(r), Shape: randomShape(r), Role: tensor.Role(r.IntN(6)), Offset: randomSize(r)}
	x.Stride = x.Shape.Packed(x.Type)
	if r.IntN(3) == 0 {
		x.Stride = randomStrides(r)
	}
	if r.IntN(8) == 0 {
		x.Base = oddTensor(r)
	}
	return x
}

// oddSources sometimes repeats one tensor, so that sizes fit together and Infer goes on to its later checks.
func oddSources(r *rand.Rand) []*tensor.Tensor {
	ts := make([]*tensor.Tensor, r.IntN(7))
	for i := range ts {
		ts[i] = oddTensor(r)
		if i > 0 && r.IntN(2) == 0 {
			ts[i] = ts[r.IntN(i)]
		}
	}
	return ts
}

// nearly changes one thing in good sources, so that Infer goes on to its later checks.
func nearly(r *rand.Rand, good []*tensor.Tensor) []*tensor.Tensor {
	ts := slices.Clone(good)
	i := r.IntN(len(ts))
	x := *ts[i]
	switch r.IntN(6) {
	case 0:
		ts[i] = oddTensor(r)
		return ts
	case 1:
		return append(ts, &x)
	case 2:
		return ts[:i]
	case 3:
		x.Type = randomType(r)
	case 4:
		x.Stride = randomStrides(r)
	case 5:
		x.Shape[r.IntN(tensor.MaxDims)] = randomSize(r)
	}
	ts[i] = &x
	return ts
}

// Infer never panics, whatever the sources are, and its errors match one of three sentinels.
func TestInferTakesAnything(t *testing.T) {
	for i, c := range opCases {
		r := rand.New(rand.NewPCG(42, uint64(i)))
		accepted := 0
		for range 4_000 {
			op, ts := c.random(r), oddSources(r)
			switch r.IntN(3) {
			case 0:
				op, ts = c.good, nearly(r, c.src)
			case 1:
				ts = nearly(r, c.src)
			}
			d, s, err := op.Infer(ts)
			if err == nil {
				accepted++
			} else if !errors.Is(err, tensor.ErrShape) && !errors.Is(err, tensor.ErrType) && !errors.Is(err, tensor.ErrArity) {
				t.Fatalf("%s%+v over %v: %v matches none of ErrShape, ErrType and ErrArity", op.Kind(), op, ts, err)
			}
			if d2, s2, err2 := op.Infer(ts); d != d2 || s != s2 || (err == nil) != (err2 == nil) {
				t.Fatalf("%s%+v over %v: another answer the second time", op.Kind(), op, ts)
			}
		}
		if accepted < 40 || accepted > 3600 {
			t.Errorf("%s: %d of 4000 accepted: the test is too easy or too hard", c.good.Kind(), accepted)
		}
		t.Logf("%s: %d of 4000 accepted", c.good.Kind(), accepted)
	}
}

// What a Builder accepts over any mixture of its own results can be laid out, lies inside its base, and is legal.
func TestWhatIsBuiltIsLegal(t *testing.T) {
	kinds := make([]int, tensor.NumKinds())
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		pool := []*tensor.Tensor{
			f32(64, 4, 2), f32(64, 4), f32(32), f16(64, 4, 2), i32(4, 2), i32(2), i32(1), q8(64, 4),
			leaf(tensor.Cache, tensor.F16, 64, 8), leaf(tensor.Cache, tensor.Q8_0, 64, 4, 2), f32(0, 4),
		}
		var nodes []*tensor.Tensor
		b := tensor.NewBuilder()
		for range 40 {
			c := opCases[r.IntN(len(opCases))]
			op := c.random(r)
			if r.IntN(2) == 0 {
				op = c.good
			}
			whole := op == c.good && r.IntN(4) == 0
			ts := make([]*tensor.Tensor, 1+r.IntN(3))
			for i := range ts {
				ts[i] = pool[r.IntN(len(pool))]
			}
			if whole {
				ts = c.src
			}
			if _, _, err := op.Infer(ts); err != nil {
				continue
			}
			x := b.Apply(op, ts...)
			if err := b.Err(); err != nil {
				// Sizes that are fine one by one may be too many elements together; that much only Apply sees.
				if strings.Contains(err.Error(), "too large") {
					b, pool = tensor.NewBuilder(), pool[:11]
					nodes = nil
					continue
				}
				t.Fatalf("seed %d: Infer of %s%+v over %v accepts what Apply refuses: %v", seed, op.Kind(), op, ts, err)
			}
			kinds[op.Kind()]++
			pool, nodes = append(pool, x), append(nodes, x)
		}
		g, err := b.Build(nodes...)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Verify(); err != nil {
			t.Fatalf("seed %d: %v in\n%v", seed, err, g)
		}
		for _, x := range nodes {
			if root := x.Root(); x.Offset < 0 || x.Offset+x.Bytes() > root.Bytes() || root.Base != nil {
				t.Fatalf("seed %d: %v lies at %d..%d of %v", seed, x, x.Offset, x.Offset+x.Bytes(), root)
			}
		}
	}
	for k, n := range kinds {
		if n == 0 {
			t.Errorf("no %s was ever built: the test does not reach it", tensor.Kind(k))
		}
	}
	t.Logf("built: %v", kinds)
}
