//go:build cgo && linux && (amd64 || arm64)

package vk

/*
#include <stdlib.h>
#include "calls.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	vulkan "github.com/vulkan-go/vulkan"
)

func cAlloc(n uintptr) unsafe.Pointer { return C.calloc(1, C.size_t(n)) }

func cFree(p unsafe.Pointer) { C.free(p) }

// Device is an open device with one queue, its timeline, and the layout that all pipelines share: no
// descriptor sets, and all push constants that there are. A kernel gets addresses.
type Device struct {
	phys     *Physical
	handle   vulkan.Device
	queue    vulkan.Queue
	family   uint32
	fn       *C.tn_fn
	timeline C.VkHandle
	layout   vulkan.PipelineLayout
	cache    vulkan.PipelineCache
}

// wanted are extensions that are switched on where they are there.
var wanted = []string{
	"VK_EXT_subgroup_size_control", "VK_KHR_shader_integer_dot_product", "VK_KHR_cooperative_matrix", "VK_KHR_shader_bfloat16",
	"VK_EXT_external_memory_host", "VK_EXT_memory_budget",
}

// computeFamily returns the queue family to compute on: one that cannot draw if there is one, as it stands
// less in a desktop's way.
func (p *Physical) computeFamily() (uint32, bool) {
	best, found := 0, false
	for i, f := range p.families {
		if f.compute && (!found || p.families[best].graphics && !f.graphics) {
			best, found = i, true
		}
	}
	return uint32(best), found
}

// Open makes a device. cache is what PipelineCache returned earlier, or nil.
func (p *Physical) Open(cache []byte) (d *Device, err error) {
	family, ok := p.computeFamily()
	if !ok {
		return nil, errors.New("vk: the device has no queue that computes")
	}
	d = &Device{phys: p, family: family}
	defer func() {
		if err != nil {
			d.Close()
			d = nil
		}
	}()
	if err := d.create(); err != nil {
		return d, err
	}
	var queue vulkan.Queue
	vulkan.GetDeviceQueue(d.handle, family, 0, &queue)
	d.queue = queue
	d.fn = (*C.tn_fn)(cAlloc(C.sizeof_tn_fn))
	var missing *C.char
	if C.tn_load(p.inst.get, p.inst.raw(), d.raw(), d.fn, &missing) == 0 {
		return d, fmt.Errorf("vk: the driver has no %s", C.GoString(missing))
	}
	var timeline C.VkHandle
	if err := check("vkCreateSemaphore", int32(C.tn_timeline(d.fn, d.raw(), &timeline))); err != nil {
		return d, err
	}
	d.timeline = timeline
	return d, d.createLayout(cache)
}

func (d *Device) raw() C.VkHandle { return C.VkHandle(unsafe.Pointer(d.handle)) }

// create switches on what kernels use, and nothing else: robust access would cost time.
func (d *Device) create() error {
	p := d.phys
	have := (*C.tn_facts)(cAlloc(C.sizeof_tn_facts))
	defer cFree(unsafe.Pointer(have))
	C.tn_query(p.inst.get, p.inst.raw(), p.raw(), p.bits, have)
	f := (*C.tn_facts)(cAlloc(C.sizeof_tn_facts))
	defer cFree(unsafe.Pointer(f))
	for _, i := range []int{C.CORE_INT64, C.CORE_INT16} {
		f.features.core[i] = have.features.core[i]
	}
	f.f11.storageBuffer16BitAccess = have.f11.storageBuffer16BitAccess
	f.f12.storageBuffer8BitAccess = have.f12.storageBuffer8BitAccess
	f.f12.shaderFloat16, f.f12.shaderInt8 = have.f12.shaderFloat16, have.f12.shaderInt8
	f.f12.scalarBlockLayout, f.f12.timelineSemaphore = have.f12.scalarBlockLayout, have.f12.timelineSemaphore
	f.f12.bufferDeviceAddress = have.f12.bufferDeviceAddress
	f.f12.vulkanMemoryModel, f.f12.vulkanMemoryModelDeviceScope = have.f12.vulkanMemoryModel, have.f12.vulkanMemoryModelDeviceScope
	f.subgroup_features.subgroupSizeControl = have.subgroup_features.subgroupSizeControl
	f.subgroup_features.computeFullSubgroups = have.subgroup_features.computeFullSubgroups
	f.dot.on, f.coop.on, f.bf16.on = have.dot.on, have.coop.on, have.bf16.on
	if p.Can.BFloat16 { // type, dot product, cooperative matrix
		f.bf16.more[1] = have.bf16.more[1]
	}
	chain := C.tn_chain(f, p.bits)
	var lent lent
	defer lent.free()
	var r vulkan.Result
	var handle vulkan.Device // by itself: cgo looks at all of what a pointer points into
	held(func() {
		info := vulkan.DeviceCreateInfo{
			SType: vulkan.StructureTypeDeviceCreateInfo, PNext: chain,
			QueueCreateInfoCount: 1,
			PQueueCreateInfos: []vulkan.DeviceQueueCreateInfo{{
				SType: vulkan.StructureTypeDeviceQueueCreateInfo, QueueFamilyIndex: d.family, QueueCount: 1, PQueuePriorities: lent.floats(1),
			}},
		}
		for _, name := range wanted {
			if p.extensions[name] {
				info.PpEnabledExtensionNames = append(info.PpEnabledExtensionNames, lent.text(name))
			}
		}
		info.EnabledExtensionCount = uint32(len(info.PpEnabledExtensionNames))
		r = vulkan.CreateDevice(p.handle, &info, nil, &handle)
		info.Free()
	})
	d.handle = handle
	return check("vkCreateDevice", int32(r))
}

// PushBytes is how many bytes of push constants every device has.
const PushBytes = 128

func (d *Device) createLayout(cache []byte) error {
	var r vulkan.Result
	var layout vulkan.PipelineLayout
	var pipelines vulkan.PipelineCache
	held(func() {
		info := vulkan.PipelineLayoutCreateInfo{
			SType: vulkan.StructureTypePipelineLayoutCreateInfo, PushConstantRangeCount: 1,
			PPushConstantRanges: []vulkan.PushConstantRange{{
				StageFlags: vulkan.ShaderStageFlags(vulkan.ShaderStageComputeBit), Size: PushBytes,
			}},
		}
		r = vulkan.CreatePipelineLayout(d.handle, &info, nil, &layout)
		info.Free()
	})
	d.layout = layout
	if err := check("vkCreatePipelineLayout", int32(r)); err != nil {
		return err
	}
	data := C.CBytes(cache)
	defer C.free(data)
	info := vulkan.PipelineCacheCreateInfo{SType: vulkan.StructureTypePipelineCacheCreateInfo, InitialDataSize: uint(len(cache)), PInitialData: data}
	r = vulkan.CreatePipelineCache(d.handle, &info, nil, &pipelines)
	info.Free()
	d.cache = pipelines
	return check("vkCreatePipelineCache", int32(r))
}

// PipelineCache returns what makes the same pipelines faster to create on this device and driver.
func (d *Device) PipelineCache() ([]byte, error) {
	var n uint
	if err := check("vkGetPipelineCacheData", int32(vulkan.GetPipelineCacheData(d.handle, d.cache, &n, nil))); err != nil || n == 0 {
		return nil, err
	}
	data := cAlloc(uintptr(n))
	defer cFree(data)
	if err := check("vkGetPipelineCacheData", int32(vulkan.GetPipelineCacheData(d.handle, d.cache, &n, data))); err != nil {
		return nil, err
	}
	return C.GoBytes(data, C.int(n)), nil
}

// Close waits for the device and closes it. What it made is freed before.
func (d *Device) Close() {
	if d.handle == nil {
		return
	}
	vulkan.DeviceWaitIdle(d.handle)
	if d.timeline != nil {
		C.tn_destroy_timeline(d.fn, d.raw(), d.timeline)
	}
	if d.cache != vulkan.PipelineCache(vulkan.NullHandle) {
		vulkan.DestroyPipelineCache(d.handle, d.cache, nil)
	}
	if d.layout != vulkan.PipelineLayout(vulkan.NullHandle) {
		vulkan.DestroyPipelineLayout(d.handle, d.layout, nil)
	}
	vulkan.DestroyDevice(d.handle, nil)
	if d.fn != nil {
		cFree(unsafe.Pointer(d.fn))
	}
	d.handle, d.fn = nil, nil
}
