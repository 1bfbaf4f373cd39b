//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	return filepath.Join(dir, codeName(name, d.phys.Arch, source, headers, options, d.rt.CompilerVersion(), fmt.Sprint(d.rt.Major, d.rt.Version)))
}

// codeName names the code of a kernel by all that it depends on: its source and options, the architecture, and what else there is.
func codeName(name, arch, source string, headers map[string]string, options []string, more ...string) string {
	h := sha256.New()
	part := func(s string) { fmt.Fprintf(h, "%d %s\n", len(s), s) }
	part(arch)
	for _, m := range more {
		part(m)
	}
	part(source)
	for _, o := range options {
		part(o)
	}
	for _, n := range slices.Sorted(maps.Keys(headers)) {
		part(n)
		part(headers[n])
	}
	return name + "-" + hex.EncodeToString(h.Sum(nil)[:16]) + ".hsaco"
}

// readCode returns what writeCode wrote, or nil: a sum stands before it, because damaged code would be the device's to survive.
func readCode(file string) []byte {
	if file == "" {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return checked(data)
}

// summed puts the sum before code, and checked takes it off: nil if it is not that of the code.
func summed(code []byte) []byte {
	sum := sha256.Sum256(code)
	return append(sum[:], code...)
}

func checked(data []byte) []byte {
	if len(data) <= sha256.Size || sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data[:sha256.Size]) {
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
	_, err = tmp.Write(summed(code))
	if tmp.Close() != nil || err != nil || os.Rename(tmp.Name(), file) != nil {
		_ = os.Remove(tmp.Name()) // it is only a cache
	}
}
