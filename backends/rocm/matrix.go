//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import "strings"

// matrixForm is how an architecture multiplies matrices: the numbers are those of matrix.h.
type matrixForm uint32

const (
	plain32 matrixForm = iota // fmaf or products of two halves, by waves of 32
	plain64
	wmma   // RDNA 3
	wmma12 // RDNA 4
	mfma   // CDNA
)

// matrixForms are the architectures with instructions for matrices of halves, by how their names begin.
var matrixForms = []struct {
	arch string
	form matrixForm
}{
	{"gfx908", mfma},
	{"gfx90a", mfma},
	{"gfx94", mfma},
	{"gfx95", mfma},
	{"gfx11", wmma},
	{"gfx12", wmma12},
}

// wave returns how many threads a wave has.
func (f matrixForm) wave() int {
	if f == plain64 || f == mfma {
		return 64
	}
	return 32
}

// formOf returns the form for an architecture, whose waves have so many threads.
func formOf(arch string, wave int) matrixForm {
	for _, f := range matrixForms {
		if strings.HasPrefix(arch, f.arch) && f.form.wave() == wave {
			return f.form
		}
	}
	if wave == 64 {
		return plain64
	}
	return plain32
}
