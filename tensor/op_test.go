package tensor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// randomOp makes an op of each kind, with parameters that are good or hostile. A new op needs a line here:
// TestEveryKindIsTested counts.
var randomOp = []func(r *rand.Rand) tensor.Op{
	func(*rand.Rand) tensor.Op { return tensor.Add{} },
	func(*rand.Rand) tensor.Op { return tensor.Sub{} },
	func(*rand.Rand) tensor.Op { return tensor.Mul{} },
	func(*rand.Rand) tensor.Op { return tensor.Div{} },
	func(*rand.Rand) tensor.Op { return tensor.AddID{} },
	func(r *rand.Rand) tensor.Op { return tensor.Scale{Scale: randomFloat(r), Bias: randomFloat(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.Clamp{Min: randomFloat(r), Max: randomFloat(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.SoftMax{Scale: randomFloat(r), MaxBias: randomFloat(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.FlashAttn{Scale: randomFloat(r), SoftCap: randomFloat(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.MatMul{Exact: r.IntN(2) == 0} },
	func(r *rand.Rand) tensor.Op { return tensor.MatMulID{Exact: r.IntN(2) == 0} },
	func(r *rand.Rand) tensor.Op { return tensor.Copy{Type: randomType(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.Concat{Dim: randomDim(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.Repeat{Shape: randomShape(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.RMSNorm{Eps: randomFloat(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.LayerNorm{Eps: randomFloat(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.L2Norm{Eps: randomFloat(r)} },
	func(r *rand.Rand) tensor.Op {
		op := tensor.RoPE{Dims: int32(randomSize(r)), Mode: tensor.RoPEMode(r.IntN(7)), Base: randomFloat(r), Scale: randomFloat(r)}
		for i := range op.Sections {
			op.Sections[i] = int32(randomSize(r))
		}
		return op
	},
	func(*rand.Rand) tensor.Op { return tensor.GetRows{} },
	func(*rand.Rand) tensor.Op { return tensor.SetRows{} },
	func(r *rand.Rand) tensor.Op { return tensor.TopK{K: randomSize(r)} },
	func(r *rand.Rand) tensor.Op { return tensor.ArgSort{Descending: r.IntN(2) == 0} },
	func(*rand.Rand) tensor.Op { return tensor.ArgMax{} },
	func(*rand.Rand) tensor.Op { return tensor.SumRows{} },
	func(r *rand.Rand) tensor.Op { return tensor.Unary{Func: tensor.Func(r.IntN(tensor.Funcs() + 2))} },
	func(r *rand.Rand) tensor.Op {
		return tensor.GLU{Act: tensor.Func(r.IntN(tensor.Funcs() + 2)), OAI: r.IntN(4) == 0, Limit: randomFloat(r)}
	},
	func(r *rand.Rand) tensor.Op { return tensor.Reshape{Shape: randomShape(r)} },
	func(r *rand.Rand) tensor.Op {
		return tensor.View{Shape: randomShape(r), Stride: randomStrides(r), Offset: 4 * randomSize(r)}
	},
	func(r *rand.Rand) tensor.Op {
		return tensor.Permute{Axes: [4]int{randomDim(r), randomDim(r), randomDim(r), randomDim(r)}}
	},
}

func TestEveryKindIsTested(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	seen := make([]int, tensor.NumKinds())
	for _, make := range randomOp {
		seen[make(r).Kind()]++
	}
	for k, n := range seen {
		if n != 1 {
			t.Errorf("%s stands %d times in randomOp, want once", tensor.Kind(k), n)
		}
	}
}

// Kinds are dense, and a kind's name is the name of its type: it is what people see in a plan.
func TestKindsAreDenseAndNamed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	names := map[string]bool{}
	for _, make := range randomOp {
		op := make(r)
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
	for i, make := range randomOp {
		op := make(rand.New(rand.NewPCG(7, uint64(i))))
		typ := reflect.TypeOf(op)
		if !typ.Comparable() || typ.Kind() != reflect.Struct {
			t.Errorf("%s is no comparable struct", typ)
			continue
		}
		zero := reflect.Zero(typ).Interface()
		if zero != reflect.Zero(typ).Interface() {
			t.Errorf("two zero %s differ", typ)
		}
		if n := map[any]int{op: 1, zero: 2}[zero]; n != 2 {
			t.Errorf("%s is no key of a map", typ)
		}
	}
}

func TestAliasersAndInPlacersNameASource(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	aliasers := map[string]bool{}
	for _, make := range randomOp {
		op := make(r)
		if p, ok := op.(tensor.InPlacer); ok {
			if p.InPlace() != 0 {
				t.Errorf("%s writes over source %d, which its Infer does not make the result's like", op.Kind(), p.InPlace())
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
	for _, name := range []string{"example_test.go", "example_move_test.go"} {
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
