//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/buffer"
)

//go:embed kernels
var sources embed.FS

// maxConsts is how many constants a kernel may be compiled with.
const maxConsts = 9

// kernelKey is a kernel and what it is compiled with.
type kernelKey struct {
	name   string
	local  uint32 // threads in a block
	consts [maxConsts]uint32
	n      int
}

// modules are compiled when a program that needs them is.
type modules struct {
	making  sync.Mutex // held by who compiles some, before mu
	mu      sync.Mutex
	all     map[kernelKey]hip.Function
	loaded  []hip.Module
	headers map[string]string // guarded by making
}

func (m *modules) init() { m.all = map[kernelKey]hip.Function{} }

func (m *modules) free(s *session) {
	for _, x := range m.loaded {
		_ = s.rt.Unload(x) // the device is being closed
	}
}

// compileOptions are those of every kernel. Without contraction a product is rounded before anything is added to it, so that what
// a kernel computes does not depend on the compiler's choice; fmaf says where it may.
var compileOptions = []string{"-std=c++17", "-O3", "-ffp-contract=off"}

// headers are what sources include, by name.
func headers() (map[string]string, error) {
	all := map[string]string{}
	entries, err := sources.ReadDir("kernels")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if path.Ext(e.Name()) == ".h" {
			text, err := sources.ReadFile("kernels/" + e.Name())
			if err != nil {
				return nil, err
			}
			all[e.Name()] = string(text)
		}
	}
	return all, nil
}

const constantsLine = "// constants: "

// unit returns a kernel's source and the options with its constants.
func (k *kernelKey) unit() (source string, options []string, err error) {
	text, err := sources.ReadFile("kernels/" + k.name + ".hip")
	if err != nil {
		return "", nil, fmt.Errorf("rocm: no kernel %s: %w", k.name, err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, constantsLine); ok {
			names = strings.Fields(rest)
		}
	}
	if len(names) != k.n {
		return "", nil, fmt.Errorf("rocm: kernel %s has %d constants, and got %d", k.name, len(names), k.n)
	}
	options = append(slices.Clone(compileOptions), fmt.Sprintf("-DLOCAL=%d", k.local))
	for i, n := range names {
		options = append(options, fmt.Sprintf("-D%s=%du", n, k.consts[i]))
	}
	return string(text), options, nil
}

// kernelError says that a kernel does not compile or load.
type kernelError struct {
	key kernelKey
	err error
}

func (e *kernelError) Error() string { return e.err.Error() }
func (e *kernelError) Unwrap() error { return e.err }

// blame remembers a kernel that does not compile: from then on Supports refuses the op, or Fuses the fusion, that what is, and whoever
// plans again has it elsewhere. Want of memory and a loss say nothing about the kernel.
func (d *Device) blame(what any, err error) {
	var e *kernelError
	if !errors.As(err, &e) || errors.Is(err, buffer.ErrNoMemory) || errors.Is(err, backends.ErrDeviceLost) {
		return
	}
	d.broken.Store(what, fmt.Sprintf("kernel %s does not compile (%v)", e.key.name, e.err))
}
