// ArgSort and TopK: a thread for each element counts how many stand before it, which is its place. That takes n*n
// comparisons, and no memory but the row's.
#include "common.h"

static __shared__ u32 tile[LOCAL];

struct Params {
	u64 x, dst;
	u32 k, groups; // places that are wanted; groups for a row
	u32 ne[4], xs[4];
	u32 DESCENDING;

	// key orders numbers as unsigned integers: NaN first, zeros of both signs alike.
	FN u32 key(u32 u) {
		u32 a = u & 0x7fffffffu;
		if (a > 0x7f800000u) return DESCENDING ? 0xffffffffu : 0u;
		if (a == 0) u = 0;
		u = (u >> 31) != 0 ? ~u : u | 0x80000000u;
		return DESCENDING ? ~u : u;
	}

	FN void run() {
		u32 g = linearGroup(), r = g / groups, n = ne[0], lid = threadIdx.x, step = LOCAL;
		u32 i = g % groups * step + lid;
		if (r >= ne[1] * ne[2] * ne[3]) return;
		u64 row = x + u64(r % ne[1]) * xs[1] + u64(r / ne[1] % ne[2]) * xs[2] + u64(r / ne[1] / ne[2]) * xs[3];
		u32 own = i < n ? key(U32(row + u64(i) * xs[0]).v) : 0u, before = 0;
		for (u32 begin = 0; begin < n; begin += step) {
			u32 c = begin + lid;
			__syncthreads();
			if (c < n) tile[lid] = key(U32(row + u64(c) * xs[0]).v);
			__syncthreads();
			u32 many = min_(step, n - begin);
			for (u32 j = 0; j < many; j++) {
				u32 other = tile[j];
				before += u32(other < own || other == own && begin + j < i);
			}
		}
		if (i < n && before < k) I32(dst + 4 * (u64(r) * k + before)).v = int(i);
	}
};

KERNEL(sort)
