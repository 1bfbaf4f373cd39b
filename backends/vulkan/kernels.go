//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

// kernel is how one kind of node is computed: see the package's doc.
type kernel struct {
	// supports returns why n cannot run on d, or "". It is asked before anything is allocated, and knows types, shapes,
	// strides and limits, not places.
	supports func(d *Device, n *tensor.Tensor) string
	// record adds the dispatches that compute n, which has elements.
	record func(r *recorder, n *tensor.Tensor) error
}

var kernels map[tensor.Kind]kernel

func init() { // not a literal: kernels refer to it through Compile
	kernels = map[tensor.Kind]kernel{
		tensor.Add{}.Kind():   {floatsOnly, recordBinary},
		tensor.Sub{}.Kind():   {floatsOnly, recordBinary},
		tensor.Mul{}.Kind():   {floatsOnly, recordBinary},
		tensor.Div{}.Kind():   {floatsOnly, recordBinary},
		tensor.Scale{}.Kind(): {floatsOnly, recordUnary},
		tensor.Clamp{}.Kind(): {floatsOnly, recordUnary},
		tensor.Unary{}.Kind(): {supportsUnary, recordUnary},
		tensor.GLU{}.Kind():   {floatsOnly, recordGLU},
		tensor.AddID{}.Kind(): {always, recordAddID},

		tensor.RMSNorm{}.Kind():   {always, recordNorm},
		tensor.LayerNorm{}.Kind(): {always, recordNorm},
		tensor.L2Norm{}.Kind():    {always, recordNorm},
		tensor.SumRows{}.Kind():   {always, recordNorm},
		tensor.SoftMax{}.Kind():   {always, recordSoftMax},
		tensor.RoPE{}.Kind():      {always, recordRoPE},
		tensor.TopK{}.Kind():      {always, recordSort},
		tensor.ArgSort{}.Kind():   {always, recordSort},
		tensor.ArgMax{}.Kind():    {always, recordArgMax},

		tensor.Copy{}.Kind():    {supportsCopy, recordCopy},
		tensor.Concat{}.Kind():  {supportsMove, recordConcat},
		tensor.Repeat{}.Kind():  {supportsMove, recordRepeat},
		tensor.GetRows{}.Kind(): {supportsGetRows, recordGetRows},
		tensor.SetRows{}.Kind(): {supportsSetRows, recordSetRows},

		tensor.MatMul{}.Kind():        {supportsMatMul, recordMatMul},
		tensor.MatMulID{}.Kind():      {supportsMatMul, recordMatMulID},
		tensor.FlashAttn{}.Kind():     {supportsFlashAttn, recordFlashAttn},
		tensor.SSMConv{}.Kind():       {always, recordSSMConv},
		tensor.GatedDeltaNet{}.Kind(): {supportsDeltaNet, recordDeltaNet},
	}
}

// isFloat reports whether kernels read t element by element as a float.
func isFloat(t tensor.DType) bool { return t == tensor.F32 || t == tensor.F16 || t == tensor.BF16 }

// floatsOnly wants F32, F16 or BF16 everywhere.
func floatsOnly(_ *Device, n *tensor.Tensor) string {
	for _, t := range append([]*tensor.Tensor{n}, n.Src...) {
		if t != nil && !isFloat(t.Type) {
			return fmt.Sprintf("%s is %s, want F32, F16 or BF16", label(t), t.Type)
		}
	}
	return ""
}

// always is for ops whose Infer lets nothing through that a kernel cannot do.
func always(*Device, *tensor.Tensor) string { return "" }

func label(t *tensor.Tensor) string {
	if t.Name != "" {
		return t.Name
	}
	return "a tensor"
}

// src returns source i of n, or nil.
func src(n *tensor.Tensor, i int) *tensor.Tensor {
	if i < len(n.Src) {
		return n.Src[i]
	}
	return nil
}
