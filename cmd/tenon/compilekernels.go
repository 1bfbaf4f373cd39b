package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/backends"
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

// kernelKeeper returns what writes the kernels of the one device that is measured to the file that --write-kernels names.
func (b *benchFlags) kernelKeeper() (func() error, error) {
	if b.kernels == "" {
		return func() error { return nil }, nil
	}
	if len(b.matrix.Devices) != 1 || len(b.matrix.Devices[0]) != 1 {
		return nil, usagef("--write-kernels wants one device: --device ROCm0")
	}
	dev, err := backends.Open(b.matrix.Devices[0][0])
	if err != nil {
		return nil, err
	}
	w, ok := dev.(backends.KernelWriter)
	if !ok {
		return nil, usagef("--write-kernels: %s compiles no kernels that can be written", b.matrix.Devices[0][0])
	}
	return func() error {
		f, err := os.Create(b.kernels)
		if err != nil {
			return err
		}
		return errors.Join(w.WriteKernels(f), f.Close())
	}, nil
}
