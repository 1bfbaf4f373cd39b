//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/tenon-go/tenon/backends"
)

// A program can bring kernels compiled, for the cards that its users have, so that its first start there compiles nothing: AddKernels has them looked
// for before the cache of the user and the compiler. They are known by source, options and architecture, not by the version of a runtime: code of an older
// compiler runs under a newer runtime, and what a runtime refuses is compiled.

var embedded struct {
	sync.Mutex
	all []*fs.FS // pointers, because what a program brings need not be comparable
}

// AddKernels makes known what WriteKernels wrote: a zip.Reader of its archive, or a folder with the same files. What is not in there is compiled,
// as is what was written by another version of this package. remove ends it.
//
//	//go:embed kernels.zip
//	var kernels string
//
//	func init() {
//		if z, err := zip.NewReader(strings.NewReader(kernels), int64(len(kernels))); err == nil {
//			rocm.AddKernels(z)
//		}
//	}
func AddKernels(fsys fs.FS) (remove func()) {
	embedded.Lock()
	defer embedded.Unlock()
	embedded.all = append(embedded.all, &fsys)
	return func() {
		embedded.Lock()
		defer embedded.Unlock()
		embedded.all = slices.DeleteFunc(embedded.all, func(f *fs.FS) bool { return f == &fsys })
	}
}

// embeddedCode returns a kernel that a program has brought, or nil.
func embeddedCode(name string) []byte {
	embedded.Lock()
	all := slices.Clone(embedded.all)
	embedded.Unlock()
	for _, f := range all {
		if data, err := fs.ReadFile(*f, name); err == nil {
			if code := checked(data); code != nil {
				return code
			}
		}
	}
	return nil
}

// ErrNoKernels says that a device has not loaded a kernel yet.
var ErrNoKernels = errors.New("rocm: the device has loaded no kernel yet: run a model on it before")

// WriteKernels writes every kernel that the device has loaded since it was made to a zip archive, for AddKernels: run what is to start fast, with
// prompts of the lengths that matter, and then write them.
//
// Errors: ErrNoKernels, and those of w.
func (d *Device) WriteKernels(w io.Writer) error {
	d.loaded.Lock()
	all := maps.Clone(d.loaded.codes)
	d.loaded.Unlock()
	if len(all) == 0 {
		return ErrNoKernels
	}
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write(summed(all[name]))
		}
		if err != nil {
			return fmt.Errorf("rocm: writing kernels: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("rocm: writing kernels: %w", err)
	}
	return nil
}

var _ backends.KernelWriter = (*Device)(nil)

// loadedCodes are kernels by codeName, with the architecture alone.
type loadedCodes struct {
	sync.Mutex
	codes map[string][]byte
}

func (l *loadedCodes) add(name string, code []byte) {
	l.Lock()
	defer l.Unlock()
	if l.codes == nil {
		l.codes = map[string][]byte{}
	}
	l.codes[name] = code
}
