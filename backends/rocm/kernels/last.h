#pragma once
#include "common.h"

// lastBlock reports whether a block is the last of so many to have stored its part of something, and sees then what all have stored: it goes on with
// that, which saves another launch. All threads of a block call it. The counter is 0 before, and again when it is over.
FN bool lastBlock(u64 counter, u32 blocks) {
	static __shared__ u32 before;
	__threadfence();
	__syncthreads();
	if (threadIdx.x == 0) before = atomicAdd((u32*)counter, 1u);
	__syncthreads();
	if (before != blocks - 1) return false;
	__threadfence();
	if (threadIdx.x == 0) U32(counter).v = 0;
	return true;
}
