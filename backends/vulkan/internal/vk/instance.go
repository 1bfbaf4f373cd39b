//go:build cgo && linux && (amd64 || arm64)

package vk

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "calls.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	vulkan "github.com/vulkan-go/vulkan"
)

// ErrNoLoader says that the machine has no Vulkan loader.
var ErrNoLoader = errors.New("no Vulkan loader")

// version is the least version of Vulkan that does: 1.2.
const version = 1<<22 | 2<<12

// loader is the library by the name that machines without development files have.
const loader = "libvulkan.so.1"

// Instance is the process's connection to Vulkan. There is one, and it stays.
type Instance struct {
	get    unsafe.Pointer // vkGetInstanceProcAddr
	handle vulkan.Instance
}

var instance = sync.OnceValues(newInstance)

// Open returns the instance. Errors: ErrNoLoader, or an *Error.
func Open() (*Instance, error) { return instance() }

func newInstance() (*Instance, error) {
	name := C.CString(loader)
	defer C.free(unsafe.Pointer(name))
	var why [256]C.char
	get := C.tn_open_loader(name, &why[0], C.size_t(len(why)))
	if get == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoLoader, C.GoString(&why[0]))
	}
	vulkan.SetGetInstanceProcAddr(get)
	if err := vulkan.Init(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNoLoader, loader, err)
	}
	i := &Instance{get: get}
	var r vulkan.Result
	var handle vulkan.Instance
	var lent lent
	defer lent.free()
	held(func() {
		info := vulkan.InstanceCreateInfo{
			SType: vulkan.StructureTypeInstanceCreateInfo,
			PApplicationInfo: &vulkan.ApplicationInfo{
				SType: vulkan.StructureTypeApplicationInfo, PApplicationName: lent.text("tenon"), PEngineName: lent.text("tenon"), ApiVersion: version,
			},
		}
		if os.Getenv("TENON_VULKAN_VALIDATE") != "" {
			info.EnabledLayerCount, info.PpEnabledLayerNames = 1, []string{lent.text("VK_LAYER_KHRONOS_validation")}
		}
		r = vulkan.CreateInstance(&info, nil, &handle)
		info.Free()
	})
	i.handle = handle
	if err := check("vkCreateInstance", int32(r)); err != nil {
		return nil, err
	}
	if err := vulkan.InitInstance(i.handle); err != nil {
		return nil, err
	}
	return i, nil
}

func (i *Instance) raw() C.VkHandle { return C.VkHandle(unsafe.Pointer(i.handle)) }

// Devices returns the physical devices, in the driver's order.
func (i *Instance) Devices() ([]*Physical, error) {
	var n uint32
	if err := check("vkEnumeratePhysicalDevices", int32(vulkan.EnumeratePhysicalDevices(i.handle, &n, nil))); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, nil
	}
	handles := make([]vulkan.PhysicalDevice, n)
	if err := check("vkEnumeratePhysicalDevices", int32(vulkan.EnumeratePhysicalDevices(i.handle, &n, handles))); err != nil {
		return nil, err
	}
	all := make([]*Physical, n)
	for k, h := range handles[:n] {
		all[k] = i.physical(h)
	}
	return all, nil
}
