//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"github.com/tenon-go/tenon/tensor"
)

// kernel is how one kind of node is computed: see the package's doc.
type kernel struct {
	// supports returns why n, which card.Refuses lets through, cannot run on d, or "". It is asked before anything is allocated, and knows types,
	// shapes, strides and limits, not places. Nil is for every device.
	supports func(d *Device, n *tensor.Tensor) string
	// record adds the dispatches that compute n, which has elements.
	record func(r *recorder, n *tensor.Tensor) error
}

var kernels map[tensor.Kind]kernel

func init() { // not a literal: kernels refer to it through Compile
	kernels = map[tensor.Kind]kernel{
		tensor.Add{}.Kind():   {record: recordBinary},
		tensor.Sub{}.Kind():   {record: recordBinary},
		tensor.Mul{}.Kind():   {record: recordBinary},
		tensor.Div{}.Kind():   {record: recordBinary},
		tensor.Scale{}.Kind(): {record: recordUnary},
		tensor.Clamp{}.Kind(): {record: recordUnary},
		tensor.Unary{}.Kind(): {record: recordUnary},
		tensor.GLU{}.Kind():   {record: recordGLU},
		tensor.AddID{}.Kind(): {record: recordAddID},

		tensor.RMSNorm{}.Kind():   {record: recordNorm},
		tensor.LayerNorm{}.Kind(): {record: recordNorm},
		tensor.L2Norm{}.Kind():    {record: recordNorm},
		tensor.SumRows{}.Kind():   {record: recordNorm},
		tensor.SoftMax{}.Kind():   {record: recordSoftMax},
		tensor.RoPE{}.Kind():      {record: recordRoPE},
		tensor.TopK{}.Kind():      {record: recordSort},
		tensor.ArgSort{}.Kind():   {record: recordSort},
		tensor.ArgMax{}.Kind():    {record: recordArgMax},

		tensor.Copy{}.Kind():    {record: recordCopy},
		tensor.Concat{}.Kind():  {record: recordConcat},
		tensor.Repeat{}.Kind():  {record: recordRepeat},
		tensor.GetRows{}.Kind(): {record: recordGetRows},
		tensor.SetRows{}.Kind(): {record: recordSetRows},

		tensor.MatMul{}.Kind():        {record: recordMatMul},
		tensor.MatMulID{}.Kind():      {record: recordMatMulID},
		tensor.FlashAttn{}.Kind():     {record: recordFlashAttn},
		tensor.SSMConv{}.Kind():       {record: recordSSMConv},
		tensor.GatedDeltaNet{}.Kind(): {supportsDeltaNet, recordDeltaNet},
	}
}

// src returns source i of n, or nil.
func src(n *tensor.Tensor, i int) *tensor.Tensor {
	if i < len(n.Src) {
		return n.Src[i]
	}
	return nil
}
