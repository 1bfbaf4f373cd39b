// What of the Vulkan ABI this package uses beside the binding: layouts and numbers of the Vulkan 1.2
// specification and of the extensions that are named, for platforms whose pointers have 64 bits. So no SDK is
// needed to build.
#ifndef TENON_VK_ABI_H
#define TENON_VK_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef int32_t VkResult;
typedef uint32_t VkBool32;
typedef uint32_t VkFlags;
typedef uint64_t VkDeviceSize;
typedef uint64_t VkDeviceAddress;

// Handles, all of 64 bits here.
typedef void *VkHandle;

enum {
	VK_SUCCESS = 0,
	VK_TIMEOUT = 2,

	ST_SUBMIT_INFO = 4,
	ST_MEMORY_ALLOCATE_INFO = 5,
	ST_BUFFER_CREATE_INFO = 12,
	ST_PIPELINE_SHADER_STAGE = 18,
	ST_COMPUTE_PIPELINE = 29,
	ST_COMMAND_BUFFER_BEGIN = 42,
	ST_MEMORY_BARRIER = 46,
	ST_SEMAPHORE_CREATE_INFO = 9,
	ST_QUERY_POOL_CREATE_INFO = 11,
	ST_FEATURES_2 = 1000059000,
	ST_PROPERTIES_2 = 1000059001,
	ST_MEMORY_PROPERTIES_2 = 1000059006,
	ST_FEATURES_11 = 49,
	ST_PROPERTIES_11 = 50,
	ST_FEATURES_12 = 51,
	ST_PROPERTIES_12 = 52,
	ST_MEMORY_ALLOCATE_FLAGS = 1000060000,
	ST_MAINTENANCE_3 = 1000168000,
	ST_SEMAPHORE_TYPE = 1000207002,
	ST_TIMELINE_SUBMIT = 1000207003,
	ST_SEMAPHORE_WAIT = 1000207004,
	ST_BUFFER_ADDRESS = 1000244001,
	ST_SUBGROUP_SIZE_PROPERTIES = 1000225000,
	ST_SUBGROUP_SIZE_FEATURES = 1000225002,
	ST_SUBGROUP_SIZE_REQUIRED = 1000225001,
	ST_PCI_BUS = 1000212000,
	ST_MEMORY_BUDGET = 1000237000,
	ST_IMPORT_HOST_POINTER = 1000178000,
	ST_HOST_POINTER_PROPERTIES = 1000178001,
	ST_EXTERNAL_HOST_PROPERTIES = 1000178002,
	ST_EXTERNAL_MEMORY_BUFFER = 1000072000,
	ST_DOT_PRODUCT_FEATURES = 1000280000,
	ST_DOT_PRODUCT_PROPERTIES = 1000280001,
	ST_COOPERATIVE_MATRIX_FEATURES = 1000506000,
	ST_COOPERATIVE_MATRIX_PROPERTIES = 1000506001,
	ST_COOPERATIVE_MATRIX_PROPERTIES_DEVICE = 1000506002,
	ST_BFLOAT16_FEATURES = 1000141000,
};

typedef struct VkOut {
	uint32_t sType;
	void *pNext;
} VkOut;

typedef struct VkFeatures12 {
	uint32_t sType;
	void *pNext;
	VkBool32 samplerMirrorClampToEdge, drawIndirectCount, storageBuffer8BitAccess, uniformAndStorageBuffer8BitAccess, storagePushConstant8;
	VkBool32 shaderBufferInt64Atomics, shaderSharedInt64Atomics, shaderFloat16, shaderInt8;
	VkBool32 descriptorIndexing, indexing[20];
	VkBool32 samplerFilterMinmax, scalarBlockLayout, imagelessFramebuffer, uniformBufferStandardLayout, shaderSubgroupExtendedTypes;
	VkBool32 separateDepthStencilLayouts, hostQueryReset, timelineSemaphore, bufferDeviceAddress, bufferDeviceAddressCaptureReplay;
	VkBool32 bufferDeviceAddressMultiDevice, vulkanMemoryModel, vulkanMemoryModelDeviceScope, vulkanMemoryModelAvailabilityVisibilityChains;
	VkBool32 shaderOutputViewportIndex, shaderOutputLayer, subgroupBroadcastDynamicId;
} VkFeatures12;

typedef struct VkFeatures11 {
	uint32_t sType;
	void *pNext;
	VkBool32 storageBuffer16BitAccess, uniformAndStorageBuffer16BitAccess, storagePushConstant16, storageInputOutput16;
	VkBool32 multiview, multiviewGeometryShader, multiviewTessellationShader, variablePointersStorageBuffer, variablePointers;
	VkBool32 protectedMemory, samplerYcbcrConversion, shaderDrawParameters;
} VkFeatures11;

typedef struct VkFeatures2 {
	uint32_t sType;
	void *pNext;
	VkBool32 core[55]; // VkPhysicalDeviceFeatures
} VkFeatures2;

enum { CORE_ROBUST = 0, CORE_FLOAT64 = 39, CORE_INT64 = 40, CORE_INT16 = 41 }; // of VkFeatures2.core

typedef struct VkSubgroupSizeFeatures {
	uint32_t sType;
	void *pNext;
	VkBool32 subgroupSizeControl, computeFullSubgroups;
} VkSubgroupSizeFeatures;

// Extensions with one flag, or two.
typedef struct VkFlagFeatures {
	uint32_t sType;
	void *pNext;
	VkBool32 on, more[3];
} VkFlagFeatures;

typedef struct VkProperties11 {
	uint32_t sType;
	void *pNext;
	uint8_t deviceUUID[16], driverUUID[16], deviceLUID[8];
	uint32_t deviceNodeMask;
	VkBool32 deviceLUIDValid;
	uint32_t subgroupSize;
	VkFlags subgroupSupportedStages, subgroupSupportedOperations;
	VkBool32 subgroupQuadOperationsInAllStages;
	uint32_t pointClippingBehavior, maxMultiviewViewCount, maxMultiviewInstanceIndex;
	VkBool32 protectedNoFault;
	uint32_t maxPerSetDescriptors;
	VkDeviceSize maxMemoryAllocationSize;
} VkProperties11;

typedef struct VkDriverProperties12 {
	uint32_t sType;
	void *pNext;
	uint32_t driverID;
	char driverName[256], driverInfo[256];
	uint8_t conformance[4];
	uint32_t denormIndependence, roundingIndependence;      // 2 is none
	VkBool32 nanPreserve[3], denormPreserve[3]; // of 16, 32 and 64 bits
	uint8_t rest[512];                          // float controls and limits that nobody here reads
} VkDriverProperties12;

typedef struct VkProperties2 {
	uint32_t sType;
	void *pNext;
	uint8_t core[1024]; // VkPhysicalDeviceProperties, which the binding reads
} VkProperties2;

typedef struct VkSubgroupSizeProperties {
	uint32_t sType;
	void *pNext;
	uint32_t minSubgroupSize, maxSubgroupSize, maxComputeWorkgroupSubgroups;
	VkFlags requiredSubgroupSizeStages;
} VkSubgroupSizeProperties;

typedef struct VkPCIBus {
	uint32_t sType;
	void *pNext;
	uint32_t domain, bus, device, function;
} VkPCIBus;

typedef struct VkExternalHostProperties {
	uint32_t sType;
	void *pNext;
	VkDeviceSize minImportedHostPointerAlignment;
} VkExternalHostProperties;

typedef struct VkDotProductProperties {
	uint32_t sType;
	void *pNext;
	VkBool32 accelerated[30]; // 4x8 packed signed is number 4
	VkBool32 spare[2];
} VkDotProductProperties;

typedef struct VkMemoryProperties2 {
	uint32_t sType;
	void *pNext;
	uint32_t typeCount;
	struct {
		VkFlags flags;
		uint32_t heap;
	} types[32];
	uint32_t heapCount;
	struct {
		VkDeviceSize size;
		VkFlags flags;
	} heaps[16];
} VkMemoryProperties2;

typedef struct VkMemoryBudget {
	uint32_t sType;
	void *pNext;
	VkDeviceSize budget[16], usage[16];
} VkMemoryBudget;

typedef struct VkCoopMatrixProperties {
	uint32_t sType;
	void *pNext;
	uint32_t m, n, k;
	uint32_t a, b, c, result; // component types: 0 F16, 1 F32, 3 I8, 5 I32, 7 U8, 1000141000 BF16
	VkBool32 saturating;
	uint32_t scope; // 3 is a subgroup
} VkCoopMatrixProperties;

typedef struct VkBufferCreateInfo {
	uint32_t sType;
	const void *pNext;
	VkFlags flags;
	VkDeviceSize size;
	VkFlags usage;
	uint32_t sharingMode, familyCount;
	const uint32_t *families;
} VkBufferCreateInfo;

typedef struct VkExternalMemoryBuffer {
	uint32_t sType;
	const void *pNext;
	VkFlags handleTypes;
} VkExternalMemoryBuffer;

typedef struct VkMemoryRequirements {
	VkDeviceSize size, alignment;
	uint32_t memoryTypeBits;
} VkMemoryRequirements;

typedef struct VkMemoryAllocateInfo {
	uint32_t sType;
	const void *pNext;
	VkDeviceSize size;
	uint32_t type;
} VkMemoryAllocateInfo;

typedef struct VkMemoryAllocateFlags {
	uint32_t sType;
	const void *pNext;
	VkFlags flags;
	uint32_t deviceMask;
} VkMemoryAllocateFlags;

typedef struct VkImportHostPointer {
	uint32_t sType;
	const void *pNext;
	uint32_t handleType;
	void *pointer;
} VkImportHostPointer;

typedef struct VkHostPointerProperties {
	uint32_t sType;
	void *pNext;
	uint32_t memoryTypeBits;
} VkHostPointerProperties;

typedef struct VkBufferAddressInfo {
	uint32_t sType;
	const void *pNext;
	VkHandle buffer;
} VkBufferAddressInfo;

typedef struct VkSemaphoreCreateInfo {
	uint32_t sType;
	const void *pNext;
	VkFlags flags;
} VkSemaphoreCreateInfo;

typedef struct VkSemaphoreType {
	uint32_t sType;
	const void *pNext;
	uint32_t type;
	uint64_t initial;
} VkSemaphoreType;

typedef struct VkTimelineSubmit {
	uint32_t sType;
	const void *pNext;
	uint32_t waitCount;
	const uint64_t *waits;
	uint32_t signalCount;
	const uint64_t *signals;
} VkTimelineSubmit;

typedef struct VkSubmitInfo {
	uint32_t sType;
	const void *pNext;
	uint32_t waitCount;
	const VkHandle *waits;
	const VkFlags *waitStages;
	uint32_t commandCount;
	const VkHandle *commands;
	uint32_t signalCount;
	const VkHandle *signals;
} VkSubmitInfo;

typedef struct VkSemaphoreWait {
	uint32_t sType;
	const void *pNext;
	VkFlags flags;
	uint32_t count;
	const VkHandle *semaphores;
	const uint64_t *values;
} VkSemaphoreWait;

typedef struct VkSpecializationEntry {
	uint32_t id, offset;
	size_t size;
} VkSpecializationEntry;

typedef struct VkSpecialization {
	uint32_t entryCount;
	const VkSpecializationEntry *entries;
	size_t dataSize;
	const void *data;
} VkSpecialization;

typedef struct VkShaderStage {
	uint32_t sType;
	const void *pNext;
	VkFlags flags;
	uint32_t stage;
	VkHandle module;
	const char *name;
	const VkSpecialization *spec;
} VkShaderStage;

typedef struct VkSubgroupSizeRequired {
	uint32_t sType;
	void *pNext;
	uint32_t size;
} VkSubgroupSizeRequired;

typedef struct VkComputePipeline {
	uint32_t sType;
	const void *pNext;
	VkFlags flags;
	VkShaderStage stage;
	VkHandle layout, base;
	int32_t baseIndex;
} VkComputePipeline;

typedef struct VkCommandBufferBegin {
	uint32_t sType;
	const void *pNext;
	VkFlags flags;
	const void *inheritance;
} VkCommandBufferBegin;

typedef struct VkMemoryBarrier {
	uint32_t sType;
	const void *pNext;
	VkFlags srcAccess, dstAccess;
} VkMemoryBarrier;

typedef struct VkBufferCopy {
	VkDeviceSize src, dst, size;
} VkBufferCopy;

typedef struct VkQueryPoolCreateInfo {
	uint32_t sType;
	const void *pNext;
	VkFlags flags;
	uint32_t type, count;
	VkFlags statistics;
} VkQueryPoolCreateInfo;

#endif
