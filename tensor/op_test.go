package tensor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// An opCase is a kind of op as the tests over all kinds need it.
type opCase struct {
	random func(r *rand.Rand) tensor.Op // with parameters that are good or hostile
	good   tensor.Op                    // what Infer accepts
	src    []*tensor.Tensor             // over these sources
}

// opCases has a line for each kind; a new op needs one, too: TestEveryKindIsTested counts.
var opCases = []opCase{
	always(tensor.Add{}, f32(64, 4), f32(64)),
	always(tensor.Sub{}, f32(64, 4), f32(64)),
	always(tensor.Mul{}, f32(64, 4), f32(64)),
	always(tensor.Div{}, f32(64, 4), f32(64)),
	always(tensor.AddID{}, f32(64, 4, 2), f32(64, 8), i32(4, 2)),
	{func(r *rand.Rand) tensor.Op { return tensor.Scale{Scale: randomFloat(r), Bias: randomFloat(r)} }, tensor.Scale{Scale: 2}, src(f32(64))},
	{func(r *rand.Rand) tensor.Op { return tensor.Clamp{Min: randomFloat(r), Max: randomFloat(r)} }, tensor.Clamp{Max: 1}, src(f32(64))},
	{
		func(r *rand.Rand) tensor.Op { return tensor.SoftMax{Scale: randomFloat(r), MaxBias: randomFloat(r)} },
		tensor.SoftMax{Scale: 1},
		src(f32(64, 4, 2), f16(64, 4), f32(2)),
	},
	{
		func(r *rand.Rand) tensor.Op { return tensor.FlashAttn{Scale: randomFloat(r), SoftCap: randomFloat(r)} },
		tensor.FlashAttn{Scale: 1},
		src(f32(64, 4, 2), f16(64, 2, 32), f16(64, 2, 32), f16(32, 2), f32(4)),
	},
	always(tensor.MatMul{}, q8(64, 4), f32(64, 4)),
	always(tensor.MatMulID{Exact: true}, q8(64, 4, 8), f32(64, 1, 2), i32(4, 2)),
	{func(r *rand.Rand) tensor.Op { return tensor.Copy{Type: randomType(r)} }, tensor.Copy{Type: tensor.Q8_0}, src(f32(64, 4))},
	{func(r *rand.Rand) tensor.Op { return tensor.Concat{Dim: randomDim(r)} }, tensor.Concat{Dim: 1}, src(f32(64, 4), f32(64, 2))},
	{func(r *rand.Rand) tensor.Op { return tensor.Repeat{Shape: randomShape(r)} }, tensor.Repeat{Shape: tensor.MakeShape(64, 4)}, src(f32(32))},
	{func(r *rand.Rand) tensor.Op { return tensor.RMSNorm{Eps: randomFloat(r)} }, tensor.RMSNorm{}, src(f32(64))},
	{func(r *rand.Rand) tensor.Op { return tensor.LayerNorm{Eps: randomFloat(r)} }, tensor.LayerNorm{}, src(f32(64))},
	{func(r *rand.Rand) tensor.Op { return tensor.L2Norm{Eps: randomFloat(r)} }, tensor.L2Norm{}, src(f32(64))},
	{randomRoPE, tensor.RoPE{Dims: 64, Base: 10000}, src(f32(64, 4, 2), i32(2), f32(32))},
	always(tensor.GetRows{}, q8(64, 4), i32(2)),
	always(tensor.SetRows{}, leaf(tensor.Cache, tensor.F16, 64, 8), f32(64, 4), i32(4)),
	{func(r *rand.Rand) tensor.Op { return tensor.TopK{K: randomSize(r)} }, tensor.TopK{K: 2}, src(f32(64, 4))},
	always(tensor.ArgSort{Descending: true}, f32(64, 4)),
	always(tensor.ArgMax{}, f32(64, 4)),
	always(tensor.SumRows{}, f32(64, 4)),
	always(tensor.SSMConv{}, f32(64, 4, 2), f32(8, 4)),
	{
		func(r *rand.Rand) tensor.Op { return tensor.GatedDeltaNet{States: randomSize(r)} },
		tensor.GatedDeltaNet{States: 2},
		src(f32(8, 2, 4), f32(8, 2, 4), f32(16, 2, 4), f32(1, 2, 4), f32(1, 2, 4), f32(8, 16, 2)),
	},
	{func(r *rand.Rand) tensor.Op { return tensor.Unary{Func: tensor.Func(r.IntN(tensor.Funcs() + 2))} }, tensor.Unary{}, src(f32(64))},
	{func(r *rand.Rand) tensor.Op {
		return tensor.GLU{Act: tensor.Func(r.IntN(tensor.Funcs() + 2)), OAI: r.IntN(4) == 0, Limit: randomFloat(r)}
	}, tensor.GLU{Act: tensor.SiLU}, src(f32(64), f32(64))},
	{func(r *rand.Rand) tensor.Op { return tensor.Reshape{Shape: randomShape(r)} }, tensor.Reshape{Shape: tensor.MakeShape(32, 8)}, src(q8(64, 4))},
	{func(r *rand.Rand) tensor.Op {
		return tensor.View{Shape: randomShape(r), Stride: randomStrides(r), Offset: 4 * randomSize(r)}
	}, tensor.View{Shape: tensor.MakeShape(4, 4), Stride: tensor.Strides{4, 256}, Offset: 64}, src(f32(64, 4))},
	{func(r *rand.Rand) tensor.Op {
		return tensor.Permute{Axes: [4]int{randomDim(r), randomDim(r), randomDim(r), randomDim(r)}}
	}, tensor.Permute{Axes: [4]int{0, 2, 1, 3}}, src(q8(64, 4, 2))},
}

// always is the case of an op whose parameters cannot be wrong.
func always(op tensor.Op, ts ...*tensor.Tensor) opCase {
	return opCase{func(*rand.Rand) tensor.Op { return op }, op, ts}
}

func randomRoPE(r *rand.Rand) tensor.Op {
	op := tensor.RoPE{Dims: int32(randomSize(r)), Mode: tensor.RoPEMode(r.IntN(7)), Base: randomFloat(r), Scale: randomFloat(r)}
	for i := range op.Sections {
		op.Sections[i] = int32(randomSize(r))
	}
	return op
}

func TestEveryKindIsTested(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	seen := make([]int, tensor.NumKinds())
	for _, c := range opCases {
		seen[c.good.Kind()]++
		if c.random(r).Kind() != c.good.Kind() {
			t.Errorf("the line of %s makes %s", c.good.Kind(), c.random(r).Kind())
		}
		if _, _, err := c.good.Infer(c.src); err != nil {
			t.Errorf("%s%+v over %v: %v", c.good.Kind(), c.good, c.src, err)
		}
	}
	for k, n := range seen {
		if n != 1 {
			t.Errorf("%s stands %d times in opCases, want once", tensor.Kind(k), n)
		}
	}
}

// Kinds are dense, and a kind's name is the name of its type: it is what people see in a plan.
func TestKindsAreDenseAndNamed(t *testing.T) {
	names := map[string]bool{}
	for _, c := range opCases {
		op := c.good
		k := op.Kind()
		if k < 0 || int(k) >= tensor.NumKinds() {
			t.Errorf("%T has kind %d of %d", op, k, tensor.NumKinds())
		}
		if got, want := k.String(), reflect.TypeOf(op).Name(); got != want {
			t.Errorf("the kind of %s is called %s", want, got)
		}
		names[k.String()] = true
	}
	if len(names) != tensor.NumKinds() {
		t.Errorf("%d names for %d kinds", len(names), tensor.NumKinds())
	}
}

// Ops are keys of maps and are compared with ==; a field that cannot be compared would panic there.
func TestOpsAreComparable(t *testing.T) {
	for _, c := range opCases {
		typ := reflect.TypeOf(c.good)
		if !typ.Comparable() || typ.Kind() != reflect.Struct {
			t.Errorf("%s is no comparable struct", typ)
			continue
		}
		zero := reflect.Zero(typ).Interface()
		if zero != reflect.Zero(typ).Interface() {
			t.Errorf("two zero %s differ", typ)
		}
		if n := map[any]int{zero: 2}[reflect.Zero(typ).Interface()]; n != 2 {
			t.Errorf("%s is no key of a map", typ)
		}
	}
}

func TestAliasersAndInPlacersNameASource(t *testing.T) {
	aliasers := map[string]bool{}
	for _, c := range opCases {
		op := c.good
		if p, ok := op.(tensor.InPlacer); ok {
			d, shape, _ := op.Infer(c.src)
			if x := c.src[p.InPlace()]; x.Type != d || x.Shape != shape {
				t.Errorf("%s: %s %v cannot be written over %v", op.Kind(), d, shape, x)
			}
			if _, both := op.(tensor.Aliaser); both {
				t.Errorf("%s both aliases and may be done in place", op.Kind())
			}
		}
		if _, ok := op.(tensor.Aliaser); ok {
			aliasers[op.Kind().String()] = true
		}
	}
	for _, name := range []string{"Reshape", "View", "Permute", "SetRows"} {
		if !aliasers[name] {
			t.Errorf("%s does not say where its result lies", name)
		}
	}
}

// Each op has an Example that prints what Infer gives, so that the shape line of its comment cannot drift.
func TestEveryOpHasAnExample(t *testing.T) {
	examples := map[string]bool{}
	files, err := filepath.Glob("example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			for _, c := range file.Comments {
				if c.Pos() > f.Pos() && c.End() < f.End() && strings.HasPrefix(c.Text(), "Output:") {
					examples[strings.TrimPrefix(f.Name.Name, "Example")] = true
				}
			}
		}
	}
	for k := range tensor.NumKinds() {
		if name := tensor.Kind(k).String(); !examples[name] {
			t.Errorf("%s has no Example%s with an Output", name, name)
		}
	}
}
