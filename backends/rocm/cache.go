//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
