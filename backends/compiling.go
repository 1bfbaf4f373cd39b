package backends

import "io"

// KernelCompiler is a Device that compiles kernels when a Program that needs them is compiled: what no earlier process has kept may take
// seconds.
type KernelCompiler interface {
	Device
	// OnCompile has progress called while kernels are compiled, by one goroutine at a time: with 0 done first, and with total at the end.
	// It takes the place of the one before; nil ends it.
	OnCompile(progress func(done, total int))
}

// KernelWriter is a KernelCompiler that hands out what it has compiled, so that a program can bring it along: how is the backend's to say.
type KernelWriter interface {
	KernelCompiler
	// WriteKernels writes an archive of the kernels that were compiled or loaded so far. It is an error if there are none.
	WriteKernels(w io.Writer) error
}
