//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package mmap

import (
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, size int) (*Mapping, error) {
	// Control, because Fd would make the file blocking for its owner.
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var data []byte
	var mapErr error
	err = conn.Control(func(fd uintptr) {
		data, mapErr = unix.Mmap(int(fd), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	})
	if err == nil {
		err = mapErr
	}
	if err != nil {
		return nil, err
	}
	adviseHuge(data)
	return &Mapping{data: data, release: unix.Munmap}, nil
}

func mapAnon(size int) (*Mapping, error) {
	data, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	adviseHuge(data)
	return &Mapping{data: data, release: unix.Munmap}, nil
}

func prefetch(b []byte) error { return unix.Madvise(b, unix.MADV_WILLNEED) }
