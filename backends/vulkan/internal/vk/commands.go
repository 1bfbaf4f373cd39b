//go:build cgo && linux && (amd64 || arm64)

package vk

// #include "calls.h"
import "C"

import (
	"runtime"
	"unsafe"

	vulkan "github.com/vulkan-go/vulkan"
)

// Commands is a list of commands that is recorded in one call.
type Commands struct {
	cmds []C.tn_cmd
	push []byte
}

// Len returns how many there are.
func (c *Commands) Len() int { return len(c.cmds) }

// Reset empties the list.
func (c *Commands) Reset() { c.cmds, c.push = c.cmds[:0], c.push[:0] }

// Dispatch runs p with push constants, at most PushBytes.
func (c *Commands) Dispatch(p Pipeline, push []byte, groups [3]uint32) {
	c.cmds = append(c.cmds, C.tn_cmd{
		kind: C.TN_DISPATCH, x: C.uint32_t(groups[0]), y: C.uint32_t(groups[1]), z: C.uint32_t(groups[2]),
		push_at: C.uint32_t(len(c.push)), push_size: C.uint32_t(len(push)), a: C.uint64_t(p),
	})
	c.push = append(c.push, push...)
}

// Barrier orders the dispatches before it before those after it. Copies it does not order.
func (c *Commands) Barrier() { c.cmds = append(c.cmds, C.tn_cmd{kind: C.TN_BARRIER}) }

// End orders all commands before it before those of later submits, and before the host's reads: the last command of a submit.
func (c *Commands) End() { c.cmds = append(c.cmds, C.tn_cmd{kind: C.TN_END}) }

// Copy moves bytes between buffers.
func (c *Commands) Copy(dst *Buffer, to int64, src *Buffer, from, n int64) {
	c.cmds = append(c.cmds, C.tn_cmd{
		kind: C.TN_COPY, a: handle(src.c.buffer), b: handle(dst.c.buffer), from: C.uint64_t(from), to: C.uint64_t(to), size: C.uint64_t(n),
	})
}

// Fill sets n bytes to copies of pattern; offset and n are multiples of 4.
func (c *Commands) Fill(dst *Buffer, offset, n int64, pattern uint32) {
	c.cmds = append(c.cmds, C.tn_cmd{kind: C.TN_FILL, b: handle(dst.c.buffer), to: C.uint64_t(offset), size: C.uint64_t(n), x: C.uint32_t(pattern)})
}

// Time writes time stamp i when the commands before are done. i begins at 0, which empties q.
func (c *Commands) Time(q *Queries, i int) {
	c.cmds = append(c.cmds, C.tn_cmd{kind: C.TN_TIME, a: handle(q.pool), x: C.uint32_t(i), y: C.uint32_t(q.n)})
}

func handle(h C.VkHandle) C.uint64_t { return C.uint64_t(uintptr(h)) }

// Pool is where command buffers come from.
type Pool struct {
	dev    *Device
	handle vulkan.CommandPool
}

// NewPool makes a pool.
func (d *Device) NewPool() (*Pool, error) {
	p := &Pool{dev: d}
	info := vulkan.CommandPoolCreateInfo{
		SType: vulkan.StructureTypeCommandPoolCreateInfo, QueueFamilyIndex: d.family,
		Flags: vulkan.CommandPoolCreateFlags(vulkan.CommandPoolCreateResetCommandBufferBit),
	}
	var handle vulkan.CommandPool
	r := vulkan.CreateCommandPool(d.handle, &info, nil, &handle)
	p.handle = handle
	info.Free()
	if err := check("vkCreateCommandPool", int32(r)); err != nil {
		return nil, err
	}
	return p, nil
}

// Close frees the pool and its command buffers, none of which is in use.
func (p *Pool) Close() { vulkan.DestroyCommandPool(p.dev.handle, p.handle, nil) }

// Recorded are command buffers, in memory that is not Go's so that a submit needs no copy.
type Recorded struct {
	handles *C.VkHandle
	n       int
}

// Len returns how many command buffers there are.
func (r *Recorded) Len() int { return r.n }

// Allocate makes n command buffers.
func (p *Pool) Allocate(n int) (*Recorded, error) {
	list := make([]vulkan.CommandBuffer, n)
	info := vulkan.CommandBufferAllocateInfo{
		SType: vulkan.StructureTypeCommandBufferAllocateInfo, CommandPool: p.handle,
		Level: vulkan.CommandBufferLevelPrimary, CommandBufferCount: uint32(n),
	}
	r := vulkan.AllocateCommandBuffers(p.dev.handle, &info, list)
	info.Free()
	if err := check("vkAllocateCommandBuffers", int32(r)); err != nil {
		return nil, err
	}
	out := &Recorded{handles: (*C.VkHandle)(cAlloc(uintptr(n) * unsafe.Sizeof(C.VkHandle(nil)))), n: n}
	for i, h := range list {
		out.slice()[i] = C.VkHandle(unsafe.Pointer(h))
	}
	return out, nil
}

func (r *Recorded) slice() []C.VkHandle { return unsafe.Slice(r.handles, r.n) }

// Free frees the list of command buffers; they themselves belong to the Pool.
func (r *Recorded) Free() {
	cFree(unsafe.Pointer(r.handles))
	r.handles, r.n = nil, 0
}

// Record writes c into command buffer i. Once says that it is submitted once; otherwise it may be submitted again while it runs.
func (d *Device) Record(r *Recorded, i int, c *Commands, once bool) error {
	flags := C.VkFlags(4)
	if once {
		flags = 1
	}
	res := C.tn_record(d.fn, r.slice()[i], C.VkHandle(unsafe.Pointer(d.layout)), unsafe.SliceData(c.cmds), C.uint32_t(len(c.cmds)),
		(*C.uint8_t)(unsafe.SliceData(c.push)), flags)
	runtime.KeepAlive(c)
	return check("vkEndCommandBuffer", int32(res))
}

// Submit gives command buffers from to to to the queue. The timeline reaches value when they and all before are
// done. It is one call into C, and allocates nothing.
func (d *Device) Submit(r *Recorded, from, to int, value uint64) error {
	at := unsafe.Add(unsafe.Pointer(r.handles), uintptr(from)*unsafe.Sizeof(*r.handles))
	return check("vkQueueSubmit", int32(C.tn_submit(d.fn, C.VkHandle(unsafe.Pointer(d.queue)), d.timeline, C.uint64_t(value), (*C.VkHandle)(at), C.uint32_t(to-from))))
}

// Wait waits until the timeline has reached value, and reports whether it has: it looks for about spinNS nanoseconds, and then
// lets the driver wait until timeoutNS more are over.
func (d *Device) Wait(value, spinNS, timeoutNS uint64) (bool, error) {
	r := int32(C.tn_wait(d.fn, d.raw(), d.timeline, C.uint64_t(value), C.uint64_t(spinNS), C.uint64_t(timeoutNS)))
	return r == 0, check("vkWaitSemaphores", r)
}

// Queries are time stamps.
type Queries struct {
	pool C.VkHandle
	n    int
}

// NewQueries makes room for n time stamps.
func (d *Device) NewQueries(n int) (*Queries, error) {
	q := &Queries{n: n}
	var pool C.VkHandle
	err := check("vkCreateQueryPool", int32(C.tn_queries(d.fn, d.raw(), C.uint32_t(n), &pool)))
	q.pool = pool
	return q, err
}

// Results returns the time stamps of work that is done, in nanoseconds since some moment.
func (d *Device) Results(q *Queries) ([]float64, error) {
	raw := make([]uint64, q.n)
	r := C.tn_query_results(d.fn, d.raw(), q.pool, C.uint32_t(q.n), (*C.uint64_t)(unsafe.SliceData(raw)))
	if err := check("vkGetQueryPoolResults", int32(r)); err != nil {
		return nil, err
	}
	out := make([]float64, q.n)
	for i, t := range raw {
		out[i] = float64(t) * d.phys.Limits.TimestampPeriod
	}
	return out, nil
}

// DestroyQueries frees q.
func (d *Device) DestroyQueries(q *Queries) { C.tn_destroy_queries(d.fn, d.raw(), q.pool) }
