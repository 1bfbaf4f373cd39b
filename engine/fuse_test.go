package engine_test

import (
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/tensor"
)

// TestFusionChangesNothing runs whole models with the fusions of the CPU and without: the logits are equal, bit for
// bit, and the runs take no more memory.
func TestFusionChangesNothing(t *testing.T) {
	shared := families[0]
	shared.name, shared.config = "gemma4", tinymodel.SharedTarget(tinymodel.Config{})
	text := ids(3, 14)
	seen := map[string]int{}
	for _, fam := range append(slices.Clone(families), shared) {
		for _, cache := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0} {
			t.Run(fam.name+"/"+cache.String(), func(t *testing.T) {
				c := fam.config
				c.Layers = max(2, c.Layers)
				if cache == tensor.Q8_0 && c.Arch != "" && c.Arch != "qwen2" && c.Arch != "qwen3" {
					t.Skip("its heads are no whole blocks")
				} else if cache == tensor.Q8_0 {
					c.Embd = 128 // heads of 32
				}
				f := parse(t, c)
				var logits [2][][]float32
				var bytes [2]int64
				for i, off := range [][]backends.Fusion{nil, backends.Fusions()} {
					e := open(t, f, engine.Options{
						Devices: []backends.Device{cpu.New(cpu.Options{Threads: 2})}, NoFusion: off,
						CacheK: cache, CacheV: cache, ExactCache: cache == tensor.F32,
					})
					logits[i] = append(e.decode(tokens(0, 0, text[:13])), e.decode(tokens(0, 13, text[13:]))...)
					for _, m := range e.Memory() {
						bytes[i] += m.Compute
					}
					p, err := e.Plan(4)
					must(t, err)
					if (len(p.Groups) > 0) == (i == 1) {
						t.Errorf("%d groups with %v off", len(p.Groups), off)
					}
					for _, g := range p.Groups {
						seen[g.Fusion]++
					}
				}
				near(t, "without fusions", logits[1], logits[0], 0)
				if bytes[0] > bytes[1] {
					t.Errorf("runs take %d bytes, without fusions %d", bytes[0], bytes[1])
				}
			})
		}
	}
	for _, f := range []backends.Fusion{backends.RMSNormMul, backends.AddRMSNormMul, backends.RoPESetRows} {
		if seen[f.String()] == 0 {
			t.Errorf("no model has had a %s", f)
		}
	}
}
