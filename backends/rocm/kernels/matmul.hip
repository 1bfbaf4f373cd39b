// MatMul and MatMulID of any types and strides: a wave decodes a row of a once for up to COLS rows of b.
// constants: TA TB COLS
#include "common.h"
#include "dequant.h"

struct Params {
	u64 a, b, dst;
	u32 m, n, k;          // rows of a, rows of b, and how long they are
	u32 groups, cols;     // of rows of a and of b
	u32 b2;               // planes of b in dimension 2
	u32 r2, r3;           // how often a's planes repeat
	u32 as[4], bs[4];

	FN void run() {
		u32 g = linearGroup();
		u32 rowGroup = g % groups, colGroup = g / groups % cols, plane = g / groups / cols;
		u32 i = rowGroup * WAVES + WAVE_ID;
		if (i >= m) return;
		u32 p2 = plane % b2, p3 = plane / b2;
		u64 row = a + u64(i) * as[1] + u64(p2 / r2) * as[2] + u64(p3 / r3) * as[3];
		u32 j = colGroup * COLS;
		u64 other = b + u64(j) * bs[1] + u64(p2) * bs[2] + u64(p3) * bs[3];
		float sum[COLS];
		UNROLL for (u32 c = 0; c < COLS; c++) sum[c] = 0.0f;
		for (u32 at = LANE * 4; at < k; at += WAVE * 4) {
			vec4 x = row4(TA, row, as[0], at, k);
			UNROLL for (u32 c = 0; c < COLS; c++) {
				if (j + c < n) sum[c] += dot(x, row4(TB, other + u64(c) * bs[1], bs[0], at, k));
			}
		}
		u64 to = dst + 4 * (u64(i) + u64(m) * (u64(j) + u64(n) * plane));
		UNROLL for (u32 c = 0; c < COLS; c++) {
			float s = waveSum(sum[c]);
			if (LANE == 0 && j + c < n) F32(to + 4 * u64(c) * m).v = s;
		}
	}
};

KERNEL(matmul)
