//go:build !purego

package sample

import (
	"math"

	"golang.org/x/sys/cpu"
)

func init() {
	if cpu.X86.HasAVX2 {
		expBlock, sumWeights, sumMoments = expBlockAsm, sumWeightsAsm, sumMomentsAsm
		sumsAbove, blockTops, distances = sumsAboveAsm, blockTopsAsm, distancesAsm
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ {
		expWhole = expAVX512
	}
}

// expLanes are the constants of exp, each four times, in the order in which the assembly reads them.
var expLanes = func() (c [10][4]float64) {
	for i, v := range [10]float64{
		-708, expStep / math.Ln2, 0x1.8p52, ln2Hi / expStep, ln2Lo / expStep, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5,
		math.Float64frombits(expStep - 1),
	} {
		c[i] = [4]float64{v, v, v, v}
	}
	return c
}()

// expWhole is exp for a multiple of eight logits.
var expWhole = expAVX2

//go:noescape
func expAVX512(w *float64, x *float32, n int, best, invT float64, consts, table *float64) float64

//go:noescape
func expAVX2(w *float64, x *float32, n int, best, invT float64, consts, table *float64) float64

//go:noescape
func sumAVX2(w *float64, n int) float64

//go:noescape
func momentsAVX2(w *float64, x *float32, n int, best float64) float64

//go:noescape
func sumsAboveAVX2(sums *[4]float64, w *float64, x *float32, n int, t *[4]float32)

//go:noescape
func blockTopsAVX2(tops, x *float32, blocks int) (low float32, nan int32)

//go:noescape
func distancesAVX2(dst, x *float32, n int, mean float64)

// The forms in assembly take the elements up to a multiple of eight, or of a block, and Go the rest.

func expBlockAsm(w []float64, x []float32, best, invT float64) float64 {
	x = x[:len(w)]
	n, sum := len(w)&^7, 0.0
	if n > 0 {
		sum = expWhole(&w[0], &x[0], n, best, invT, &expLanes[0][0], &exp2Table[0])
	}
	for i := n; i < len(w); i++ {
		w[i] = exp(float64((float64(x[i]) - best) * invT))
		sum += w[i]
	}
	return sum
}

func sumWeightsAsm(w []float64) float64 {
	n, sum := len(w)&^7, 0.0
	if n > 0 {
		sum = sumAVX2(&w[0], n)
	}
	for _, v := range w[n:] {
		sum += v
	}
	return sum
}

func sumMomentsAsm(w []float64, x []float32, best float64) float64 {
	x = x[:len(w)]
	n, sum := len(w)&^7, 0.0
	if n > 0 {
		sum = momentsAVX2(&w[0], &x[0], n, best)
	}
	for i := n; i < len(w); i++ {
		sum += float64(w[i] * (float64(x[i]) - best))
	}
	return sum
}

func sumsAboveAsm(w []float64, x []float32, t [4]float32) (sums [4]float64) {
	x = x[:len(w)]
	n := len(w) &^ 7
	if n > 0 {
		sumsAboveAVX2(&sums, &w[0], &x[0], n, &t)
	}
	for k := range sums {
		for i := n; i < len(w); i++ {
			if x[i] > t[k] {
				sums[k] += w[i]
			}
		}
	}
	return sums
}

func blockTopsAsm(tops, x []float32) (low float32, nan bool) {
	blocks := len(x) / topBlock
	low, nan = blockTopsGo(tops[blocks:], x[blocks*topBlock:])
	if blocks > 0 {
		l, n := blockTopsAVX2(&tops[0], &x[0], blocks)
		low, nan = min(low, l), nan || n != 0
	}
	return low, nan
}

func distancesAsm(dst, x []float32, mean float64) {
	x = x[:len(dst)]
	n := len(dst) &^ 3
	if n > 0 {
		distancesAVX2(&dst[0], &x[0], n, mean)
	}
	distancesGo(dst[n:], x[n:], mean)
}
