package cpu

import (
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tenon-go/tenon/tensor"
)

// atEdge returns n bytes, behind which lies a page that may not be touched.
func atEdge(t *testing.T, n int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	if err := unix.Mprotect(mem[size:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return mem[size-n : size : size]
}

// TestUnitsStayInside gives each unit operands that end where memory ends: reading or writing behind them
// is a fault.
func TestUnitsStayInside(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(11, 12))
		for typ, ru := range u.rows {
			typ := tensor.DType(typ)
			if ru.form == noForm {
				continue
			}
			for _, k := range map[form][]int{floats: {1, 3, 8, 17, 31, 64}, blocks32: {32, 96, 128, 160}, blocks256: {256, 512}}[ru.form] {
				for n, dot := range ru.dot {
					if dot == nil {
						continue
					}
					edgeProduct(t, r, u, typ, k, n+1, dot)
				}
			}
		}
		for _, f := range []form{blocks32, blocks256} {
			x, rec := f32s(atEdge(t, 4*512)), atEdge(t, f.bytes(512))
			copy(x, randomFloats(r, 512))
			u.round[f](rec, x)
		}
		for _, n := range []int{1, 3, 4, 15, 16, 33} {
			a, b := f32s(atEdge(t, 4*n)), f32s(atEdge(t, 4*n))
			u.dotF32(a, b)
			u.addScaledF32(a, b, 2)
			for _, typ := range []tensor.DType{tensor.F16, tensor.BF16} {
				u.decode[typ](a, atEdge(t, 2*n))
			}
		}
	})
}

// edgeProduct computes two rows of typ with n tokens, and compares with operands in the midst of memory.
func edgeProduct(t *testing.T, r *rand.Rand, u *units, typ tensor.DType, k, n int, dot func(*product)) {
	t.Helper()
	p := newProducts(r, u, typ, 2, n, k)
	want := p.run(t, dot, 0, n)
	bytes := u.rows[typ].form.bytes(k)
	w, x, dst := atEdge(t, len(p.w)), atEdge(t, (n-1)*p.xStride+bytes), f32s(atEdge(t, 4*2*n))
	copy(w, p.w)
	copy(x, p.x)
	q := p.product
	q.w, q.x, q.dst, q.dstStride = &w[0], &x[0], &dst[0], 4*2
	dot(&q)
	for i := range 2 * n {
		if got := dst[i]; got != want[i/2*p.ld+i%2] {
			t.Errorf("%s k=%d: place %d of %d tokens is %g, want %g", typ, k, i, n, got, want[i/2*p.ld+i%2])
		}
	}
}
