package sample

// rng is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a counter with an odd step,
// and a mixing function over it. One word of state makes it cheap to roll back. Its stream may never change.
type rng struct{ state uint64 }

func newRNG(seed uint64) rng { return rng{mix(seed)} }

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix(r.state)
}

// uniform returns a multiple of 2^-53 in [0, 1). Both steps are exact.
func (r *rng) uniform() float64 { return float64(r.next()>>11) * 0x1p-53 }

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
