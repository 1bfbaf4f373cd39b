//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"strings"

	"github.com/tenon-go/tenon/tensor"
)

// matrixForm is how an architecture multiplies matrices: the numbers are those of matrix.h.
type matrixForm uint32

const (
	plain32 matrixForm = iota // fmaf or products of two halves, by waves of 32
	plain64
	wmma   // RDNA 3
	wmma12 // RDNA 4
	mfma   // CDNA
)

// matrixForms are the architectures with instructions for matrices, by how their names begin: for halves, and for BF16. A new one is a line
// here, and a form in matrix.h if it spreads elements in another way.
var matrixForms = []struct {
	arch       string
	f16, brain matrixForm
}{
	{"gfx908", mfma, plain64}, // which has BF16 in fours alone
	{"gfx90a", mfma, mfma},
	{"gfx94", mfma, mfma},
	{"gfx95", mfma, mfma},
	{"gfx11", wmma, wmma},
	{"gfx12", wmma12, wmma12},
}

// wave returns how many threads a wave has.
func (f matrixForm) wave() int {
	if f == plain64 || f == mfma {
		return 64
	}
	return 32
}

// formOf returns the form in which an architecture, whose waves have so many threads, multiplies with weights of a type.
func formOf(arch string, wave int, weights tensor.DType) matrixForm {
	for _, f := range matrixForms {
		if !strings.HasPrefix(arch, f.arch) || f.f16.wave() != wave {
			continue
		}
		if weights == tensor.BF16 {
			return f.brain
		}
		return f.f16
	}
	if wave == 64 {
		return plain64
	}
	return plain32
}
