package tenon_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// evict takes a file that nobody has mapped out of the page cache.
func evict(b *testing.B, path string) bool {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) == nil
}
