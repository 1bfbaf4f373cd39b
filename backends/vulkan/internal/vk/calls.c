//go:build cgo && linux && (amd64 || arm64)

#include "calls.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void *tn_open_loader(const char *name, char *why, size_t size) {
	void *lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		const char *e = dlerror();
		snprintf(why, size, "%s", e == NULL ? "no reason given" : e);
		return NULL;
	}
	void *get = dlsym(lib, "vkGetInstanceProcAddr");
	if (get == NULL) {
		snprintf(why, size, "%s has no vkGetInstanceProcAddr", name);
	}
	return get;
}

typedef void *(*get_proc)(VkHandle, const char *);

void *tn_instance_proc(void *get, VkHandle instance, const char *name) { return ((get_proc)get)(instance, name); }

int tn_load(void *get, VkHandle instance, VkHandle device, tn_fn *fn, const char **missing) {
	get_proc of = (get_proc)tn_instance_proc(get, instance, "vkGetDeviceProcAddr");
	if (of == NULL) {
		*missing = "vkGetDeviceProcAddr";
		return 0;
	}
#define WANT(f)                                        \
	fn->f = of(device, "vk" #f);                       \
	if (fn->f == NULL) {                               \
		*missing = "vk" #f;                            \
		return 0;                                      \
	}
	WANT(QueueSubmit)
	WANT(WaitSemaphores)
	WANT(GetSemaphoreCounterValue)
	WANT(CreateSemaphore)
	WANT(DestroySemaphore)
	WANT(BeginCommandBuffer)
	WANT(EndCommandBuffer)
	WANT(CmdBindPipeline)
	WANT(CmdPushConstants)
	WANT(CmdDispatch)
	WANT(CmdPipelineBarrier)
	WANT(CmdCopyBuffer)
	WANT(CmdFillBuffer)
	WANT(CmdResetQueryPool)
	WANT(CmdWriteTimestamp)
	WANT(CreateQueryPool)
	WANT(DestroyQueryPool)
	WANT(GetQueryPoolResults)
	WANT(CreateComputePipelines)
	WANT(CreateBuffer)
	WANT(DestroyBuffer)
	WANT(GetBufferMemoryRequirements)
	WANT(AllocateMemory)
	WANT(FreeMemory)
	WANT(BindBufferMemory)
	WANT(MapMemory)
	WANT(GetBufferDeviceAddress)
#undef WANT
	fn->GetMemoryHostPointerPropertiesEXT = of(device, "vkGetMemoryHostPointerPropertiesEXT");
	return 1;
}

// link puts a struct in front of a chain.
static void link(void *chain, void *s, uint32_t type) {
	VkOut *head = chain, *o = s;
	o->sType = type;
	o->pNext = head->pNext;
	head->pNext = o;
}

void *tn_chain(tn_facts *f, uint32_t extensions) {
	f->features.sType = ST_FEATURES_2;
	f->features.pNext = NULL;
	link(&f->features, &f->f11, ST_FEATURES_11);
	link(&f->features, &f->f12, ST_FEATURES_12);
	if (extensions & TN_SUBGROUP) link(&f->features, &f->subgroup_features, ST_SUBGROUP_SIZE_FEATURES);
	if (extensions & TN_DOT) link(&f->features, &f->dot, ST_DOT_PRODUCT_FEATURES);
	if (extensions & TN_COOP) link(&f->features, &f->coop, ST_COOPERATIVE_MATRIX_FEATURES);
	if (extensions & TN_BF16) link(&f->features, &f->bf16, ST_BFLOAT16_FEATURES);
	return &f->features;
}

void tn_query(void *get, VkHandle instance, VkHandle physical, uint32_t extensions, tn_facts *f) {
	void (*features)(VkHandle, void *) = tn_instance_proc(get, instance, "vkGetPhysicalDeviceFeatures2");
	void (*properties)(VkHandle, void *) = tn_instance_proc(get, instance, "vkGetPhysicalDeviceProperties2");
	memset(f, 0, sizeof *f);
	if (features == NULL || properties == NULL) return;
	features(physical, tn_chain(f, extensions));
	f->properties.sType = ST_PROPERTIES_2;
	link(&f->properties, &f->p11, ST_PROPERTIES_11);
	link(&f->properties, &f->p12, ST_PROPERTIES_12);
	if (extensions & TN_SUBGROUP) link(&f->properties, &f->subgroup, ST_SUBGROUP_SIZE_PROPERTIES);
	if (extensions & TN_PCI) link(&f->properties, &f->pci, ST_PCI_BUS);
	if (extensions & TN_HOST) link(&f->properties, &f->host, ST_EXTERNAL_HOST_PROPERTIES);
	if (extensions & TN_DOT) link(&f->properties, &f->dot_properties, ST_DOT_PRODUCT_PROPERTIES);
	properties(physical, &f->properties);
}

void tn_memory(void *get, VkHandle instance, VkHandle physical, uint32_t extensions, VkMemoryProperties2 *m, VkMemoryBudget *b) {
	void (*memory)(VkHandle, void *) = tn_instance_proc(get, instance, "vkGetPhysicalDeviceMemoryProperties2");
	memset(m, 0, sizeof *m);
	memset(b, 0, sizeof *b);
	if (memory == NULL) return;
	m->sType = ST_MEMORY_PROPERTIES_2;
	if (extensions & TN_BUDGET) link(m, b, ST_MEMORY_BUDGET);
	memory(physical, m);
}

uint32_t tn_coop_shapes(void *get, VkHandle instance, VkHandle physical, uint32_t max, VkCoopMatrixProperties *shapes) {
	VkResult (*of)(VkHandle, uint32_t *, VkCoopMatrixProperties *) =
		tn_instance_proc(get, instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
	if (of == NULL) return 0;
	for (uint32_t i = 0; i < max; i++) {
		memset(&shapes[i], 0, sizeof shapes[i]);
		shapes[i].sType = ST_COOPERATIVE_MATRIX_PROPERTIES;
	}
	if (of(physical, &max, shapes) < 0) return 0;
	return max;
}

enum { HOST_ALLOCATION = 0x80 }; // VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT

uint32_t tn_host_types(tn_fn *fn, VkHandle device, void *host) {
	VkHostPointerProperties p = {ST_HOST_POINTER_PROPERTIES, NULL, 0};
	if (fn->GetMemoryHostPointerPropertiesEXT == NULL || fn->GetMemoryHostPointerPropertiesEXT(device, HOST_ALLOCATION, host, &p) < 0) {
		return 0;
	}
	return p.memoryTypeBits;
}

VkResult tn_buffer_create(tn_fn *fn, VkHandle device, uint64_t size, VkFlags usage, uint32_t type, int map, void *host,
	const uint32_t *families, uint32_t family_count, tn_buffer *out, const char **call) {
	memset(out, 0, sizeof *out);
	VkExternalMemoryBuffer external = {ST_EXTERNAL_MEMORY_BUFFER, NULL, HOST_ALLOCATION};
	VkBufferCreateInfo info = {ST_BUFFER_CREATE_INFO, host == NULL ? NULL : &external, 0, size, usage, 0, 0, NULL};
	if (family_count > 1) { // concurrent
		info.sharingMode = 1;
		info.familyCount = family_count;
		info.families = families;
	}
	*call = "vkCreateBuffer";
	VkResult r = fn->CreateBuffer(device, &info, NULL, &out->buffer);
	if (r < 0) return r;
	VkMemoryRequirements need;
	fn->GetBufferMemoryRequirements(device, out->buffer, &need);
	if (host != NULL && need.size > size) {
		need.size = size; // the memory ends there
	}
	VkImportHostPointer import = {ST_IMPORT_HOST_POINTER, NULL, HOST_ALLOCATION, host};
	VkMemoryAllocateFlags flags = {ST_MEMORY_ALLOCATE_FLAGS, host == NULL ? NULL : &import, 2, 0}; // device address
	VkMemoryAllocateInfo alloc = {ST_MEMORY_ALLOCATE_INFO, &flags, need.size, type};
	*call = "vkAllocateMemory";
	if ((need.memoryTypeBits >> type & 1) == 0) {
		tn_buffer_destroy(fn, device, out);
		return -1000072003; // VK_ERROR_INVALID_EXTERNAL_HANDLE: this memory cannot hold a buffer
	}
	r = fn->AllocateMemory(device, &alloc, NULL, &out->memory);
	if (r >= 0) {
		*call = "vkBindBufferMemory";
		r = fn->BindBufferMemory(device, out->buffer, out->memory, 0);
	}
	if (r >= 0 && map) {
		*call = "vkMapMemory";
		r = fn->MapMemory(device, out->memory, 0, ~0ULL, 0, &out->mapped);
	}
	if (r < 0) {
		tn_buffer_destroy(fn, device, out);
		return r;
	}
	VkBufferAddressInfo address = {ST_BUFFER_ADDRESS, NULL, out->buffer};
	out->address = fn->GetBufferDeviceAddress(device, &address);
	return r;
}

void tn_buffer_destroy(tn_fn *fn, VkHandle device, tn_buffer *b) {
	fn->DestroyBuffer(device, b->buffer, NULL);
	fn->FreeMemory(device, b->memory, NULL); // which unmaps
	memset(b, 0, sizeof *b);
}

VkResult tn_pipeline(tn_fn *fn, VkHandle device, VkHandle cache, VkHandle layout, VkHandle module, const uint32_t *spec,
	uint32_t specs, uint32_t subgroup, uint32_t full, VkHandle *out) {
	VkSpecializationEntry entries[64];
	if (specs > 64) return -3; // VK_ERROR_INITIALIZATION_FAILED
	for (uint32_t i = 0; i < specs; i++) {
		entries[i] = (VkSpecializationEntry){i, 4 * i, 4};
	}
	VkSpecialization s = {specs, entries, 4 * specs, spec};
	VkSubgroupSizeRequired required = {ST_SUBGROUP_SIZE_REQUIRED, NULL, subgroup};
	VkComputePipeline info = {
		ST_COMPUTE_PIPELINE, NULL, 0,
		{ST_PIPELINE_SHADER_STAGE, subgroup ? &required : NULL, full ? 2 : 0, 0x20, module, "main", &s},
		layout, NULL, -1};
	return fn->CreateComputePipelines(device, cache, 1, &info, NULL, out);
}

enum {
	STAGE_COMPUTE = 0x800,
	STAGE_TRANSFER = 0x1000,
	STAGE_HOST = 0x4000,
	ACCESS_SHADER_READ = 0x20,
	ACCESS_SHADER_WRITE = 0x40,
	ACCESS_TRANSFER_READ = 0x800,
	ACCESS_TRANSFER_WRITE = 0x1000,
	ACCESS_HOST_READ = 0x2000,
};

// barrier orders dispatches before it before those after it: what copies need would cost more.
static void barrier(tn_fn *fn, VkHandle cb) {
	VkMemoryBarrier m = {ST_MEMORY_BARRIER, NULL, ACCESS_SHADER_WRITE, ACCESS_SHADER_READ | ACCESS_SHADER_WRITE};
	fn->CmdPipelineBarrier(cb, STAGE_COMPUTE, STAGE_COMPUTE, 0, 1, &m, 0, NULL, 0, NULL);
}

// end orders all commands before it before all of later submits, and before the host.
static void end(tn_fn *fn, VkHandle cb) {
	VkMemoryBarrier m = {
		ST_MEMORY_BARRIER, NULL, ACCESS_SHADER_WRITE | ACCESS_TRANSFER_WRITE,
		ACCESS_SHADER_READ | ACCESS_SHADER_WRITE | ACCESS_TRANSFER_READ | ACCESS_TRANSFER_WRITE | ACCESS_HOST_READ};
	fn->CmdPipelineBarrier(cb, STAGE_COMPUTE | STAGE_TRANSFER, STAGE_COMPUTE | STAGE_TRANSFER | STAGE_HOST, 0, 1, &m, 0, NULL, 0, NULL);
}

VkResult tn_record(tn_fn *fn, VkHandle cb, VkHandle layout, const tn_cmd *cmds, uint32_t n, const uint8_t *push, VkFlags usage) {
	VkCommandBufferBegin begin = {ST_COMMAND_BUFFER_BEGIN, NULL, usage, NULL};
	VkResult r = fn->BeginCommandBuffer(cb, &begin);
	if (r < 0) return r;
	uint64_t bound = 0;
	for (uint32_t i = 0; i < n; i++) {
		const tn_cmd *c = &cmds[i];
		switch (c->kind) {
		case TN_DISPATCH:
			if (c->a != bound) {
				fn->CmdBindPipeline(cb, 1, (VkHandle)c->a);
				bound = c->a;
			}
			if (c->push_size > 0) fn->CmdPushConstants(cb, layout, 0x20, 0, c->push_size, push + c->push_at);
			fn->CmdDispatch(cb, c->x, c->y, c->z);
			break;
		case TN_BARRIER:
			barrier(fn, cb);
			break;
		case TN_END:
			end(fn, cb);
			break;
		case TN_COPY: {
			VkBufferCopy copy = {c->from, c->to, c->size};
			fn->CmdCopyBuffer(cb, (VkHandle)c->a, (VkHandle)c->b, 1, &copy);
			break;
		}
		case TN_FILL:
			fn->CmdFillBuffer(cb, (VkHandle)c->b, c->to, c->size, c->x);
			break;
		case TN_TIME:
			if (c->x == 0) fn->CmdResetQueryPool(cb, (VkHandle)c->a, 0, c->y);
			fn->CmdWriteTimestamp(cb, STAGE_COMPUTE, (VkHandle)c->a, c->x);
			break;
		}
	}
	return fn->EndCommandBuffer(cb);
}

VkResult tn_timeline(tn_fn *fn, VkHandle device, VkHandle *out) {
	VkSemaphoreType type = {ST_SEMAPHORE_TYPE, NULL, 1, 0};
	VkSemaphoreCreateInfo info = {ST_SEMAPHORE_CREATE_INFO, &type, 0};
	return fn->CreateSemaphore(device, &info, NULL, out);
}

VkResult tn_submit(tn_fn *fn, VkHandle queue, VkHandle timeline, uint64_t value, const VkHandle *cbs, uint32_t n) {
	VkTimelineSubmit values = {ST_TIMELINE_SUBMIT, NULL, 0, NULL, 1, &value};
	VkSubmitInfo info = {ST_SUBMIT_INFO, &values, 0, NULL, NULL, n, cbs, 1, &timeline};
	return fn->QueueSubmit(queue, 1, &info, NULL);
}

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

VkResult tn_wait(tn_fn *fn, VkHandle device, VkHandle timeline, uint64_t value, uint64_t spin_ns, uint64_t timeout_ns) {
	uint64_t have = 0, end = spin_ns ? now() + spin_ns : 0;
	do {
		VkResult r = fn->GetSemaphoreCounterValue(device, timeline, &have);
		if (r < 0 || have >= value) return r < 0 ? r : VK_SUCCESS;
	} while (spin_ns && now() < end);
	VkSemaphoreWait info = {ST_SEMAPHORE_WAIT, NULL, 0, 1, &timeline, &value};
	return fn->WaitSemaphores(device, &info, timeout_ns);
}

VkResult tn_queries(tn_fn *fn, VkHandle device, uint32_t n, VkHandle *out) {
	VkQueryPoolCreateInfo info = {ST_QUERY_POOL_CREATE_INFO, NULL, 0, 2, n, 0};
	return fn->CreateQueryPool(device, &info, NULL, out);
}

VkResult tn_query_results(tn_fn *fn, VkHandle device, VkHandle pool, uint32_t n, uint64_t *out) {
	return fn->GetQueryPoolResults(device, pool, 0, n, 8 * (size_t)n, out, 8, 1 | 2); // 64 bits, wait
}

void tn_destroy_queries(tn_fn *fn, VkHandle device, VkHandle pool) { fn->DestroyQueryPool(device, pool, NULL); }

void tn_destroy_timeline(tn_fn *fn, VkHandle device, VkHandle timeline) { fn->DestroySemaphore(device, timeline, NULL); }
