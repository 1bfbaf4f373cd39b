package tensor

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with an op, a graph or a binding. Errors of this package match one of these with
// errors.Is.
var (
	ErrShape = errors.New("wrong shape")
	ErrType  = errors.New("wrong type")
	ErrArity = errors.New("wrong number of sources")
	ErrGraph = errors.New("malformed graph")
	ErrBind  = errors.New("cannot bind")
)

// Op is what a node computes: a small comparable struct whose fields are the parameters.
// Two nodes with equal Ops compute the same function.
type Op interface {
	Kind() Kind
	// Infer returns type and shape of the result over src, or why there is none: an error that
	// matches ErrShape, ErrType or ErrArity. It is the only copy of the op's rule. It never panics,
	// whatever src holds; an absent optional source is nil.
	Infer(src []*Tensor) (DType, Shape, error)
}

// Aliaser is an Op whose result lies in the memory of one of its sources.
type Aliaser interface {
	Op
	// Alias returns which source that is, and where in it the result lies. It is called after Infer
	// has accepted src.
	Alias(src []*Tensor) (source, offset int, stride Strides)
}

// InPlacer is an Op that may write its result over one of its sources, if that has the result's type
// and shape, is packed, and is read by nobody later. A plan decides; the op only permits.
type InPlacer interface {
	Op
	InPlace() (source int)
}

// viewOp is an Aliaser that computes nothing.
type viewOp interface {
	Aliaser
	view()
}

// Kind is a dense index of op kinds, for tables and counters. Its number is not stable between
// versions; its name is.
type Kind int

var kindNames []string

// newKind gives a kind of op its number. It is called once by the file of each op.
func newKind(name string) Kind {
	kindNames = append(kindNames, name)
	return Kind(len(kindNames) - 1)
}

// NumKinds returns how many kinds there are: a Kind is below it.
func NumKinds() int { return len(kindNames) }

// String returns the op's name, such as "MatMul".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// OpError says which op was built wrongly, over what, and where.
type OpError struct {
	Op   Op
	Src  []*Tensor
	Site string // file:line of the call that built it, if known
	Err  error  // matches ErrShape, ErrType or ErrArity
}

// Error returns one line: op, call site, sources, reason.
func (e *OpError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tensor: %s", e.Op.Kind())
	if e.Site != "" {
		fmt.Fprintf(&b, " at %s", e.Site)
	}
	for i, s := range e.Src {
		if i == 0 {
			b.WriteString(" over ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(s.String())
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap returns the reason.
func (e *OpError) Unwrap() error { return e.Err }

// shapeErr and typeErr make the errors that Infer returns.
func shapeErr(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrShape, fmt.Sprintf(format, a...))
}

func typeErr(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrType, fmt.Sprintf(format, a...))
}

// need reports whether src holds the required sources and no more than all.
func need(src []*Tensor, required, all int) error {
	if len(src) < required || len(src) > all {
		if required == all {
			return fmt.Errorf("%w: %d, want %d", ErrArity, len(src), all)
		}
		return fmt.Errorf("%w: %d, want %d to %d", ErrArity, len(src), required, all)
	}
	for i, s := range src[:required] {
		if s == nil {
			return fmt.Errorf("%w: source %d is absent", ErrArity, i)
		}
	}
	return nil
}

// opt returns source i, or nil if it is absent.
func opt(src []*Tensor, i int) *Tensor {
	if i < len(src) {
		return src[i]
	}
	return nil
}

// float reports whether t is a type that arithmetic reads element by element.
func (t DType) float() bool { return t == F32 || t == F16 || t == BF16 }

// wantFloat reports whether all present tensors are F32, F16 or BF16.
func wantFloat(ts ...*Tensor) error {
	for _, t := range ts {
		if t != nil && !t.Type.float() {
			return typeErr("%s is %s, want F32, F16 or BF16", label(t), t.Type)
		}
	}
	return nil
}

// wantF32 reports whether all present tensors are F32.
func wantF32(ts ...*Tensor) error {
	for _, t := range ts {
		if t != nil && t.Type != F32 {
			return typeErr("%s is %s, want F32", label(t), t.Type)
		}
	}
	return nil
}

func label(t *Tensor) string {
	if t.Name != "" {
		return t.Name
	}
	return "a source"
}
