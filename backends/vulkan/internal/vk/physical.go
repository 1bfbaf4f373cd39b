//go:build cgo && linux && (amd64 || arm64)

package vk

// #include "calls.h"
import "C"

import (
	"fmt"
	"unsafe"

	vulkan "github.com/vulkan-go/vulkan"
)

// The kinds of physical device, by Vulkan's numbers.
const (
	Other      = 0
	Integrated = 1
	Discrete   = 2
	Virtual    = 3
	Software   = 4
)

// Physical is a device that is there, before it is opened.
type Physical struct {
	inst   *Instance
	handle vulkan.PhysicalDevice

	Name    string
	Kind    int
	Vendor  uint32 // by its PCI identity
	Version uint32 // of Vulkan
	UUID    [16]byte
	PCI     string // such as "0000:01:00.0", or empty
	Driver  string // name and version
	Limits  Limits
	Can     Features

	CacheUUID  [16]byte // changes when pipelines of before cannot be read
	extensions map[string]bool
	bits       C.uint32_t // of extensions that calls.c asks about
	families   []family
}

type family struct{ compute, transfer, graphics bool }

// Limits are those of the limits that kernels and memory depend on, in bytes where they are sizes.
type Limits struct {
	MaxStorageRange  int64 // of one binding, which addresses are free of
	MaxAllocation    int64
	MaxAllocations   int
	MaxPush          int
	SharedMemory     int
	MaxGroups        [3]uint32
	MaxInvocations   int
	Subgroup         int // the default size
	SubgroupMin      int // equal to Subgroup if there is no choice
	SubgroupMax      int
	ImportAlignment  int64   // of host memory; 0 if it cannot be imported
	TimestampPeriod  float64 // in nanoseconds
	SubgroupOps      uint32  // VkSubgroupFeatureFlags
	SubgroupInKernel bool    // subgroups work in compute shaders
}

// Features are what kernels may use.
type Features struct {
	Int64, Int16, Int8       bool
	Storage8, Storage16      bool
	Float16, Float64         bool
	Addresses, Timeline      bool
	ScalarLayout             bool
	MemoryModel              bool
	SubgroupSize             bool // can be chosen, and be full
	DotProduct               bool // of packed 8-bit integers, in hardware
	CooperativeMatrix        bool
	BFloat16                 bool
	Import, Budget, PCIKnown bool
	HostQueryReset           bool
	KeepDenormals, KeepNaN   bool // of F32, where a shader asks for it
	Matrices                 []Matrix
}

// Matrix is a shape that cooperative matrices may have in a subgroup. Types are Vulkan's component types: 0 F16,
// 1 F32, 3 I8, 5 I32, 7 U8, 1000141000 BF16.
type Matrix struct {
	M, N, K         uint32
	A, B, C, Result uint32
}

// String returns such as "16x16x16 F16 F32".
func (m Matrix) String() string {
	name := map[uint32]string{0: "F16", 1: "F32", 2: "F64", 3: "I8", 4: "I16", 5: "I32", 6: "I64", 7: "U8", 8: "U16", 9: "U32", 1000141000: "BF16"}
	return fmt.Sprintf("%dx%dx%d %s %s", m.M, m.N, m.K, name[m.A], name[m.Result])
}

var extensionBits = map[string]C.uint32_t{
	"VK_EXT_subgroup_size_control":      C.TN_SUBGROUP,
	"VK_KHR_shader_integer_dot_product": C.TN_DOT,
	"VK_KHR_cooperative_matrix":         C.TN_COOP,
	"VK_KHR_shader_bfloat16":            C.TN_BF16,
	"VK_EXT_pci_bus_info":               C.TN_PCI,
	"VK_EXT_external_memory_host":       C.TN_HOST,
	"VK_EXT_memory_budget":              C.TN_BUDGET,
}

func (p *Physical) raw() C.VkHandle { return C.VkHandle(unsafe.Pointer(p.handle)) }

// physical asks the driver everything about a device, and opens nothing.
func (i *Instance) physical(h vulkan.PhysicalDevice) *Physical {
	p := &Physical{inst: i, handle: h, extensions: map[string]bool{}}
	held(func() {
		p.ask10()
		p.askExtensions()
		p.askFamilies()
	})
	if p.Version < version {
		return p
	}
	f := new(C.tn_facts)
	cHolder := (*C.tn_facts)(cAlloc(unsafe.Sizeof(*f))) // the driver follows pointers in it
	defer cFree(unsafe.Pointer(cHolder))
	C.tn_query(i.get, i.raw(), p.raw(), p.bits, cHolder)
	*f = *cHolder
	p.facts(f)
	if p.Can.CooperativeMatrix {
		p.askMatrices()
	}
	return p
}

// ask10 asks for what Vulkan 1.0 has.
func (p *Physical) ask10() {
	var props vulkan.PhysicalDeviceProperties
	vulkan.GetPhysicalDeviceProperties(p.handle, &props)
	props.Deref()
	props.Limits.Deref()
	l := &props.Limits
	p.Name = vulkan.ToString(props.DeviceName[:])
	p.Kind, p.Vendor, p.Version = int(props.DeviceType), props.VendorID, props.ApiVersion
	p.Driver = driverVersion(props.VendorID, props.DriverVersion)
	p.CacheUUID = props.PipelineCacheUUID
	p.Limits = Limits{
		MaxStorageRange: int64(l.MaxStorageBufferRange), MaxAllocations: int(l.MaxMemoryAllocationCount), MaxPush: int(l.MaxPushConstantsSize),
		SharedMemory: int(l.MaxComputeSharedMemorySize), MaxGroups: l.MaxComputeWorkGroupCount,
		MaxInvocations: int(l.MaxComputeWorkGroupInvocations), TimestampPeriod: float64(l.TimestampPeriod),
	}
	props.Free()
}

// NVIDIA is a Vendor.
const NVIDIA = 0x10de

// WideLoads reports whether words that lie one after the other are sooner loaded by sixteen bytes, with what is not wanted of them: on NVIDIA's
// cards. The compilers for others put loads together that are.
func (p *Physical) WideLoads() bool { return p.Vendor == NVIDIA }

// driverVersion decodes the version as the vendor packs it.
func driverVersion(vendor, v uint32) string {
	if vendor == NVIDIA {
		return fmt.Sprintf("%d.%d.%d.%d", v>>22, v>>14&0xff, v>>6&0xff, v&0x3f)
	}
	return fmt.Sprintf("%d.%d.%d", v>>22, v>>12&0x3ff, v&0xfff)
}

func (p *Physical) askExtensions() {
	var n uint32
	if vulkan.EnumerateDeviceExtensionProperties(p.handle, "", &n, nil) < 0 || n == 0 {
		return
	}
	list := make([]vulkan.ExtensionProperties, n)
	if vulkan.EnumerateDeviceExtensionProperties(p.handle, "", &n, list) < 0 {
		return
	}
	for k := range list[:n] {
		list[k].Deref()
		name := vulkan.ToString(list[k].ExtensionName[:])
		p.extensions[name] = true
		p.bits |= extensionBits[name]
	}
}

func (p *Physical) askFamilies() {
	var n uint32
	vulkan.GetPhysicalDeviceQueueFamilyProperties(p.handle, &n, nil)
	list := make([]vulkan.QueueFamilyProperties, n)
	if n == 0 {
		return
	}
	vulkan.GetPhysicalDeviceQueueFamilyProperties(p.handle, &n, list)
	for k := range list[:n] {
		list[k].Deref()
		f := vulkan.QueueFlagBits(list[k].QueueFlags)
		p.families = append(p.families, family{
			compute: f&vulkan.QueueComputeBit != 0, transfer: f&vulkan.QueueTransferBit != 0, graphics: f&vulkan.QueueGraphicsBit != 0,
		})
	}
}

// facts takes over what the driver said beyond 1.0.
func (p *Physical) facts(f *C.tn_facts) {
	on := func(b C.VkBool32) bool { return b != 0 }
	p.UUID = *(*[16]byte)(unsafe.Pointer(&f.p11.deviceUUID))
	p.Driver = C.GoString(&f.p12.driverName[0]) + " " + p.Driver
	if info := C.GoString(&f.p12.driverInfo[0]); info != "" {
		p.Driver += " (" + info + ")"
	}
	l := &p.Limits
	l.MaxAllocation = int64(f.p11.maxMemoryAllocationSize)
	l.Subgroup = int(f.p11.subgroupSize)
	l.SubgroupMin, l.SubgroupMax = l.Subgroup, l.Subgroup
	l.SubgroupOps, l.SubgroupInKernel = uint32(f.p11.subgroupSupportedOperations), f.p11.subgroupSupportedStages&0x20 != 0
	l.ImportAlignment = int64(f.host.minImportedHostPointerAlignment)
	if p.bits&C.TN_PCI != 0 {
		p.PCI = fmt.Sprintf("%04x:%02x:%02x.%x", f.pci.domain, f.pci.bus, f.pci.device, f.pci.function)
	}
	if f.subgroup.minSubgroupSize > 0 && on(f.subgroup_features.subgroupSizeControl) && f.subgroup.requiredSubgroupSizeStages&0x20 != 0 {
		l.SubgroupMin, l.SubgroupMax = int(f.subgroup.minSubgroupSize), int(f.subgroup.maxSubgroupSize)
	}
	p.Can = Features{
		Int64: on(f.features.core[C.CORE_INT64]), Int16: on(f.features.core[C.CORE_INT16]), Int8: on(f.f12.shaderInt8),
		Storage8: on(f.f12.storageBuffer8BitAccess), Storage16: on(f.f11.storageBuffer16BitAccess),
		Float16: on(f.f12.shaderFloat16), Float64: on(f.features.core[C.CORE_FLOAT64]),
		Addresses: on(f.f12.bufferDeviceAddress), Timeline: on(f.f12.timelineSemaphore), ScalarLayout: on(f.f12.scalarBlockLayout),
		MemoryModel:  on(f.f12.vulkanMemoryModel) && on(f.f12.vulkanMemoryModelDeviceScope),
		SubgroupSize: on(f.subgroup_features.subgroupSizeControl) && on(f.subgroup_features.computeFullSubgroups),
		DotProduct:   on(f.dot.on) && (on(f.dot_properties.accelerated[4]) || p.Kind == Software), CooperativeMatrix: on(f.coop.on), BFloat16: on(f.bf16.on),
		Import: p.bits&C.TN_HOST != 0, Budget: p.bits&C.TN_BUDGET != 0, PCIKnown: p.bits&C.TN_PCI != 0,
		HostQueryReset: on(f.f12.hostQueryReset),
	}
	if f.p12.denormIndependence != 2 { // 32 bits can be chosen by themselves
		p.Can.KeepDenormals, p.Can.KeepNaN = on(f.p12.denormPreserve[1]), on(f.p12.nanPreserve[1])
	}
}

func (p *Physical) askMatrices() {
	const most = 256
	list := (*[most]C.VkCoopMatrixProperties)(cAlloc(most * C.sizeof_VkCoopMatrixProperties))
	defer cFree(unsafe.Pointer(list))
	n := C.tn_coop_shapes(p.inst.get, p.inst.raw(), p.raw(), most, &list[0])
	for _, m := range list[:n] {
		if m.scope == 3 {
			p.Can.Matrices = append(p.Can.Matrices, Matrix{
				uint32(m.m), uint32(m.n), uint32(m.k), uint32(m.a), uint32(m.b), uint32(m.c), uint32(m.result),
			})
		}
	}
}

// MemoryType is one kind of memory that the device can use.
type MemoryType struct {
	Index                                 int
	Heap                                  int
	Local, Visible, Coherent, Cached, Odd bool // Odd: lazily allocated, protected, or of a vendor's extension
}

// Heap is where memory comes from.
type Heap struct {
	Size   int64
	Budget int64 // what may be used now, together with what is; 0 if unknown
	Usage  int64 // of this process
	Local  bool
}

// Memory returns the memory that there is, and how much of it is left now.
func (p *Physical) Memory() ([]MemoryType, []Heap) {
	m := (*C.VkMemoryProperties2)(cAlloc(C.sizeof_VkMemoryProperties2))
	defer cFree(unsafe.Pointer(m))
	b := (*C.VkMemoryBudget)(cAlloc(C.sizeof_VkMemoryBudget))
	defer cFree(unsafe.Pointer(b))
	C.tn_memory(p.inst.get, p.inst.raw(), p.raw(), p.bits, m, b)
	types := make([]MemoryType, m.typeCount)
	for i := range types {
		f := m.types[i].flags
		types[i] = MemoryType{
			Index: i, Heap: int(m.types[i].heap),
			Local: f&1 != 0, Visible: f&2 != 0, Coherent: f&4 != 0, Cached: f&8 != 0, Odd: f&^15 != 0,
		}
	}
	heaps := make([]Heap, m.heapCount)
	for i := range heaps {
		heaps[i] = Heap{
			Size: int64(m.heaps[i].size), Local: m.heaps[i].flags&1 != 0, Budget: int64(b.budget[i]), Usage: int64(b.usage[i]),
		}
	}
	return types, heaps
}
