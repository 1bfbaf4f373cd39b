// MatMulID of any types and strides: a wave for each element of the result.
// constants: TA TB
#include "common.h"
#include "dequant.h"

struct Params {
	u64 a, b, ids, dst, faults;
	u32 node, pad;
	u32 m, k, experts, used, bused; // bused: rows of b for a token, used or 1
	u32 groups;
	u32 as[3], bs[3], is[2];

	FN void run() {
		u32 g = linearGroup();
		u32 i = g % groups * WAVES + WAVE_ID, r = g / groups, j = r % used, t = r / used;
		if (i >= m) return;
		int id = I32(ids + u64(j) * is[0] + u64(t) * is[1]).v;
		if (id < 0 || id >= int(experts)) {
			if (LANE == 0) fault(faults, node, i64(id), experts);
			return;
		}
		u64 row = a + u64(i) * as[1] + u64(id) * as[2];
		u64 other = b + u64(j % bused) * bs[1] + u64(t) * bs[2];
		float sum = 0.0f;
		for (u32 at = LANE * 4; at < k; at += WAVE * 4) {
			sum += dot(row4(TA, row, as[0], at, k), row4(TB, other, bs[0], at, k));
		}
		sum = waveSum(sum);
		if (LANE == 0) F32(dst + 4 * (u64(i) + u64(m) * r)).v = sum;
	}
};

KERNEL(matmul_id)
