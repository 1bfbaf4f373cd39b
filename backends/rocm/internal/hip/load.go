//go:build linux && (amd64 || arm64) && (cgo || rocm)

package hip

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ErrNotFound says that there is no HIP runtime on this machine, ErrTooOld that there is one which lacks something.
var (
	ErrNotFound = errors.New("no HIP runtime")
	ErrTooOld   = errors.New("the HIP runtime is too old")
)

// majors are the versions of the runtime that are known, the preferred first.
var majors = []int{7, 6, 5}

// Runtime is an open HIP runtime with its compiler.
type Runtime struct {
	Path    string // of the library
	Major   int    // by which it was found
	Version int    // as it says itself: major*10^7 + minor*10^5 + patch
	f       functions

	compiling sync.Mutex // held by who compiles, before version 6
}

// function is a C function by its name; addr is 0 if the library has none.
type function struct {
	name string
	addr uintptr
}

// functions are all that is called. Names are those of the C functions.
type functions struct {
	hipInit, hipRuntimeGetVersion, hipGetDeviceCount, hipSetDevice, hipDeviceReset                       function
	hipDeviceGetName, hipDeviceGetPCIBusId, hipDeviceTotalMem, hipDeviceGetAttribute, hipGetErrorName    function
	hipMemGetInfo, hipMalloc, hipFree, hipHostMalloc, hipHostFree, hipMemcpyAsync, hipMemsetAsync        function
	hipStreamCreateWithFlags, hipStreamDestroy, hipStreamSynchronize                                     function
	hipEventCreateWithFlags, hipEventDestroy, hipEventRecord, hipEventQuery                              function
	hipModuleLoadData, hipModuleUnload, hipModuleGetFunction, hipModuleLaunchKernel                      function
	hipGetDevicePropertiesR0600, hipGetDeviceProperties                                                  function // one of them
	hipStreamBeginCapture, hipStreamEndCapture, hipGraphInstantiateWithFlags                             function // optional: graphs
	hipGraphLaunch, hipGraphExecDestroy, hipGraphDestroy                                                 function
	hipHostRegister, hipHostUnregister, hipHostGetDevicePointer                                          function // optional: import
	hipEventElapsedTime                                                                                  function // optional: profiles
	hiprtcVersion, hiprtcCreateProgram, hiprtcDestroyProgram, hiprtcCompileProgram                       function
	hiprtcGetProgramLogSize, hiprtcGetProgramLog, hiprtcGetCodeSize, hiprtcGetCode, hiprtcGetErrorString function
}

// required lists the functions by name.
func (f *functions) required() (hip, rtc []*function) {
	hip = named(map[string]*function{
		"hipInit": &f.hipInit, "hipRuntimeGetVersion": &f.hipRuntimeGetVersion, "hipGetDeviceCount": &f.hipGetDeviceCount,
		"hipSetDevice": &f.hipSetDevice, "hipDeviceReset": &f.hipDeviceReset, "hipDeviceGetName": &f.hipDeviceGetName,
		"hipDeviceGetPCIBusId": &f.hipDeviceGetPCIBusId, "hipDeviceTotalMem": &f.hipDeviceTotalMem,
		"hipDeviceGetAttribute": &f.hipDeviceGetAttribute, "hipGetErrorName": &f.hipGetErrorName, "hipMemGetInfo": &f.hipMemGetInfo,
		"hipMalloc": &f.hipMalloc, "hipFree": &f.hipFree, "hipHostMalloc": &f.hipHostMalloc, "hipHostFree": &f.hipHostFree,
		"hipMemcpyAsync": &f.hipMemcpyAsync, "hipMemsetAsync": &f.hipMemsetAsync,
		"hipStreamCreateWithFlags": &f.hipStreamCreateWithFlags, "hipStreamDestroy": &f.hipStreamDestroy,
		"hipStreamSynchronize": &f.hipStreamSynchronize, "hipEventCreateWithFlags": &f.hipEventCreateWithFlags,
		"hipEventDestroy": &f.hipEventDestroy, "hipEventRecord": &f.hipEventRecord, "hipEventQuery": &f.hipEventQuery,
		"hipModuleLoadData": &f.hipModuleLoadData, "hipModuleUnload": &f.hipModuleUnload,
		"hipModuleGetFunction": &f.hipModuleGetFunction, "hipModuleLaunchKernel": &f.hipModuleLaunchKernel,
	})
	rtc = named(map[string]*function{
		"hiprtcVersion": &f.hiprtcVersion, "hiprtcCreateProgram": &f.hiprtcCreateProgram, "hiprtcDestroyProgram": &f.hiprtcDestroyProgram,
		"hiprtcCompileProgram": &f.hiprtcCompileProgram, "hiprtcGetProgramLogSize": &f.hiprtcGetProgramLogSize,
		"hiprtcGetProgramLog": &f.hiprtcGetProgramLog, "hiprtcGetCodeSize": &f.hiprtcGetCodeSize, "hiprtcGetCode": &f.hiprtcGetCode,
		"hiprtcGetErrorString": &f.hiprtcGetErrorString,
	})
	return hip, rtc
}

func (f *functions) optional() []*function {
	return named(map[string]*function{
		"hipGetDevicePropertiesR0600": &f.hipGetDevicePropertiesR0600, "hipGetDeviceProperties": &f.hipGetDeviceProperties,
		"hipStreamBeginCapture": &f.hipStreamBeginCapture, "hipStreamEndCapture": &f.hipStreamEndCapture,
		"hipGraphInstantiateWithFlags": &f.hipGraphInstantiateWithFlags, "hipGraphLaunch": &f.hipGraphLaunch,
		"hipGraphExecDestroy": &f.hipGraphExecDestroy, "hipGraphDestroy": &f.hipGraphDestroy, "hipHostRegister": &f.hipHostRegister,
		"hipHostUnregister": &f.hipHostUnregister, "hipHostGetDevicePointer": &f.hipHostGetDevicePointer,
		"hipEventElapsedTime": &f.hipEventElapsedTime,
	})
}

func named(all map[string]*function) []*function {
	var list []*function
	for name, f := range all {
		f.name = name
		list = append(list, f)
	}
	return list
}

// folders are where libraries may lie: where somebody says, where the loader looks, and where ROCm's own packages put what no loader is
// told of.
func folders() []string {
	var dirs []string
	if root := os.Getenv("ROCM_PATH"); root != "" {
		dirs = append(dirs, filepath.Join(root, "lib"))
	}
	return append(dirs, "", "/opt/rocm/lib")
}

// open opens a library by name, in the folders in turn.
func open(name string) (handle uintptr, path string, err error) {
	for _, dir := range folders() {
		path := filepath.Join(dir, name)
		h, e := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if e == nil {
			return h, path, nil
		}
		// A library that is there and does not load is the reason that counts.
		if err == nil || !strings.Contains(e.Error(), "cannot open shared object file: No such file") {
			err = e
		}
	}
	return 0, "", err
}

// Open opens the newest runtime that there is, with its compiler, and starts it. The error says what was looked for and what
// was missing; it matches ErrNotFound, ErrTooOld, or is an *Error of hipInit.
func Open() (*Runtime, error) {
	var reasons []string
	for _, major := range majors {
		name := fmt.Sprintf("libamdhip64.so.%d", major)
		h, path, err := open(name)
		if err != nil {
			reasons = append(reasons, err.Error())
			continue
		}
		r := &Runtime{Path: path, Major: major}
		if err := r.bind(h); err != nil {
			return nil, err
		}
		return r, r.start()
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, strings.Join(reasons, "; "))
}

// OpenCompiler opens the runtime of a version for its compiler alone: no driver is asked for devices.
func OpenCompiler(major int) (*Runtime, error) {
	name := fmt.Sprintf("libamdhip64.so.%d", major)
	h, path, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	r := &Runtime{Path: path, Major: major}
	return r, r.bind(h)
}

// bind looks up all functions. The compiler is a library of its own, or in the runtime in versions that have it there.
func (r *Runtime) bind(h uintptr) error {
	rtc, _, rtcErr := open(fmt.Sprintf("libhiprtc.so.%d", r.Major))
	if rtcErr != nil {
		rtc = h
	}
	need, needRTC := r.f.required()
	var lacks []string
	look := func(lib uintptr, all []*function, must bool) {
		for _, f := range all {
			addr, err := purego.Dlsym(lib, f.name)
			if err == nil {
				f.addr = addr
			} else if must {
				lacks = append(lacks, f.name)
			}
		}
	}
	look(h, need, true)
	look(h, r.f.optional(), false)
	if r.f.hipGetDevicePropertiesR0600.addr == 0 && r.f.hipGetDeviceProperties.addr == 0 {
		lacks = append(lacks, "hipGetDeviceProperties")
	}
	if len(lacks) > 0 {
		return fmt.Errorf("%w: %s lacks %s", ErrTooOld, r.Path, strings.Join(lacks, ", "))
	}
	look(rtc, needRTC, true)
	if len(lacks) > 0 {
		if rtcErr != nil {
			return fmt.Errorf("%w: the compiler hiprtc is missing: %w", ErrNotFound, rtcErr)
		}
		return fmt.Errorf("%w: libhiprtc.so.%d lacks %s", ErrTooOld, r.Major, strings.Join(lacks, ", "))
	}
	return nil
}

func (r *Runtime) start() error {
	var v int32
	if err := r.call(&r.f.hipRuntimeGetVersion, uintptr(unsafe.Pointer(&v))); err == nil {
		r.Version = int(v)
	}
	return r.call(&r.f.hipInit, 0)
}
