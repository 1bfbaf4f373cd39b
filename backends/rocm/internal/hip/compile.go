//go:build linux && (amd64 || arm64) && (cgo || rocm)

package hip

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// CompileError is what the compiler says of a source.
type CompileError struct {
	Name string // of the source
	Arch string
	Log  string
	Err  error
}

// Error returns one line and the compiler's own.
func (e *CompileError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("compiling %s for %s: %v\n%s", e.Name, e.Arch, e.Err, e.Log))
}

// Unwrap returns the error code.
func (e *CompileError) Unwrap() error { return e.Err }

// CompilerVersion returns the version of hiprtc, such as "5.2".
func (r *Runtime) CompilerVersion() string {
	var major, minor int32
	if r.f.hiprtcVersion.addr == 0 {
		return ""
	}
	if err := r.call(&r.f.hiprtcVersion, uintptr(unsafe.Pointer(&major)), uintptr(unsafe.Pointer(&minor))); err != nil {
		return ""
	}
	return fmt.Sprintf("%d.%d", major, minor)
}

// Compile compiles a source for an architecture. Headers are by name; options are the compiler's. It needs no device. Before version 6
// the compiler is not safe for several threads: they take turns.
func (r *Runtime) Compile(name, source string, headers map[string]string, arch string, options []string) ([]byte, error) {
	if r.Major < 6 {
		r.compiling.Lock()
		defer r.compiling.Unlock()
	}
	var keep [][]byte // C strings
	c := func(s string) unsafe.Pointer {
		b := append([]byte(s), 0)
		keep = append(keep, b)
		return unsafe.Pointer(&b[0])
	}
	var names, texts []unsafe.Pointer
	for n, text := range headers {
		names, texts = append(names, c(n)), append(texts, c(text))
	}
	opts := []unsafe.Pointer{c("--offload-arch=" + arch)}
	for _, o := range options {
		opts = append(opts, c(o))
	}
	var prog uintptr
	src, own := append([]byte(source), 0), append([]byte(name), 0)
	err := r.call(&r.f.hiprtcCreateProgram, uintptr(unsafe.Pointer(&prog)), uintptr(unsafe.Pointer(&src[0])), uintptr(unsafe.Pointer(&own[0])), uintptr(len(names)), uintptr(unsafe.Pointer(unsafe.SliceData(texts))), uintptr(unsafe.Pointer(unsafe.SliceData(names))))
	if err != nil {
		return nil, &CompileError{Name: name, Arch: arch, Err: err}
	}
	err = r.call(&r.f.hiprtcCompileProgram, prog, uintptr(len(opts)), uintptr(unsafe.Pointer(unsafe.SliceData(opts))))
	runtime.KeepAlive(keep)
	var code []byte
	if err == nil {
		code, err = r.fetch(&r.f.hiprtcGetCodeSize, &r.f.hiprtcGetCode, prog)
	}
	if err != nil {
		log, _ := r.fetch(&r.f.hiprtcGetProgramLogSize, &r.f.hiprtcGetProgramLog, prog)
		err = &CompileError{Name: name, Arch: arch, Log: cString(log), Err: err}
	}
	if e := r.call(&r.f.hiprtcDestroyProgram, uintptr(unsafe.Pointer(&prog))); err == nil && e != nil {
		err = e
	}
	return code, err
}

// fetch reads something of a program whose size is asked first.
func (r *Runtime) fetch(size, get *function, prog uintptr) ([]byte, error) {
	var n uintptr
	if err := r.call(size, prog, uintptr(unsafe.Pointer(&n))); err != nil || n == 0 {
		return nil, err
	}
	b := make([]byte, n)
	err := r.call(get, prog, uintptr(unsafe.Pointer(&b[0])))
	return b, err
}
