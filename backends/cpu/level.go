package cpu

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// Level is a set of instructions that kernels are written for. Each level of an architecture holds
// those before it: what a level has no kernel for, it takes from the one below.
type Level uint8

// The levels. Scalar is plain Go and is everywhere.
const (
	Scalar  Level = iota
	NEON          // arm64: Advanced SIMD with the dot product of bytes
	AVX2          // amd64: AVX2, FMA and F16C
	AVXVNNI       // AVX2 and the dot product of bytes in its short form
	AVX512        // AVX-512 F, BW, DQ, VL and VNNI
	AMX           // AVX512 and tiles of bytes and bfloat16
	levels
)

var levelNames = [levels]string{"scalar", "neon", "avx2", "avxvnni", "avx512", "amx"}

// String returns the name that TENON_CPU takes.
func (l Level) String() string {
	if l >= levels {
		return fmt.Sprintf("Level(%d)", uint8(l))
	}
	return levelNames[l]
}

// ParseLevel returns the level of a name. Its error lists those that there are.
func ParseLevel(name string) (Level, error) {
	for l, n := range levelNames {
		if n == name {
			return Level(l), nil
		}
	}
	return 0, fmt.Errorf("cpu: no level is called %q: there are %s", name, strings.Join(levelNames[:], ", "))
}

// LevelEnv is the environment variable that forces a level.
const LevelEnv = "TENON_CPU"

// Levels returns the levels that this processor and build have, the fastest last.
func Levels() []Level { return availableLevels() }

// availableLevels is Levels, asked for once.
var availableLevels = sync.OnceValue(func() []Level {
	have := []Level{Scalar}
	for l := Scalar + 1; l < levels; l++ {
		if levelUnits[l] != nil && levelAvailable(l) == "" {
			have = append(have, l)
		}
	}
	return have
})

// Missing says why this processor or build has not level l; it is empty if it has.
func Missing(l Level) string {
	switch {
	case l == Scalar:
		return ""
	case l >= levels:
		return "there is no such level"
	case levelUnits[l] == nil:
		return "this build has no kernels for it"
	}
	return levelAvailable(l)
}

// DefaultLevel returns the level of devices that name none: the best one, or that of TENON_CPU. Its error says
// that this cannot be had.
func DefaultLevel() (Level, error) { return chosen() }

// chosen is the level of devices that name none: the best one, or that of TENON_CPU. A name that
// cannot be had is an error of the probe, and nobody is quietly given another level.
var chosen = sync.OnceValues(func() (Level, error) {
	have := Levels()
	best := have[len(have)-1]
	name := os.Getenv(LevelEnv)
	if name == "" {
		return best, nil
	}
	l, err := ParseLevel(name)
	if err != nil {
		return best, fmt.Errorf("%w (%s)", err, LevelEnv)
	}
	if why := Missing(l); why != "" {
		return best, fmt.Errorf("cpu: %s=%s: %s", LevelEnv, name, why)
	}
	return l, nil
})

// levelUnits[l] puts the units of level l into a table that holds those of the levels below. The files
// of a level fill it in; nil means that this build has none.
var levelUnits [levels]func(*units)

// addUnits registers f among the functions that put the units of level l into a table.
func addUnits(l Level, f func(*units)) {
	before := levelUnits[l]
	levelUnits[l] = func(u *units) {
		if before != nil {
			before(u)
		}
		f(u)
	}
}

// unitTables holds the table of each level, made at first use.
var unitTables [levels]struct {
	once sync.Once
	u    units
}

// unitsOf returns the table of level l, which this processor has.
func unitsOf(l Level) *units {
	t := &unitTables[l]
	t.once.Do(func() {
		t.u.level = l
		scalarUnits(&t.u)
		for i := Scalar + 1; i <= l; i++ {
			if levelUnits[i] != nil && levelAvailable(i) == "" {
				levelUnits[i](&t.u)
			}
		}
	})
	return &t.u
}
