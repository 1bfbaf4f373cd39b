package kv

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

type randomChoices struct {
	r    *rand.Rand
	left int
}

func (c *randomChoices) pick(n int) int { return c.r.IntN(n) }
func (c *randomChoices) more() bool     { c.left--; return c.left >= 0 }

// byteChoices takes decisions from bytes; after the last all are 0.
type byteChoices struct{ data []byte }

func (c *byteChoices) more() bool { return len(c.data) > 0 }

func (c *byteChoices) pick(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	v := int(c.data[0])
	c.data = c.data[1:]
	if n > 256 && len(c.data) > 0 {
		v = v<<8 | int(c.data[0])
		c.data = c.data[1:]
	}
	return v % n
}

// propertyConfigs are caches small enough to be full often, with blocks that are not whole.
func propertyConfigs() []Config {
	full := testConfig(100, 3, 8, 16, 0, 10)
	full.FullWindow = true
	return []Config{
		testConfig(40, 3, 8, 8, 0),
		testConfig(200, 4, 12, 16, 0, 7, 30),
		testConfig(150, 2, 5, 1, 0, 3),
		testConfig(130, 3, 9, 32, 0, 40, 1),
		testConfig(90, 3, 9, 8, 9, 20), // no group sees everything
		full,
	}
}

func TestRandomOperations(t *testing.T) {
	for i, cfg := range propertyConfigs() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			full, refused, applied := 0, 0, 0
			for seed := range uint64(8) {
				d := newDriver(t, cfg, &randomChoices{rand.New(rand.NewPCG(seed, uint64(i))), 600})
				for d.src.more() {
					d.step()
				}
				full, refused, applied = full+d.full, refused+d.refused, applied+d.applied
				if err := d.c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d batches applied, %d did not fit, %d changes refused for a lost window", applied, full, refused)
			if full == 0 && i != 1 && i != 4 || applied < 1000 {
				t.Errorf("the operations do not reach what they should")
			}
			if expires := cfg.Layers[len(cfg.Layers)-1].Window > 0 && !cfg.FullWindow; expires != (refused > 0) {
				t.Errorf("windows expire is %v, %d changes were refused for it", expires, refused)
			}
		})
	}
}

func FuzzCache(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range propertyConfigs() {
		data := make([]byte, 300)
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, config uint8, data []byte) {
		if len(data) > 4096 {
			t.Skip("long runs find nothing new")
		}
		configs := propertyConfigs()
		d := newDriver(t, configs[int(config)%len(configs)], &byteChoices{data})
		for d.src.more() {
			d.step()
		}
		if err := d.c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
