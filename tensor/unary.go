package tensor

import "fmt"

// Func names a function of one number.
type Func uint8

// The functions. GELU is the tanh approximation, GELUErf the exact one by the error function and
// GELUQuick x*sigmoid(1.702x). Round rounds half away from zero; Step is 1 above 0 and 0 elsewhere;
// Sgn of 0 is 0. Of NaN, Step and Sgn are 0 and every other function is NaN.
const (
	Abs Func = iota
	Sgn
	Neg
	Step
	Tanh
	ELU
	ReLU
	Sigmoid
	GELU
	GELUQuick
	GELUErf
	SiLU
	HardSwish
	HardSigmoid
	Exp
	Expm1
	Softplus
	Floor
	Ceil
	Round
	Trunc
	Sqr
	Sqrt
	Log
	Sin
	Cos
	numFuncs
)

var funcNames = [numFuncs]string{
	"Abs", "Sgn", "Neg", "Step", "Tanh", "ELU", "ReLU", "Sigmoid", "GELU", "GELUQuick", "GELUErf", "SiLU", "HardSwish",
	"HardSigmoid", "Exp", "Expm1", "Softplus", "Floor", "Ceil", "Round", "Trunc", "Sqr", "Sqrt", "Log", "Sin", "Cos",
}

// String returns the function's name, such as "SiLU".
func (f Func) String() string {
	if f < numFuncs {
		return funcNames[f]
	}
	return fmt.Sprintf("Func(%d)", uint8(f))
}

// Funcs returns how many functions there are: a Func is below it.
func Funcs() int { return int(numFuncs) }

// Unary is Func of x, element by element.
//
//	x F32|F16|BF16    dst like x
type Unary struct{ Func Func }

var kindUnary = newKind("Unary")

func (Unary) Kind() Kind { return kindUnary }

// InPlace implements InPlacer.
func (Unary) InPlace() int { return 0 }

// Infer implements Op.
func (op Unary) Infer(src []*Tensor) (DType, Shape, error) {
	if op.Func >= numFuncs {
		return 0, Shape{}, typeErr("no function %s", op.Func)
	}
	return inferUnary(src)
}

// Unary returns f(x); see type Unary.
func (b *Builder) Unary(f Func, x *Tensor) *Tensor { return b.Apply(Unary{f}, x) }

// SiLU returns x*sigmoid(x).
func (b *Builder) SiLU(x *Tensor) *Tensor { return b.Unary(SiLU, x) }

// SoftCap returns limit * tanh(x / limit).
func (b *Builder) SoftCap(x *Tensor, limit float32) *Tensor {
	return b.Scale(b.Unary(Tanh, b.Scale(x, 1/limit)), limit)
}

// GLU is a gated linear unit: Act(gate) * up, element by element. The OAI form clamps first:
// g = min(gate, Limit), u = clamp(up, -Limit, Limit), g * sigmoid(Alpha*g) * (u + 1).
//
//	gate F32|F16|BF16    up like gate    dst like gate
//
// Errors: ErrShape if gate and up differ, ErrType if Act is not ReLU, GELU, GELUErf, GELUQuick or SiLU,
// or is not SiLU in the OAI form. Source: arXiv:2002.05202.
type GLU struct {
	Act          Func
	OAI          bool
	Alpha, Limit float32 // of the OAI form
}

var kindGLU = newKind("GLU")

func (GLU) Kind() Kind { return kindGLU }

// InPlace implements InPlacer.
func (GLU) InPlace() int { return 0 }

// Infer implements Op.
func (op GLU) Infer(src []*Tensor) (DType, Shape, error) {
	if err := need(src, 2, 2); err != nil {
		return 0, Shape{}, err
	}
	switch op.Act {
	case ReLU, GELU, GELUErf, GELUQuick, SiLU:
	default:
		return 0, Shape{}, typeErr("%s is no gate", op.Act)
	}
	if op.OAI && op.Act != SiLU {
		return 0, Shape{}, typeErr("the OAI form gates by SiLU, not %s", op.Act)
	}
	gate, up := src[0], src[1]
	if err := wantFloat(gate); err != nil {
		return 0, Shape{}, err
	}
	if gate.Type != up.Type {
		return 0, Shape{}, typeErr("gate is %s, up is %s", gate.Type, up.Type)
	}
	if gate.Shape != up.Shape {
		return 0, Shape{}, shapeErr("gate is %v, up is %v", gate.Shape, up.Shape)
	}
	return gate.Type, gate.Shape, nil
}

// GLU returns act(gate) * up; see type GLU.
func (b *Builder) GLU(act Func, gate, up *Tensor) *Tensor { return b.Apply(GLU{Act: act}, gate, up) }
