package quant

import (
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

// The classes of errors of this package, for errors.Is.
var (
	ErrUnsupported = errors.New("quant: unsupported type")
	ErrLength      = errors.New("quant: wrong length")
)

// UnsupportedError says that this package can neither read nor write a type. It matches [ErrUnsupported].
type UnsupportedError struct {
	Type tensor.DType
}

func (e *UnsupportedError) Error() string {
	if !e.Type.Valid() {
		return fmt.Sprintf("quant: %v is no type of GGUF", e.Type)
	}
	return fmt.Sprintf("quant: no code for %v", e.Type)
}

// Is reports whether target is the class of e.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

// LengthError says that a slice has another length than the format asks for. It matches [ErrLength].
type LengthError struct {
	Op       string // "decode" or "encode"
	Type     tensor.DType
	What     string // "values", "bytes" or "weights"
	Have     int
	Want     int
	Multiple bool // Want is the divisor of a right length, not the length
}

func (e *LengthError) Error() string {
	want := "want"
	if e.Multiple {
		want = "want a multiple of"
	}
	return fmt.Sprintf("quant: %s %v: have %d %s, %s %d", e.Op, e.Type, e.Have, e.What, want, e.Want)
}

// Is reports whether target is the class of e.
func (e *LengthError) Is(target error) bool { return target == ErrLength }
