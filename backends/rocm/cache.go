//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
)

// Compiled kernels are kept in files, so that a process need not compile what one before it has. A file that cannot be
// read or written is no error.

// cacheFile returns where code is kept, or "". Its name is a sum over all that the code depends on.
func (d *Device) cacheFile(name, source string, headers map[string]string, options []string) string {
	dir := d.opt.CacheDir
	switch dir {
	case "-":
		return ""
	case "":
		user, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(user, "tenon", "rocm")
	}
	h := sha256.New()
	part := func(s string) { fmt.Fprintf(h, "%d %s\n", len(s), s) }
	part(d.phys.Arch)
	part(d.rt.CompilerVersion())
	part(fmt.Sprint(d.rt.Major, d.rt.Version))
	part(source)
	for _, o := range options {
		part(o)
	}
	var names []string
	for n := range headers {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		part(n)
		part(headers[n])
	}
	return filepath.Join(dir, name+"-"+hex.EncodeToString(h.Sum(nil)[:16])+".hsaco")
}

// code returns a kernel compiled for the device, from its cache if it is there.
func (d *Device) code(key *kernelKey, headers map[string]string) ([]byte, error) {
	source, options, err := key.unit()
	if err != nil {
		return nil, err
	}
	file := d.cacheFile(key.name, source, headers, options)
	if code := readCode(file); code != nil {
		return code, nil
	}
	code, err := compile(d.rt, key.name, source, headers, d.phys.Arch, options)
	if err != nil {
		return nil, err
	}
	writeCode(file, code)
	return code, nil
}

// compile compiles a source.
func compile(rt *hip.Runtime, name, source string, headers map[string]string, arch string, options []string) ([]byte, error) {
	code, err := rt.Compile(name+".hip", source, headers, arch, options)
	if err != nil {
		return nil, fmt.Errorf("rocm: %w", err)
	}
	return code, nil
}

// readCode returns what writeCode wrote, or nil: a sum stands before it, because damaged code would be the device's to survive.
func readCode(file string) []byte {
	if file == "" {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil || len(data) <= sha256.Size || sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data[:sha256.Size]) {
		return nil
	}
	return data[sha256.Size:]
}

// writeCode writes a file whole or not at all.
func writeCode(file string, code []byte) {
	if file == "" || os.MkdirAll(filepath.Dir(file), 0o755) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "new-*")
	if err != nil {
		return
	}
	sum := sha256.Sum256(code)
	_, err = tmp.Write(append(sum[:], code...))
	if tmp.Close() != nil || err != nil || os.Rename(tmp.Name(), file) != nil {
		_ = os.Remove(tmp.Name()) // it is only a cache
	}
}
