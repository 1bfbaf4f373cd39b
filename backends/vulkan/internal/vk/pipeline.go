//go:build cgo && linux && (amd64 || arm64)

package vk

// #include "calls.h"
import "C"

import (
	"runtime"
	"unsafe"

	vulkan "github.com/vulkan-go/vulkan"
)

// Module is a shader, and Pipeline one that is specialized and compiled.
type (
	Module   struct{ handle vulkan.ShaderModule }
	Pipeline uint64
)

// CreateModule takes SPIR-V.
func (d *Device) CreateModule(code []byte) (Module, error) {
	var lent lent
	defer lent.free()
	code = d.phys.keepFloats(code)
	words := lent.words(code)
	var m Module
	info := vulkan.ShaderModuleCreateInfo{SType: vulkan.StructureTypeShaderModuleCreateInfo, CodeSize: uint(len(code)), PCode: words}
	var handle vulkan.ShaderModule
	r := vulkan.CreateShaderModule(d.handle, &info, nil, &handle)
	m.handle = handle
	info.Free()
	return m, check("vkCreateShaderModule", int32(r))
}

// DestroyModule frees m; its pipelines stay.
func (d *Device) DestroyModule(m Module) { vulkan.DestroyShaderModule(d.handle, m.handle, nil) }

// CreatePipeline compiles m with the specialization constants 0, 1, 2... subgroup is the size to use, or 0 for
// the driver's choice; full demands that all subgroups are whole.
func (d *Device) CreatePipeline(m Module, spec []uint32, subgroup int, full bool) (Pipeline, error) {
	var out C.VkHandle
	f := C.uint32_t(0)
	if full {
		f = 1
	}
	r := C.tn_pipeline(d.fn, d.raw(), C.VkHandle(unsafe.Pointer(d.cache)), C.VkHandle(unsafe.Pointer(d.layout)), C.VkHandle(unsafe.Pointer(m.handle)),
		(*C.uint32_t)(unsafe.SliceData(spec)), C.uint32_t(len(spec)), C.uint32_t(subgroup), f, &out)
	runtime.KeepAlive(spec)
	return Pipeline(uintptr(out)), check("vkCreateComputePipelines", int32(r))
}

// DestroyPipeline frees p.
func (d *Device) DestroyPipeline(p Pipeline) {
	vulkan.DestroyPipeline(d.handle, *(*vulkan.Pipeline)(unsafe.Pointer(&p)), nil)
}
