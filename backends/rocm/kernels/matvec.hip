// MatMul of quantized weights in packed rows with activations of eight bits: a wave has a row of a and COLS of b. A thread
// takes 32 weights at a time, in words, and multiplies them four at a time.
// constants: TA COLS
#include "common.h"
#include "weights.h"

struct Params {
	u64 a, x, dst;
	u32 m, n, units;   // rows of a, rows of b, and how many 32 they have
	u32 groups, cols;  // of rows of a and of b
	u32 b2, r2, r3;    // as in matmul
	u32 as[4];

	FN void run() {
		u32 g = linearGroup(), i = g % groups * WAVES + WAVE_ID, j = g / groups % cols * COLS, plane = g / groups / cols;
		if (i >= m) return;
		u32 p2 = plane % b2, p3 = plane / b2;
		u64 row = a + u64(i) * as[1] + u64(p2 / r2) * as[2] + u64(p3 / r3) * as[3];
		const Activation* acts = (const Activation*)x + (u64(plane) * n + j) * units;
		float sum[COLS];
		UNROLL for (u32 c = 0; c < COLS; c++) sum[c] = 0.0f;
		for (u32 u = LANE; u < units; u += WAVE) {
			Weights w;
			load(row, u, w);
			UNROLL for (u32 c = 0; c < COLS; c++) {
				if (j + c >= n) break;
				sum[c] += multiply(w, acts + u64(c) * units);
			}
		}
		u64 to = dst + 4 * (u64(i) + u64(m) * (u64(j) + u64(n) * plane));
		UNROLL for (u32 c = 0; c < COLS; c++) {
			float s = waveSum(sum[c]);
			if (LANE == 0 && j + c < n) F32(to + 4 * u64(c) * m).v = s;
		}
	}
};

KERNEL(matvec)
