// Adds up the parts of flash_rows and flash_tile: a block for each head and token. What a part counts for does not depend on how many
// others there are, and one that is hidden whole counts for nothing.
#include "common.h"
#include "attention.h"
#include "reduce.h"

constexpr u32 MOST = 128; // parts

static __shared__ float weight[MOST];

struct Params {
	u64 parts, sinks, dst;
	u32 rows, heads, ss, splits, DV, SINKS;

	FN void run() {
		u32 r = linearGroup(), lid = threadIdx.x;
		if (r >= rows) return;
		u64 from = parts + 4 * u64(DV + PART) * splits * r, line = 4 * u64(DV + PART);
		float most = -INF, sum = 0.0f, keep = 1.0f;
		for (u32 s = lid; s < splits; s += LOCAL) most = max_(most, F32(from + line * s + 4 * DV).v);
		most = reduceMax(most);
		for (u32 s = lid; s < splits; s += LOCAL) {
			float top = F32(from + line * s + 4 * DV).v, w = top == -INF ? 1.0f : exp_(top - most);
			weight[s] = w;
			sum += w * F32(from + line * s + 4 * DV + 4).v;
		}
		sum = reduceSum(sum);
		__syncthreads();
		if (SINKS) sink(F32(sinks + u64(r % heads) * ss).v, most, sum, keep);
		float inv = sum == 0.0f ? 0.0f : keep / sum;
		for (u32 i = lid; i < DV; i += LOCAL) {
			float x = 0.0f;
			_Pragma("unroll 8") for (u32 s = 0; s < splits; s++) x = fmaf(F32(from + line * s + 4 * u64(i)).v, weight[s], x);
			F32(dst + 4 * (u64(DV) * r + i)).v = x * inv;
		}
	}
};

KERNEL(flash_merge)
