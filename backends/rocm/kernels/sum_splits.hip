// Adds up what the blocks of matmul_halves have computed that share the length of rows: a thread for each element of the result.
#include "common.h"

struct Params {
	u64 parts, scales, add, dst;
	u32 m, n, splits, addStep;

	FN void run() {
		u32 i = linearIndex(), r = i % m, c = i / m;
		if (c >= n) return;
		float s = 0.0f;
		for (u32 p = 0; p < splits; p++) s += F32(parts + 4 * (u64(i) + u64(m) * n * p)).v;
		s *= F32(scales + 4 * u64(c)).v;
		if (add != 0) s += F32(add + u64(c) * addStep + 4 * u64(r)).v;
		F32(dst + 4 * u64(i)).v = s;
	}
};

KERNEL(sum_splits)
