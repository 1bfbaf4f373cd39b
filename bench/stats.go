package bench

import (
	"math"
	"slices"
)

// Spread is what a handful of measurements say: their middle and their ends.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf returns the spread of v, and the zero Spread of nothing.
func SpreadOf(v []float64) Spread {
	if len(v) == 0 {
		return Spread{}
	}
	return Spread{Median: Median(v), Min: slices.Min(v), Max: slices.Max(v)}
}

// Median returns the middle of v, the mean of both middles of an even number, and 0 of nothing.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Mean returns the mean of v, and 0 of nothing.
func Mean(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// StdDev returns the standard deviation of the population that v is a sample of (n-1), and 0 of fewer
// than two.
func StdDev(v []float64) float64 {
	if len(v) < 2 {
		return 0
	}
	mean, sum := Mean(v), 0.0
	for _, x := range v {
		sum += (x - mean) * (x - mean)
	}
	return math.Sqrt(sum / float64(len(v)-1))
}

// ratios returns a[i]/b[i] as far as both go, leaving out what has no quotient.
func ratios(a, b []float64) []float64 {
	var all []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			all = append(all, a[i]/b[i])
		}
	}
	return all
}

// quotient returns a/b, or 0 where b is not known.
func quotient(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}
