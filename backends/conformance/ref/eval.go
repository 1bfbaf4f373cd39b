package ref

import (
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// Eval returns the result of n over src, the content of its sources; an absent source is the zero
// Value. Errors: a *backends.IndexError, or backends.ErrUnsupported for an op that there is no
// reference for.
func Eval(n *tensor.Tensor, src []Value) (Value, error) {
	switch op := n.Op.(type) {
	case tensor.Add, tensor.Sub, tensor.Mul, tensor.Div:
		return binary2(n, src), nil
	case tensor.AddID:
		return addID(n, src)
	case tensor.Scale:
		return scale(op, n, src), nil
	case tensor.Clamp:
		return clamp(op, n, src), nil
	case tensor.SoftMax:
		return softMax(op, n, src), nil
	case tensor.FlashAttn:
		return flashAttn(op, n, src), nil
	case tensor.MatMul:
		return matMul(n, src), nil
	case tensor.MatMulID:
		return matMulID(n, src)
	case tensor.Copy:
		return copied(n, src)
	case tensor.Concat:
		return concat(op, n, src), nil
	case tensor.Repeat:
		return repeat(n, src), nil
	case tensor.RMSNorm:
		return rmsNorm(op, n, src), nil
	case tensor.LayerNorm:
		return layerNorm(op, n, src), nil
	case tensor.L2Norm:
		return l2Norm(op, n, src), nil
	case tensor.RoPE:
		return rope(op, n, src), nil
	case tensor.GetRows:
		return getRows(n, src)
	case tensor.SetRows:
		return setRows(n, src)
	case tensor.TopK:
		return topK(op, n, src), nil
	case tensor.ArgSort:
		return argSort(op, n, src), nil
	case tensor.ArgMax:
		return argMax(n, src), nil
	case tensor.SumRows:
		return sumRows(n, src), nil
	case tensor.Unary:
		return unary(op, n, src)
	case tensor.GLU:
		return glu(op, n, src)
	case tensor.SSMConv:
		return ssmConv(n, src), nil
	case tensor.GatedDeltaNet:
		return deltaNet(op, n, src), nil
	}
	return Value{}, fmt.Errorf("ref: %w: no reference for %s", backends.ErrUnsupported, n.Op.Kind())
}

// present reports whether optional source i is there.
func present(n *tensor.Tensor, i int) bool { return i < len(n.Src) && n.Src[i] != nil }

// checkIndex returns a *backends.IndexError if i is no row of rows.
func checkIndex(n *tensor.Tensor, i int64, rows int) error {
	if i < 0 || i >= int64(rows) {
		return &backends.IndexError{Node: n.Name, Op: n.Op.Kind(), Index: i, Rows: rows}
	}
	return nil
}
