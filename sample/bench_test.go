package sample

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// peaked has the shape of a language model's logits: a bell of unlikely tokens, and a few likely ones above it.
func peaked(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	l := make([]float32, n)
	for i := range l {
		l[i] = float32(r.NormFloat64()*2 - 4)
	}
	for i := range 30 {
		l[r.IntN(n)] = float32(14 - 0.35*float64(i) + r.NormFloat64())
	}
	return l
}

// wide has no token that is much likelier than many others: what top-p likes least, short of flat.
func wide(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 3))
	l := make([]float32, n)
	for i := range l {
		l[i] = float32(r.NormFloat64() * 2.5)
	}
	return l
}

func flat(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 2))
	l := make([]float32, n)
	for i := range l {
		l[i] = float32(r.NormFloat64() * 0.1)
	}
	return l
}

func BenchmarkSample(b *testing.B) {
	for _, c := range []struct {
		name string
		p    Params
	}{
		{"greedy", Params{}},
		{"temp", Params{Temperature: 0.8}},
		{"topk40+topp+temp", Params{TopK: 40, TopP: 0.95, Temperature: 0.8}},
		{"penalties+topk40+topp+minp+temp", Params{
			TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1, FrequencyPenalty: 0.1, PresencePenalty: 0.1, Temperature: 0.8,
		}},
		{"topp+temp", Params{TopP: 0.95, Temperature: 0.8}},
		{"penalties+topp+minp+temp", Params{TopP: 0.95, MinP: 0.05, RepeatPenalty: 1.1, Temperature: 0.8}},
		{"minp+temp", Params{MinP: 0.05, Temperature: 0.8}},
		{"typical+temp", Params{TypicalP: 0.9, Temperature: 0.8}},
	} {
		for _, n := range []int{32_000, 150_000} {
			rising := peaked(n, 3)
			slices.Sort(rising)
			for _, d := range []struct {
				name   string
				logits []float32
			}{{"peaked", peaked(n, 3)}, {"wide", wide(n, 3)}, {"flat", flat(n, 3)}, {"rising", rising}} {
				b.Run(fmt.Sprintf("%s/%dk/%s", c.name, n/1000, d.name), func(b *testing.B) {
					s, err := New(c.p, n)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					for b.Loop() {
						t, err := s.Sample(d.logits)
						if err != nil {
							b.Fatal(err)
						}
						if err := s.Accept(t); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func BenchmarkExp(b *testing.B) {
	x, sum := 0.0, 0.0
	for b.Loop() {
		sum += exp(x)
		if x -= 0.37; x < -40 {
			x = 0
		}
	}
	if math.IsNaN(sum) {
		b.Fatal(sum)
	}
}
