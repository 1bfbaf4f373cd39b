// Converts rows of F32 to halves, or BF16, for matmul_halves: a block for each row. What is behind the row's end is 0. A row whose values a half does
// not hold well is divided by a power of two, which is stored behind all rows.
#include "common.h"
#include "wide.h"

static __shared__ u32 tops[LOCAL / 32];

struct Params {
	u64 x, h, scales;
	u32 k, kp, rows;
	u32 ne1, ne2, st1, st2, st3;
	u32 BF16;

	FN void run() {
		u32 r = linearGroup(), top = 0;
		if (r >= rows) return;
		u64 row = x + u64(r % ne1) * st1 + u64(r / ne1 % ne2) * st2 + u64(r / ne1 / ne2) * st3, to = h + 2 * u64(r) * kp;
		for (u32 i = 4 * threadIdx.x; i < k; i += 4 * LOCAL) {
			Words4 v = U32x4(row + 4 * u64(i)).v;
			UNROLL for (u32 j = 0; j < 4; j++) top = max_(top, v[j] & 0x7fffffffu);
		}
		for (u32 d = WAVE / 2; d > 0; d /= 2) top = max_(top, u32(__shfl_xor(int(top), int(d))));
		if (LANE == 0) tops[WAVE_ID] = top;
		__syncthreads();
		for (u32 i = 0; i < WAVES; i++) top = max_(top, tops[i]);
		float scale = 1.0f, inv = 1.0f;
		u32 e = top >> 23; // with 127 for 1
		if (!BF16 && e < 255 && e > 3 && (e > 127 + 14 || e < 127 - 6)) {
			scale = __uint_as_float(min_(e, 252u) << 23);
			inv = __uint_as_float((254 - min_(e, 252u)) << 23);
		}
		for (u32 i = 4 * threadIdx.x; i < kp; i += 4 * LOCAL) {
			Floats4 v = floats4(0.0f, 0.0f, 0.0f, 0.0f);
			if (i < k) v = F32x4(row + 4 * u64(i)).v;
			UNROLL for (u32 j = 0; j < 4; j += 2) {
				U32(to + 2 * u64(i + j)).v = BF16 ? toBF16(v[j]) | toBF16(v[j + 1]) << 16 : halves(v[j] * inv, v[j + 1] * inv);
			}
		}
		if (threadIdx.x == 0) F32(scales + 4 * u64(r)).v = scale;
	}
};

KERNEL(halve_rows)
