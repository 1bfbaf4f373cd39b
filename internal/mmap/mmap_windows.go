package mmap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

func mapFile(f *os.File, size int) (*Mapping, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var addr uintptr
	var mapErr error
	err = conn.Control(func(fd uintptr) {
		addr, mapErr = mapView(windows.Handle(fd), size)
	})
	if err == nil {
		err = mapErr
	}
	if err != nil {
		return nil, err
	}
	return &Mapping{data: bytesAt(addr, size), release: unmapView}, nil
}

// mapView maps the file behind h. The view keeps the section alive, so that its handle is not needed
// afterwards.
func mapView(h windows.Handle, size int) (uintptr, error) {
	section, err := windows.CreateFileMapping(h, nil, windows.PAGE_READONLY, uint32(uint64(size)>>32), uint32(size), nil)
	if err != nil {
		return 0, os.NewSyscallError("CreateFileMapping", err)
	}
	defer windows.CloseHandle(section)
	addr, err := windows.MapViewOfFile(section, windows.FILE_MAP_READ, 0, 0, uintptr(size))
	if err != nil {
		return 0, os.NewSyscallError("MapViewOfFile", err)
	}
	return addr, nil
}

func unmapView(b []byte) error {
	return os.NewSyscallError("UnmapViewOfFile", windows.UnmapViewOfFile(uintptr(unsafe.Pointer(&b[0]))))
}

func mapAnon(size int) (*Mapping, error) {
	addr, err := windows.VirtualAlloc(0, uintptr(size), windows.MEM_RESERVE|windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		return nil, os.NewSyscallError("VirtualAlloc", err)
	}
	return &Mapping{data: bytesAt(addr, size), release: freeAnon}, nil
}

func freeAnon(b []byte) error {
	err := windows.VirtualFree(uintptr(unsafe.Pointer(&b[0])), 0, windows.MEM_RELEASE)
	return os.NewSyscallError("VirtualFree", err)
}

// bytesAt makes a slice of memory that the system returned by address. The address is read as a
// pointer instead of converted: vet cannot know that it is no Go pointer that could have moved.
func bytesAt(addr uintptr, size int) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), size)
}

// prefetch does nothing: Windows reads ahead of a mapped view by itself.
func prefetch([]byte) error { return nil }
