package sample

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/big"
	"testing"
)

func TestExpAccuracy(t *testing.T) {
	worst, at := 0.0, 0.0
	r := newRNG(1)
	check := func(x float64) {
		want := math.Exp(x)
		if d := math.Abs(exp(x)-want) / want; d > worst {
			worst, at = d, x
		}
	}
	for range 200_000 {
		check(-708 * r.uniform())
		check(-30 * r.uniform())
		check(-r.uniform() / 1000)
	}
	t.Logf("worst relative difference from math.Exp: %.2g at %v", worst, at)
	if worst > 4e-16 {
		t.Errorf("relative difference %g at %v, want at most 4e-16", worst, at)
	}
	for _, c := range []struct{ x, want float64 }{
		{0, 1}, {math.Copysign(0, -1), 1}, {-708.5, 0}, {-1e300, 0}, {math.Inf(-1), 0}, {-1e-300, 1},
	} {
		if got := exp(c.x); got != c.want {
			t.Errorf("exp(%v) = %v, want %v", c.x, got, c.want)
		}
	}
}

func TestLogAccuracy(t *testing.T) {
	r := newRNG(2)
	worst := 0.0
	for i := range 200_000 {
		x := math.Ldexp(0.5+r.uniform(), i%120-60)
		want := math.Log(x)
		worst = max(worst, math.Abs(log(x)-want)/math.Abs(want))
	}
	t.Logf("worst relative difference from math.Log: %.2g", worst)
	if worst > 2e-15 {
		t.Errorf("relative difference %g, want at most 2e-15", worst)
	}
	if log(1) != 0 {
		t.Errorf("log(1) = %v, want 0", log(1))
	}
}

func TestExp2Table(t *testing.T) {
	root := big.NewFloat(2).SetPrec(200)
	for range 6 {
		root.Sqrt(root)
	}
	v := big.NewFloat(1).SetPrec(200)
	for j, got := range exp2Table {
		if want, _ := v.Float64(); got != want {
			t.Errorf("entry %d is %x, want %x", j, got, want)
		}
		v.Mul(v, root)
	}
}

// The hash was recorded once. A platform or a compiler on which it differs would draw other tokens.
func TestExpBits(t *testing.T) {
	const recorded = 0x3299a6593d8fb097
	h := fnv.New64a()
	put := func(v float64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
		h.Write(b[:])
	}
	r := newRNG(3)
	for range 20_000 {
		put(exp(-40 * r.uniform()))
		put(exp(-700 * r.uniform()))
		put(log(r.uniform() + 0x1p-60))
	}
	if got := h.Sum64(); got != recorded {
		t.Errorf("hash of results is %#x, want %#x", got, uint64(recorded))
	}
}

func TestSplitMix64(t *testing.T) {
	// The first outputs for this state, as published with other implementations of the generator.
	r := rng{1234567}
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := r.next(); got != want {
			t.Errorf("output %d is %d, want %d", i, got, want)
		}
	}
	for range 1000 {
		if u := r.uniform(); u < 0 || u >= 1 {
			t.Fatalf("uniform returned %v", u)
		}
	}
}
