package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/backends/rocm"
)

// compileKernels is the command that a process of tenon runs to compile kernels for another.
const compileKernels = "compile-kernels"

// useCompilers has kernels for AMD's cards compiled by processes of this program.
func useCompilers() {
	if self, err := os.Executable(); err == nil {
		rocm.UseCompilers(self, compileKernels)
	}
}

func (a *app) compileKernelsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    compileKernels,
		Short:  "Compile kernels for another tenon",
		Hidden: true,
		Args:   wantArgs(),
		RunE:   func(*cobra.Command, []string) error { return rocm.ServeCompiler(a.stdin, a.stdout) },
	}
}
