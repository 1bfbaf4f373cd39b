//go:build cgo && linux && (amd64 || arm64)

package vk

// #include "calls.h"
import "C"

import "unsafe"

// Buffer is memory with an address on the device.
type Buffer struct {
	Address uint64
	Mapped  unsafe.Pointer // on the host, or nil
	c       C.tn_buffer
}

// usage is what all buffers are for: copies from and to, storage, addresses.
const usage = 1 | 2 | 0x20 | 0x20000

// CreateBuffer allocates size bytes of a memory type, and maps them if asked to. host is memory to use instead of
// new, or nil; its pointer and size are whole multiples of Limits.ImportAlignment. Errors: *Error.
func (d *Device) CreateBuffer(size int64, memoryType int, mapped bool, host unsafe.Pointer) (*Buffer, error) {
	b := new(Buffer)
	m := C.int(0)
	if mapped {
		m = 1
	}
	var call *C.char
	var c C.tn_buffer
	r := C.tn_buffer_create(d.fn, d.raw(), C.uint64_t(size), usage, C.uint32_t(memoryType), m, host, nil, 0, &c, &call)
	if r < 0 {
		return nil, &Error{C.GoString(call), int32(r)}
	}
	b.c = c
	b.Address, b.Mapped = uint64(c.address), c.mapped
	return b, nil
}

// ImportTypes returns the memory types that host memory can be imported as, as bits.
func (d *Device) ImportTypes(host unsafe.Pointer) uint32 {
	return uint32(C.tn_host_types(d.fn, d.raw(), host))
}

// DestroyBuffer frees b, which the device does not use any more.
func (d *Device) DestroyBuffer(b *Buffer) {
	c := b.c
	C.tn_buffer_destroy(d.fn, d.raw(), &c)
	*b = Buffer{}
}
