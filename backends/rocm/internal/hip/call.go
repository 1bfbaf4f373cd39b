//go:build linux && (amd64 || arm64) && (cgo || rocm)

package hip

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Args are the arguments of a call. Who calls often keeps one for one goroutine at a time.
type Args [11]uintptr

// call calls a function that returns an error code. What its arguments point to stays where it is.
//
//go:uintptrescapes
func (r *Runtime) call(f *function, args ...uintptr) error {
	rc, _, _ := purego.SyscallN(f.addr, args...)
	return r.code(f, rc)
}

// quick is call for what runs often: a[:n] are the arguments.
func (r *Runtime) quick(f *function, a *Args, n int) error {
	rc, _, _ := purego.SyscallN(f.addr, a[:n]...)
	return r.code(f, rc)
}

func (r *Runtime) code(f *function, rc uintptr) error {
	if code := int32(rc); code != 0 {
		return &Error{Call: f.name, Code: code, Name: r.errorName(f, code)}
	}
	return nil
}

// errorName returns the runtime's name of a code.
func (r *Runtime) errorName(f *function, code int32) string {
	text := &r.f.hipGetErrorName
	if len(f.name) > 6 && f.name[:6] == "hiprtc" {
		text = &r.f.hiprtcGetErrorString
	}
	if text.addr == 0 {
		return ""
	}
	p, _, _ := purego.SyscallN(text.addr, uintptr(code))
	return goString(p)
}

// goString copies a C string.
func goString(at uintptr) string {
	if at == 0 {
		return ""
	}
	p := pointer(at)
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// pointer makes a pointer of an address of C memory.
func pointer(at uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }

// Bytes returns n bytes of C memory.
func Bytes(at uintptr, n int64) []byte { return unsafe.Slice((*byte)(pointer(at)), n) }

// Enter holds the goroutine on its thread, and chooses a device for it. Leave ends that, whatever Enter said.
func (r *Runtime) Enter(device int) error {
	runtime.LockOSThread()
	return r.call(&r.f.hipSetDevice, uintptr(device))
}

// EnterQuick is Enter with arguments that the caller keeps.
func (r *Runtime) EnterQuick(a *Args, device int) error {
	runtime.LockOSThread()
	a[0] = uintptr(device)
	return r.quick(&r.f.hipSetDevice, a, 1)
}

// Leave ends what Enter began.
func (r *Runtime) Leave() { runtime.UnlockOSThread() }

// Error is an error code of a call.
type Error struct {
	Call string
	Code int32
	Name string // the runtime's own, or empty
}

// Error returns one line.
func (e *Error) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("%s: error %d", e.Call, e.Code)
	}
	return fmt.Sprintf("%s: %s (%d)", e.Call, e.Name, e.Code)
}

// Codes that mean something to the backend.
const (
	codeNoMemory  = 2
	codeNoDevice  = 100
	codeBadDevice = 101
	codeNoBinary  = 209
	codeNotReady  = 600
)

// NoMemory reports whether memory is exhausted.
func (e *Error) NoMemory() bool { return e.Code == codeNoMemory && e.Call[:4] != "hipr" }

// NoDevice reports whether there is none.
func (e *Error) NoDevice() bool { return e.Code == codeNoDevice || e.Code == codeBadDevice }

// NoBinary reports whether the device does not run code of this architecture.
func (e *Error) NoBinary() bool { return e.Code == codeNoBinary || e.Code == 200 }

// Lost reports whether nothing works on the device any more: a kernel's fault, a memory error, or a hang that the driver ended.
func (e *Error) Lost() bool {
	switch e.Code {
	case 214, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999:
		return e.Call[:4] != "hipr"
	}
	return false
}
