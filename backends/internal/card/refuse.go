package card

import (
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

const (
	// maxHead is how large a head attention takes: the query lies in shared memory, the result in registers.
	maxHead = 1024
	// lastFunc is the last function that kernel unary knows.
	lastFunc = tensor.Cos
)

// Refuses says why no kernel takes n, or "": it knows types, shapes and strides.
func Refuses(n *tensor.Tensor) string {
	if why := tooLarge(n); why != "" {
		return why
	}
	switch op := n.Op.(type) {
	case tensor.Add, tensor.Sub, tensor.Mul, tensor.Div, tensor.Scale, tensor.Clamp, tensor.GLU:
		return floatsOnly(n)
	case tensor.Unary:
		if op.Func > lastFunc {
			return "there is no kernel for " + op.Func.String()
		}
		return floatsOnly(n)
	case tensor.Copy:
		return refusesCopy(n)
	case tensor.Concat, tensor.Repeat:
		if _, ok := SizeType(n.Type); !ok || n.Type.Quantized() {
			return fmt.Sprintf("no kernel moves elements of %s", n.Type)
		}
	case tensor.GetRows:
		if t := n.Src[0].Type; !Decodable(t) && !IsInteger(t) {
			return fmt.Sprintf("rows are %s, which no kernel decodes", t)
		}
	case tensor.SetRows:
		if !Decodable(n.Type) {
			return fmt.Sprintf("there is no encoder for %s", n.Type)
		}
	case tensor.MatMul, tensor.MatMulID:
		if a := n.Src[0]; !Decodable(a.Type) {
			return fmt.Sprintf("%s is %s, which no kernel decodes", label(a), a.Type)
		}
	case tensor.FlashAttn:
		return refusesFlashAttn(n)
	}
	return ""
}

// tooLarge says why the kernels' 32-bit counts and strides do not hold n or a source.
func tooLarge(n *tensor.Tensor) string {
	for _, t := range append([]*tensor.Tensor{n}, n.Src...) {
		if t == nil {
			continue
		}
		if t.Shape.Elems() >= 1<<32-1 {
			return fmt.Sprintf("%v has 2^32 elements or more", t)
		}
		for i, s := range t.Stride {
			if t.Shape[i] > 1 && s >= 1<<32 {
				return fmt.Sprintf("%v has a stride of %d bytes", t, s)
			}
		}
	}
	return ""
}

// floatsOnly wants F32, F16 or BF16 everywhere.
func floatsOnly(n *tensor.Tensor) string {
	for _, t := range append([]*tensor.Tensor{n}, n.Src...) {
		if t != nil && !IsFloat(t.Type) {
			return fmt.Sprintf("%s is %s, want F32, F16 or BF16", label(t), t.Type)
		}
	}
	return ""
}

func refusesCopy(n *tensor.Tensor) string {
	from, to := n.Src[0].Type, n.Type
	switch {
	case from == to:
		if _, bytes := to.Block(); bytes == 0 {
			return fmt.Sprintf("the layout of %s is unknown", to)
		}
		return ""
	case from == tensor.F64 || to == tensor.F64:
		if !IsFloat(from) && !IsFloat(to) {
			return fmt.Sprintf("there is no conversion from %s to %s", from, to)
		}
		return ""
	case !Decodable(from) && !IsInteger(from):
		return fmt.Sprintf("the source is %s, which no kernel decodes", from)
	case !Decodable(to) && !IsInteger(to):
		return fmt.Sprintf("there is no encoder for %s", to)
	}
	return ""
}

func refusesFlashAttn(n *tensor.Tensor) string {
	for _, t := range n.Src[1:3] {
		if !Decodable(t.Type) {
			return fmt.Sprintf("%s is %s, which no kernel decodes", label(t), t.Type)
		}
		if t.Shape[0] > maxHead {
			return fmt.Sprintf("heads of %d, more than %d", t.Shape[0], maxHead)
		}
	}
	return ""
}

func label(t *tensor.Tensor) string {
	if t.Name != "" {
		return t.Name
	}
	return "a tensor"
}

// RefusesFusion says why nodes, each of which has a kernel, cannot be one, or "".
func RefusesFusion(f backends.Fusion, n []*tensor.Tensor) string {
	switch f {
	case backends.RMSNormMul, backends.AddRMSNormMul:
		last := n[len(n)-1]
		repeated := []*tensor.Tensor{last.Src[1]}
		if len(n) == 3 {
			repeated = append(repeated, n[0].Src[1])
		}
		for _, t := range repeated {
			if !repeatsWhole(t, last.Shape) {
				return fmt.Sprintf("%v is repeated within a dimension of %v", t, last.Shape)
			}
		}
	case backends.RoPESetRows:
		if t := n[1].Type; t.Quantized() {
			return fmt.Sprintf("the cache is %s, whose blocks are rounded as a whole", t)
		}
	case backends.SoftCap:
		if t := n[0].Type; t != tensor.F32 {
			return fmt.Sprintf("between its steps numbers would not be rounded to %s", t)
		}
	}
	return ""
}

// repeatsWhole reports whether t has, in each dimension, the size of s or 1: then strides of 0 repeat it.
func repeatsWhole(t *tensor.Tensor, s tensor.Shape) bool {
	for d := range s {
		if t.Shape[d] != s[d] && t.Shape[d] != 1 {
			return false
		}
	}
	return true
}
