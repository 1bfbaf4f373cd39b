// RMSNorm times a gain, of packed rows x or of the sum of x and y, which is stored as well: a block for each row, which stays in registers,
// PER fours of it in each thread. What is read may be written over. With bytes the result is stored as round32 does, too, for
// the products that read it.
// constants: PER
#include "common.h"
#include "reduce.h"
#include "round.h"

struct Params {
	u64 x, y, gain, sums, dst, bytes, scales;
	u32 rows, n, xstep, ystep; // steps in bytes
	float eps;
	u32 pad;

	FN void run() {
		u32 r = linearGroup(), lid = threadIdx.x;
		if (r >= rows) return;
		Floats4 v[PER];
		float squares = 0.0f;
		UNROLL for (u32 e = 0; e < PER; e++) {
			u32 i = lid + e * LOCAL;
			v[e] = floats4(0.0f, 0.0f, 0.0f, 0.0f);
			if (4 * i < n) {
				v[e] = F32x4(x + u64(r) * xstep + 16 * u64(i)).v;
				if (y != 0) {
					Floats4 more = F32x4(y + u64(r) * ystep + 16 * u64(i)).v;
					UNROLL for (u32 j = 0; j < 4; j++) v[e][j] += more[j];
					F32x4(sums + 4 * u64(r) * n + 16 * u64(i)).v = v[e];
				}
			}
			UNROLL for (u32 j = 0; j < 4; j++) squares += v[e][j] * v[e][j];
		}
		float factor = 1.0f / sqrtf(reduceSum(squares) / float(n) + eps);
		UNROLL for (u32 e = 0; e < PER; e++) {
			u32 i = lid + e * LOCAL;
			bool on = 4 * i < n;
			Floats4 z = floats4(0.0f, 0.0f, 0.0f, 0.0f);
			if (on) {
				Floats4 g = F32x4(gain + 16 * u64(i)).v;
				UNROLL for (u32 j = 0; j < 4; j++) z[j] = v[e][j] * factor * g[j];
				F32x4(dst + 4 * u64(r) * n + 16 * u64(i)).v = z;
			}
			if (bytes != 0) round32(z, bytes, scales, r * (n / 4) + i, on);
		}
	}
};

KERNEL(norm_round)
