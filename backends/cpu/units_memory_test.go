package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/internal/mmap"
	"github.com/tenon-go/tenon/tensor"
)

// BenchmarkRowUnitsMemory is BenchmarkRowUnits with weights out of memory: the units meet 512 MiB of them
// in chunks of 64 rows of 4096. With four tokens it should take little longer than with one.
func BenchmarkRowUnitsMemory(b *testing.B) {
	const k, rows, total = 4096, 64, 512 << 20
	r := rand.New(rand.NewPCG(1, 2))
	m, err := mmap.Anon(total)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	big := m.Bytes()
	for _, l := range Levels() {
		u := unitsOf(l)
		for typ, ru := range u.rows {
			typ := tensor.DType(typ)
			if ru.form == noForm {
				continue
			}
			for n := range mostTokens {
				dot := ru.dot[n]
				if dot == nil {
					continue
				}
				b.Run(fmt.Sprintf("%s/%s/tokens=%d", l, typ, n+1), func(b *testing.B) {
					p := newProducts(r, u, typ, rows, mostTokens, k)
					p.out = make([]float32, mostTokens*p.ld)
					chunk := len(p.w)
					for at := 0; at+chunk <= total; at += chunk {
						copy(big[at:], p.w)
					}
					b.SetBytes(int64(chunk))
					q := p.product
					q.dst = &p.out[0]
					b.ResetTimer()
					for i := 0; i < b.N; i++ {
						q.w = &big[i%(total/chunk)*chunk]
						dot(&q)
					}
				})
			}
		}
	}
}
