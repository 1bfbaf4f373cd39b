//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
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

// weightTypes are the types that kernels decode, and are compiled for one by one.
var weightTypes = []tensor.DType{
	tensor.F32, tensor.F16, tensor.BF16, tensor.Q4_0, tensor.Q4_1, tensor.Q5_0, tensor.Q5_1, tensor.Q8_0, tensor.Q8_1, tensor.Q2_K,
	tensor.Q3_K, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.Q8_K, tensor.IQ4_NL, tensor.IQ4_XS, tensor.MXFP4,
}

// compiledKernels returns the constants of kernels that have some: each way to read a weight, or a few of them if it should be
// short.
func compiledKernels(short bool, arch string) map[string][]spec {
	wave := hip.WaveOf(arch)
	types := weightTypes
	if short {
		types = []tensor.DType{tensor.F16, tensor.Q4_K, tensor.MXFP4}
	}
	const gate = 1 + 2*uint32(tensor.SiLU)
	all := map[string][]spec{"delta_net": {{1}, {4}}, "norm_round": {{1}, {4}}, "glu": {{11, 0, 0}, {11, 1, 1}}}
	for _, t := range types {
		a, f32 := uint32(t), uint32(tensor.F32)
		all["matmul"] = append(all["matmul"], spec{a, f32, 1}, spec{a, f32, 4})
		all["matmul_tile"] = append(all["matmul_tile"], spec{a, f32, 0}, spec{a, f32, 1})
		all["matvec_f"] = append(all["matvec_f"], spec{a, 1, 2, 0, 4, 0, 0, 2}, spec{a, 4, 1, gate, 1, 0, 0, 1})
		if t.Quantized() {
			all["matvec"] = append(all["matvec"], spec{a, 1, 1, 0, 4, 0, 2}, spec{a, 8, 1, 0, 1, 0, 0}, spec{a, 1, 1, gate, 1, 1, 0})
		}
		for _, x := range tiles(wave) {
			if t != tensor.F32 {
				all["matmul_halves"] = append(all["matmul_halves"], spec{a, uint32(formOf(arch, wave, t)), uint32(x.bm), uint32(x.bn), uint32(x.wm), uint32(x.wn)})
			}
		}
	}
	for _, t := range []tensor.DType{tensor.F16, tensor.Q4_K, tensor.MXFP4} {
		a := uint32(t)
		all["matmul_id"] = append(all["matmul_id"], spec{a, uint32(tensor.F32)})
		all["flash_attn"] = append(all["flash_attn"], spec{a, a, 1, 32, 2, 7})
	}
	for _, t := range []tensor.DType{tensor.F16, tensor.Q8_0, tensor.F32, tensor.BF16, tensor.Q4_0} {
		if short && t != tensor.F16 && t != tensor.Q8_0 {
			continue
		}
		a := uint32(t)
		all["flash_rows"] = append(all["flash_rows"], spec{a, a, 128, 128, 4, 1, 2, 0}, spec{a, a, 64, 64, 1, 0, 1, 7})
		all["flash_tile"] = append(all["flash_tile"], spec{a, a, 128, 128, 32, 32, 1, 2, 0}, spec{a, a, 64, 64, 64, 32, 0, 1, 7})
	}
	if form := formOf(arch, wave, tensor.F16); form != plain32 && form != plain64 {
		all["flash_matrix"] = []spec{{uint32(form), 1, 1, 128, 128, 0, 2, 0}, {uint32(form), 8, 8, 64, 64, 1, 1, 7}}
	} else { // the kernel is not for these, and compiles all the same
		all["flash_matrix"] = []spec{{uint32(form), 1, 1, 64, 64, 0, 2, 0}}
	}
	all["flash_rows"] = append(all["flash_rows"], spec{1, 1, 576, 512, 2, 1, 0, 0})
	all["flash_tile"] = append(all["flash_tile"], spec{1, 1, 128, 128, 64, 64, 0, 2, 0}, spec{1, 1, 256, 256, 32, 32, 0, 2, 0}, spec{0, 0, 256, 256, 16, 16, 0, 0, 0})
	return all
}

// compiledLocal returns how many threads a block of a kernel has that compiledKernels gives these constants.
func compiledLocal(name string, sp spec, arch string) uint32 {
	waves := 4
	if name == "matmul_halves" {
		waves = tile{int(sp[2]), int(sp[3]), int(sp[4]), int(sp[5])}.waves()
	}
	return uint32(waves * hip.WaveOf(arch))
}
