package cpu
import ("testing";"math/rand/v2";"github.com/tenon-go/tenon/tensor")
func BenchmarkZZ(b *testing.B) {
	r := rand.New(rand.NewPCG(1,2))
	x, y, d := randomFloats(r,1024), randomFloats(r,1024), make([]float32,1024)
	for _, f := range []tensor.Func{tensor.SiLU, tensor.GELU, tensor.GELUQuick, tensor.Exp, tensor.Tanh,tensor.Sigmoid} {
		b.Run(f.String(), func(b *testing.B){ for b.Loop() { functions[f].each(d,x) } })
	}
	b.Run("glu", func(b *testing.B){ for b.Loop() { gates[tensor.SiLU].each(d,x,y) } })
	b.Run("glugelu", func(b *testing.B){ for b.Loop() { gates[tensor.GELU].each(d,x,y) } })
}
