package mmap

import "golang.org/x/sys/unix"

// hugeBytes is from which size huge pages are asked for: the size of one on amd64 and arm64 with
// 4 KiB pages. Below it the request could only cost memory.
const hugeBytes = 2 << 20

// adviseHuge asks for huge pages. Of a file it is those that are read from now on: what the system has in its cache
// stays as it is. A kernel without them refuses, and small pages work as well, so that its answer does not matter.
func adviseHuge(b []byte) {
	if len(b) >= hugeBytes {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	}
}
