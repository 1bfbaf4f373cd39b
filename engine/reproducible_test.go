package engine_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/tensor"
)

// sameBits compares rows of logits bit by bit.
func sameBits(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	for i := range want {
		for j, v := range want[i] {
			if math.Float32bits(got[i][j]) != math.Float32bits(v) {
				t.Fatalf("%s: token %d, logit %d is %v, alone %v", what, i, j, got[i][j], v)
			}
		}
	}
}

// TestReproducible holds that a token's logits have the same bits one by one, in a batch of any size and
// beside another sequence, at every level of the CPU's kernels.
func TestReproducible(t *testing.T) {
	for _, l := range cpu.Levels() {
		for _, fam := range families {
			for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0} {
				t.Run(fmt.Sprintf("%s/%s/%s", l, fam.name, typ), func(t *testing.T) {
					dev, err := cpu.NewAt(l, cpu.Options{Threads: 2})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { dev.Close() })
					config := fam.config
					config.Type = typ
					f := parse(t, config)
					opt := engine.Options{Devices: []backends.Device{dev}, Reproducible: true, Sequences: 2}
					text := ids(4, 60)
					want := alone(t, f, opt, [][]int32{text})[0]
					for _, size := range []int{60, 32, 7} {
						o := opt
						o.Batch = size
						sameBits(t, fmt.Sprintf("in batches of %d", size), open(t, f, o).decode(tokens(0, 0, text)), want)
					}
					r := open(t, f, opt)
					var batch []engine.Token
					for i, id := range text {
						batch = append(batch, engine.Token{ID: id, Pos: int32(i), Seq: 0, Output: true},
							engine.Token{ID: id + 1, Pos: int32(i), Seq: 1})
					}
					sameBits(t, "beside another sequence", r.decode(batch), want)
				})
			}
		}
	}
}

// unlike is a device that does not reproduce.
type unlike struct{ backends.Device }

func TestReproducibleNeedsDevicesThatDo(t *testing.T) {
	dev := newCPU(t, "CPU", 0)
	_, err := engine.New(parse(t, tinymodel.Config{}), engine.Options{Devices: []backends.Device{unlike{dev}}, Reproducible: true})
	var o *engine.OptionError
	if !errors.As(err, &o) || o.Name != "Reproducible" {
		t.Errorf("error %v, want an *OptionError for Reproducible", err)
	}
}
