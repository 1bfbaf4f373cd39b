//go:build linux && (amd64 || arm64) && (cgo || rocm)

package hip

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Handles of the runtime.
type (
	Stream   uintptr
	Event    uintptr
	Module   uintptr
	Function uintptr
	Graph    uintptr // an executable one
)

const (
	streamNonBlocking  = 1
	eventDisableTiming = 2
	captureRelaxed     = 2
	copyDefault        = 4 // the runtime looks where addresses lie
	hostMapped         = 2
	registerMapped     = 2
	registerReadOnly   = 8
)

// Malloc allocates memory of the entered device, and Free frees it.
func (r *Runtime) Malloc(n int64) (uintptr, error) {
	var p uintptr
	err := r.call(&r.f.hipMalloc, uintptr(unsafe.Pointer(&p)), uintptr(n))
	return p, err
}

// Free waits for what is under way.
func (r *Runtime) Free(p uintptr) error { return r.call(&r.f.hipFree, p) }

// HostMalloc allocates memory of the host that does not move, and which devices can address; HostFree frees it.
func (r *Runtime) HostMalloc(n int64) (uintptr, error) {
	var p uintptr
	err := r.call(&r.f.hipHostMalloc, uintptr(unsafe.Pointer(&p)), uintptr(n), hostMapped)
	return p, err
}

// HostFree frees what HostMalloc allocated.
func (r *Runtime) HostFree(p uintptr) error { return r.call(&r.f.hipHostFree, p) }

// CanRegister reports whether HostRegister is there.
func (r *Runtime) CanRegister() bool {
	return r.f.hipHostRegister.addr != 0 && r.f.hipHostUnregister.addr != 0 && r.f.hipHostGetDevicePointer.addr != 0
}

// HostRegister lets devices address memory of the host: whole pages, which stay where they are until HostUnregister. It returns the entered
// device's address of them. Pages that may only be read are registered as such, where the driver knows that.
func (r *Runtime) HostRegister(p unsafe.Pointer, n int64) (uintptr, error) {
	err := r.call(&r.f.hipHostRegister, uintptr(p), uintptr(n), registerMapped)
	if err != nil {
		if r.call(&r.f.hipHostRegister, uintptr(p), uintptr(n), registerMapped|registerReadOnly) != nil {
			return 0, err // what the usual way says
		}
	}
	var at uintptr
	if err := r.call(&r.f.hipHostGetDevicePointer, uintptr(unsafe.Pointer(&at)), uintptr(p), 0); err != nil {
		return 0, errors.Join(err, r.HostUnregister(p))
	}
	return at, nil
}

// HostUnregister ends what HostRegister began.
func (r *Runtime) HostUnregister(p unsafe.Pointer) error {
	return r.call(&r.f.hipHostUnregister, uintptr(p))
}

// Copy copies on a stream, between memory of devices and of HostMalloc.
func (r *Runtime) Copy(a *Args, s Stream, dst, src uintptr, n int64) error {
	a[0], a[1], a[2], a[3], a[4] = dst, src, uintptr(n), copyDefault, uintptr(s)
	return r.quick(&r.f.hipMemcpyAsync, a, 5)
}

// Fill sets bytes on a stream.
func (r *Runtime) Fill(a *Args, s Stream, dst uintptr, value byte, n int64) error {
	a[0], a[1], a[2], a[3] = dst, uintptr(value), uintptr(n), uintptr(s)
	return r.quick(&r.f.hipMemsetAsync, a, 4)
}

// NewStream makes a stream of the entered device that waits for no other.
func (r *Runtime) NewStream() (Stream, error) {
	var s Stream
	err := r.call(&r.f.hipStreamCreateWithFlags, uintptr(unsafe.Pointer(&s)), streamNonBlocking)
	return s, err
}

// DestroyStream frees a stream.
func (r *Runtime) DestroyStream(s Stream) error { return r.call(&r.f.hipStreamDestroy, uintptr(s)) }

// Synchronize waits for a stream.
func (r *Runtime) Synchronize(s Stream) error {
	return r.call(&r.f.hipStreamSynchronize, uintptr(s))
}

// NewEvent makes an event that tells no time.
func (r *Runtime) NewEvent() (Event, error) {
	var e Event
	err := r.call(&r.f.hipEventCreateWithFlags, uintptr(unsafe.Pointer(&e)), eventDisableTiming)
	return e, err
}

// NewTimedEvent makes an event that tells when it happened.
func (r *Runtime) NewTimedEvent() (Event, error) {
	var e Event
	err := r.call(&r.f.hipEventCreateWithFlags, uintptr(unsafe.Pointer(&e)), 0)
	return e, err
}

// Elapsed returns how many milliseconds lie between two timed events that have happened.
func (r *Runtime) Elapsed(from, to Event) (float32, error) {
	if r.f.hipEventElapsedTime.addr == 0 {
		return 0, fmt.Errorf("%w: it has no hipEventElapsedTime", ErrTooOld)
	}
	var ms float32
	err := r.call(&r.f.hipEventElapsedTime, uintptr(unsafe.Pointer(&ms)), uintptr(from), uintptr(to))
	return ms, err
}

// DestroyEvent frees an event.
func (r *Runtime) DestroyEvent(e Event) error { return r.call(&r.f.hipEventDestroy, uintptr(e)) }

// Record lets e happen when what the stream has got so far is done.
func (r *Runtime) Record(a *Args, e Event, s Stream) error {
	a[0], a[1] = uintptr(e), uintptr(s)
	return r.quick(&r.f.hipEventRecord, a, 2)
}

// Happened reports whether e has.
func (r *Runtime) Happened(a *Args, e Event) (bool, error) {
	a[0] = uintptr(e)
	rc, _, _ := purego.SyscallN(r.f.hipEventQuery.addr, a[:1]...)
	if int32(rc) == codeNotReady {
		return false, nil
	}
	err := r.code(&r.f.hipEventQuery, rc)
	return err == nil, err
}

// Load loads code that was compiled for the entered device.
func (r *Runtime) Load(code []byte) (Module, error) {
	var m Module
	err := r.call(&r.f.hipModuleLoadData, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&code[0])))
	return m, err
}

// Unload frees a module.
func (r *Runtime) Unload(m Module) error { return r.call(&r.f.hipModuleUnload, uintptr(m)) }

// Function finds a kernel in a module.
func (r *Runtime) Function(m Module, name string) (Function, error) {
	var f Function
	c := append([]byte(name), 0)
	err := r.call(&r.f.hipModuleGetFunction, uintptr(unsafe.Pointer(&f)), uintptr(m), uintptr(unsafe.Pointer(&c[0])))
	return f, err
}

// Launch is a kernel with its one argument, a struct, and its sizes. It must not move while it is in use.
type Launch struct {
	Kernel Function
	Grid   [3]uint32 // in blocks
	Block  uint32    // threads in a block
	Params []uint64  // the struct

	argv [1]unsafe.Pointer
}

// Launch gives a launch to a stream.
func (r *Runtime) Launch(a *Args, s Stream, l *Launch) error {
	l.argv[0] = unsafe.Pointer(unsafe.SliceData(l.Params))
	*a = Args{
		uintptr(l.Kernel), uintptr(l.Grid[0]), uintptr(l.Grid[1]), uintptr(l.Grid[2]), uintptr(l.Block), 1, 1, 0,
		uintptr(s), uintptr(unsafe.Pointer(&l.argv)), 0,
	}
	return r.quick(&r.f.hipModuleLaunchKernel, a, len(a))
}

// HasGraphs reports whether launches can be captured. Versions before 6 do not capture launches of modules for sure.
func (r *Runtime) HasGraphs() bool {
	f := &r.f
	return r.Major >= 6 && f.hipStreamBeginCapture.addr != 0 && f.hipStreamEndCapture.addr != 0 && f.hipGraphInstantiateWithFlags.addr != 0 &&
		f.hipGraphLaunch.addr != 0 && f.hipGraphExecDestroy.addr != 0 && f.hipGraphDestroy.addr != 0
}

// Capture makes a graph of launches. s is a stream that nobody else uses meanwhile.
func (r *Runtime) Capture(a *Args, s Stream, launches []Launch) (Graph, error) {
	if err := r.call(&r.f.hipStreamBeginCapture, uintptr(s), captureRelaxed); err != nil {
		return 0, err
	}
	var failed error
	for i := range launches {
		if failed = r.Launch(a, s, &launches[i]); failed != nil {
			break
		}
	}
	var g uintptr
	if err := r.call(&r.f.hipStreamEndCapture, uintptr(s), uintptr(unsafe.Pointer(&g))); err != nil || failed != nil {
		if g != 0 {
			err = errors.Join(err, r.call(&r.f.hipGraphDestroy, g))
		}
		return 0, errors.Join(failed, err)
	}
	var exec Graph
	err := r.call(&r.f.hipGraphInstantiateWithFlags, uintptr(unsafe.Pointer(&exec)), g, 0)
	return exec, errors.Join(err, r.call(&r.f.hipGraphDestroy, g))
}

// LaunchGraph gives a graph to a stream.
func (r *Runtime) LaunchGraph(a *Args, s Stream, g Graph) error {
	a[0], a[1] = uintptr(g), uintptr(s)
	return r.quick(&r.f.hipGraphLaunch, a, 2)
}

// DestroyGraph frees a graph.
func (r *Runtime) DestroyGraph(g Graph) error { return r.call(&r.f.hipGraphExecDestroy, uintptr(g)) }
