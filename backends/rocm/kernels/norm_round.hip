// RMSNorm times a gain, of packed rows x or of the sum of x and y, which is stored as well: a block for each row, which stays in registers,
// PER fours of it in each thread. What is read may be written over. The result is also stored rounded if products will read it.
// constants: PER
#include "common.h"
#include "norm_row.h"

struct Params {
	u64 x, y, gain, sums, dst, bytes, scales;
	u32 rows, n, xstep, ystep; // steps in bytes
	float eps;
	u32 pad;

	FN void run() {
		u32 r = linearGroup();
		if (r >= rows) return;
		Floats4 v[PER];
		UNROLL for (u32 e = 0; e < PER; e++) {
			u32 i = threadIdx.x + e * LOCAL;
			v[e] = floats4(0.0f, 0.0f, 0.0f, 0.0f);
			if (4 * i >= n) continue;
			v[e] = F32x4(x + u64(r) * xstep + 16 * u64(i)).v;
			if (y == 0) continue;
			Floats4 more = F32x4(y + u64(r) * ystep + 16 * u64(i)).v;
			UNROLL for (u32 j = 0; j < 4; j++) v[e][j] += more[j];
			F32x4(sums + 4 * u64(r) * n + 16 * u64(i)).v = v[e];
		}
		normRow<PER>(v, n, eps, gain, dst + 4 * u64(r) * n, bytes, scales, r * (n / 4));
	}
};

KERNEL(norm_round)
