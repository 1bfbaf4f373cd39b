package cpu

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tenon-go/tenon/tensor"
)

// PROBE=regexp of types; PROBE_K
func TestZZProbe(t *testing.T) {
	pat := os.Getenv("PROBE")
	if pat == "" {
		t.Skip()
	}
	re := regexp.MustCompile("^(" + pat + ")$")
	const total = 512 << 20
	big, err := syscall.Mmap(-1, 0, total, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	u := unitsOf(AVX512)
	for typ, ru := range u.rows {
		typ := tensor.DType(typ)
		if ru.form == noForm || !re.MatchString(typ.String()) {
			continue
		}
		const rows = 64
		out := fmt.Sprintf("%-7s", typ)
		for _, mem := range []bool{false, true} {
			k := 2048
			if mem {
				k = 4096
			}
			p := newProducts(r, u, typ, rows, mostTokens, k)
			p.out = make([]float32, mostTokens*p.ld)
			chunk := len(p.w)
			if mem {
				for at := 0; at+chunk <= total; at += chunk {
					copy(big[at:], p.w)
				}
			}
			for n := range mostTokens {
				q := p.product
				q.dst = &p.out[0]
				calls := 8000
				if mem {
					calls = 3000
				}
				ts := make([]time.Duration, calls)
				for i := range ts {
					if mem {
						q.w = &big[(i%(total/chunk))*chunk]
					}
					t0 := time.Now()
					ru.dot[n](&q)
					ts[i] = time.Since(t0)
				}
				slices.Sort(ts)
				gb := func(d time.Duration) float64 { return float64(chunk) / float64(d.Nanoseconds()) }
				out += fmt.Sprintf(" %5.1f/%4.1f", gb(ts[calls/20]), gb(ts[calls/2]))
			}
			out += "  |"
		}
		fmt.Println(out)
	}
}
