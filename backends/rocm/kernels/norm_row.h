#pragma once
#include "reduce.h"
#include "round.h"

// normRow is RMSNorm times a gain, of a row of n that a block's threads hold, FOURS in each: thread t has fours t, t+LOCAL and so on. With
// bytes the result is stored as round32 does, too, for the products that read it; first is the number of its first four in all.
template <u32 FOURS> FN void normRow(const Floats4* v, u32 n, float eps, u64 gain, u64 dst, u64 bytes, u64 scales, u32 first) {
	Floats4 gains[FOURS]; // asked for at once, not when the sum is there
	UNROLL for (u32 e = 0; e < FOURS; e++) {
		u32 i = threadIdx.x + e * LOCAL;
		gains[e] = F32x4(gain + 16 * u64(min_(i, n / 4 - 1))).v;
	}
	float squares = 0.0f;
	UNROLL for (u32 e = 0; e < FOURS; e++) {
		UNROLL for (u32 j = 0; j < 4; j++) squares += v[e][j] * v[e][j];
	}
	float factor = 1.0f / sqrtf(reduceSum(squares) / float(n) + eps);
	UNROLL for (u32 e = 0; e < FOURS; e++) {
		u32 i = threadIdx.x + e * LOCAL;
		bool on = 4 * i < n;
		Floats4 z = floats4(0.0f, 0.0f, 0.0f, 0.0f);
		if (on) {
			UNROLL for (u32 j = 0; j < 4; j++) z[j] = v[e][j] * factor * gains[e][j];
			F32x4(dst + 16 * u64(i)).v = z;
		}
		if (bytes != 0) round32(z, bytes, scales, first + i, on);
	}
}
