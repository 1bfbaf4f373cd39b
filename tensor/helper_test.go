package tensor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// leaf returns a packed leaf of the given sizes. Its sizes are written in a test, so a bad one panics.
func leaf(role tensor.Role, t tensor.DType, sizes ...int) *tensor.Tensor {
	x, err := tensor.NewLeaf(role, "", t, tensor.MakeShape(sizes...))
	if err != nil {
		panic(err)
	}
	return x
}

func f32(sizes ...int) *tensor.Tensor { return leaf(tensor.Input, tensor.F32, sizes...) }
func f16(sizes ...int) *tensor.Tensor { return leaf(tensor.Input, tensor.F16, sizes...) }
func i32(sizes ...int) *tensor.Tensor { return leaf(tensor.Input, tensor.I32, sizes...) }
func q8(sizes ...int) *tensor.Tensor  { return leaf(tensor.Weight, tensor.Q8_0, sizes...) }

// src makes a list of sources readable in a table.
func src(ts ...*tensor.Tensor) []*tensor.Tensor { return ts }

// wantError checks that err matches sentinel and that its text holds every part.
func wantError(t *testing.T, err, sentinel error, parts ...string) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("error is %v, want one that matches %q", err, sentinel)
		return
	}
	missing := slices.DeleteFunc(parts, func(p string) bool { return strings.Contains(err.Error(), p) })
	if len(missing) > 0 {
		t.Errorf("error %q does not say %q", err, missing)
	}
}
