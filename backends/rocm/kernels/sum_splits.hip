// Adds up what the blocks of matmul_halves have computed that share the length of rows: a thread for each element of the results.
#include "common.h"
#include "parts.h"

struct Params {
	Part parts[MAX_PARTS]; // whose a are sums, and whose groups are blocks for elements
	u64 scales;
	u32 n, splits, addStep, pad;

	FN void run() {
		u32 g = linearGroup();
		Part p = partOf(parts, g);
		u32 i = g * LOCAL + threadIdx.x, r = i % max_(p.m, 1u), c = i / max_(p.m, 1u);
		if (g >= p.groups || c >= n) return;
		float s = 0.0f;
		for (u32 k = 0; k < splits; k++) s += F32(p.a + 4 * (u64(i) + u64(p.m) * n * k)).v;
		s *= F32(scales + 4 * u64(c)).v;
		if (p.add != 0) s += F32(p.add + u64(c) * addStep + 4 * u64(r)).v;
		F32(p.dst + 4 * u64(i)).v = s;
	}
};

KERNEL(sum_splits)
