#ifndef TENON_VK_CALLS_H
#define TENON_VK_CALLS_H

#include "abi.h"

// tn_fn holds the functions of one device. Everything that runs per submit goes through it, with memory that
// is not Go's or that holds no pointers.
typedef struct tn_fn {
	VkResult (*QueueSubmit)(VkHandle, uint32_t, const VkSubmitInfo *, VkHandle);
	VkResult (*WaitSemaphores)(VkHandle, const VkSemaphoreWait *, uint64_t);
	VkResult (*GetSemaphoreCounterValue)(VkHandle, VkHandle, uint64_t *);
	VkResult (*CreateSemaphore)(VkHandle, const VkSemaphoreCreateInfo *, const void *, VkHandle *);
	void (*DestroySemaphore)(VkHandle, VkHandle, const void *);
	VkResult (*BeginCommandBuffer)(VkHandle, const VkCommandBufferBegin *);
	VkResult (*EndCommandBuffer)(VkHandle);
	void (*CmdBindPipeline)(VkHandle, uint32_t, VkHandle);
	void (*CmdPushConstants)(VkHandle, VkHandle, VkFlags, uint32_t, uint32_t, const void *);
	void (*CmdDispatch)(VkHandle, uint32_t, uint32_t, uint32_t);
	void (*CmdPipelineBarrier)(VkHandle, VkFlags, VkFlags, VkFlags, uint32_t, const VkMemoryBarrier *, uint32_t, const void *, uint32_t, const void *);
	void (*CmdCopyBuffer)(VkHandle, VkHandle, VkHandle, uint32_t, const VkBufferCopy *);
	void (*CmdFillBuffer)(VkHandle, VkHandle, VkDeviceSize, VkDeviceSize, uint32_t);
	void (*CmdResetQueryPool)(VkHandle, VkHandle, uint32_t, uint32_t);
	void (*CmdWriteTimestamp)(VkHandle, uint32_t, VkHandle, uint32_t);
	VkResult (*CreateQueryPool)(VkHandle, const VkQueryPoolCreateInfo *, const void *, VkHandle *);
	void (*DestroyQueryPool)(VkHandle, VkHandle, const void *);
	VkResult (*GetQueryPoolResults)(VkHandle, VkHandle, uint32_t, uint32_t, size_t, void *, VkDeviceSize, VkFlags);
	VkResult (*CreateComputePipelines)(VkHandle, VkHandle, uint32_t, const VkComputePipeline *, const void *, VkHandle *);
	VkResult (*CreateBuffer)(VkHandle, const VkBufferCreateInfo *, const void *, VkHandle *);
	void (*DestroyBuffer)(VkHandle, VkHandle, const void *);
	void (*GetBufferMemoryRequirements)(VkHandle, VkHandle, VkMemoryRequirements *);
	VkResult (*AllocateMemory)(VkHandle, const VkMemoryAllocateInfo *, const void *, VkHandle *);
	void (*FreeMemory)(VkHandle, VkHandle, const void *);
	VkResult (*BindBufferMemory)(VkHandle, VkHandle, VkHandle, VkDeviceSize);
	VkResult (*MapMemory)(VkHandle, VkHandle, VkDeviceSize, VkDeviceSize, VkFlags, void **);
	VkDeviceAddress (*GetBufferDeviceAddress)(VkHandle, const VkBufferAddressInfo *);
	VkResult (*GetMemoryHostPointerPropertiesEXT)(VkHandle, uint32_t, const void *, VkHostPointerProperties *); // or NULL
} tn_fn;

// tn_facts is what is asked of a physical device beyond Vulkan 1.0.
typedef struct tn_facts {
	VkFeatures2 features;
	VkFeatures11 f11;
	VkFeatures12 f12;
	VkSubgroupSizeFeatures subgroup_features;
	VkFlagFeatures dot, coop, bf16;
	VkProperties2 properties;
	VkProperties11 p11;
	VkDriverProperties12 p12;
	VkSubgroupSizeProperties subgroup;
	VkPCIBus pci;
	VkExternalHostProperties host;
	VkDotProductProperties dot_properties;
} tn_facts;

enum { TN_SUBGROUP = 1, TN_DOT = 2, TN_COOP = 4, TN_BF16 = 8, TN_PCI = 16, TN_HOST = 32, TN_BUDGET = 64 }; // extensions that there are

void *tn_open_loader(const char *name, char *why, size_t size);
void *tn_instance_proc(void *get, VkHandle instance, const char *name);
int tn_load(void *get, VkHandle instance, VkHandle device, tn_fn *fn, const char **missing);
void tn_query(void *get, VkHandle instance, VkHandle physical, uint32_t extensions, tn_facts *f);
void tn_memory(void *get, VkHandle instance, VkHandle physical, uint32_t extensions, VkMemoryProperties2 *m, VkMemoryBudget *b);
uint32_t tn_coop_shapes(void *get, VkHandle instance, VkHandle physical, uint32_t max, VkCoopMatrixProperties *shapes);

// tn_chain makes the pNext chain of features to switch on, in f itself.
void *tn_chain(tn_facts *f, uint32_t extensions);

typedef struct tn_buffer {
	VkHandle buffer, memory;
	VkDeviceAddress address;
	void *mapped;
} tn_buffer;

// tn_buffer_create makes a buffer with memory of a type. host is memory to import, or NULL. *call names what failed.
VkResult tn_buffer_create(tn_fn *fn, VkHandle device, uint64_t size, VkFlags usage, uint32_t types, int map, void *host,
	const uint32_t *families, uint32_t family_count, tn_buffer *out, const char **call);
void tn_buffer_destroy(tn_fn *fn, VkHandle device, tn_buffer *b);
uint32_t tn_host_types(tn_fn *fn, VkHandle device, void *host);

VkResult tn_pipeline(tn_fn *fn, VkHandle device, VkHandle cache, VkHandle layout, VkHandle module, const uint32_t *spec,
	uint32_t specs, uint32_t subgroup, uint32_t full, VkHandle *out);

// tn_cmd is one recorded command.
typedef struct tn_cmd {
	uint32_t kind;
	uint32_t x, y, z;      // groups; the byte pattern of a fill in x; the query of a timestamp in x
	uint32_t push_at, push_size;
	uint64_t a, b;         // pipeline; or the buffers from and to
	uint64_t from, to, size;
} tn_cmd;

enum { TN_DISPATCH, TN_BARRIER, TN_COPY, TN_FILL, TN_TIME, TN_END };

VkResult tn_record(tn_fn *fn, VkHandle cb, VkHandle layout, const tn_cmd *cmds, uint32_t n, const uint8_t *push, VkFlags usage);

VkResult tn_timeline(tn_fn *fn, VkHandle device, VkHandle *out);
VkResult tn_submit(tn_fn *fn, VkHandle queue, VkHandle timeline, uint64_t value, const VkHandle *cbs, uint32_t n);

// tn_wait waits until the timeline has reached value: first by asking for about spin_ns, then by waiting. It returns
// VK_TIMEOUT after timeout_ns.
VkResult tn_wait(tn_fn *fn, VkHandle device, VkHandle timeline, uint64_t value, uint64_t spin_ns, uint64_t timeout_ns);

VkResult tn_queries(tn_fn *fn, VkHandle device, uint32_t n, VkHandle *out);
VkResult tn_query_results(tn_fn *fn, VkHandle device, VkHandle pool, uint32_t n, uint64_t *out);


void tn_destroy_queries(tn_fn *fn, VkHandle device, VkHandle pool);
void tn_destroy_timeline(tn_fn *fn, VkHandle device, VkHandle timeline);

#endif
