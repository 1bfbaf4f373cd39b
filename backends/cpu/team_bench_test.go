package cpu

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/tenon-go/tenon/tensor"
)

// TestMain makes this binary a busy neighbour when it is asked to be one.
func TestMain(m *testing.M) {
	if os.Getenv(neighbourEnv) != "" {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		}
		return
	}
	os.Exit(m.Run())
}

const neighbourEnv = "TENON_TEST_NEIGHBOUR"

// neighbour starts a process that keeps a core busy until b ends.
func neighbour(b *testing.B) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), neighbourEnv+"=1", "GOMAXPROCS=1")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	time.Sleep(100 * time.Millisecond) // until it is at work
}

// BenchmarkTeam times steps between barriers, with all cores free and with one of them busy: empty ones,
// which cost what the barrier costs, and the products of a decode with weights from memory. MB/s counts
// the weights.
func BenchmarkTeam(b *testing.B) {
	const chain = 200
	for _, busy := range []bool{false, true} {
		for _, what := range []string{"barrier", "decode"} {
			for _, threads := range []int{1, 2} {
				name := map[bool]string{false: "quiet", true: "busy"}[busy]
				b.Run(fmt.Sprintf("%s/%s/threads=%d", what, name, threads), func(b *testing.B) {
					dev := New(Options{Threads: threads})
					defer dev.Close()
					r := newRig(b, 1)
					x := r.random(tensor.F32, tensor.MakeShape(2048))
					if what == "barrier" {
						x = r.random(tensor.F32, tensor.MakeShape(1))
					} else {
						b.SetBytes(chain * 2048 * 2048 * 34 / 32)
					}
					w := make([]*tensor.Tensor, 40)
					for i := range chain {
						if what == "barrier" {
							x = r.Neg(x)
							continue
						}
						if i < len(w) {
							w[i] = r.random(tensor.Q8_0, tensor.MakeShape(2048, 2048))
						}
						x = r.MatMul(w[i%len(w)], x)
					}
					p, err := r.bind(dev, false, x)
					if err != nil {
						b.Fatal(err)
					}
					if busy {
						neighbour(b)
					}
					for b.Loop() {
						if err := p.prog.Submit(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chain, "ns/step")
				})
			}
		}
	}
}
