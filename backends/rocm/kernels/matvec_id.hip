// MatMulID as in matvec: a wave for each element of the result.
// constants: TA
#include "common.h"
#include "weights.h"

struct Params {
	u64 a, x, ids, dst, faults;
	u32 node, pad;
	u32 m, units, experts, used, bused; // bused: rows of b for a token, used or 1
	u32 groups;
	u32 as[3], is[2];

	FN void run() {
		u32 g = linearGroup(), i = g % groups * WAVES + WAVE_ID, r = g / groups, j = r % used, t = r / used;
		if (i >= m) return;
		int id = I32(ids + u64(j) * is[0] + u64(t) * is[1]).v;
		if (id < 0 || id >= int(experts)) {
			if (LANE == 0) fault(faults, node, i64(id), experts);
			return;
		}
		u64 row = a + u64(i) * as[1] + u64(id) * as[2];
		const Activation* act = (const Activation*)x + (u64(t) * bused + j % bused) * units;
		float sum = 0.0f;
		for (u32 u = LANE; u < units; u += WAVE) {
			Weights w;
			load(row, u, w);
			sum += multiply(w, act);
		}
		sum = waveSum(sum);
		if (LANE == 0) F32(dst + 4 * (u64(i) + u64(m) * r)).v = sum;
	}
};

KERNEL(matvec_id)
