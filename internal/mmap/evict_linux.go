package mmap

import (
	"os"

	"golang.org/x/sys/unix"
)

// Evict takes a file that nobody has mapped out of the system's cache, once it is on the disk. It is read anew then,
// as one is that has lain there for a while: what has just been written lies in small pages. It fails with the file's
// errors, and elsewhere than on Linux with errors.ErrUnsupported.
func Evict(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return &os.PathError{Op: "fadvise", Path: path, Err: err}
	}
	return nil
}
