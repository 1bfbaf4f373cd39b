#pragma once
#include "wide.h"
// Rounds F32 to blocks of 32 signed bytes, for matvec: the first halves of all blocks, then their second halves, so that threads with a block each read what
// lies side by side. Behind these lie, for each block, its scale and the sums of either half.

// round32 stores four values of a block: eight threads in a row, the first a multiple of eight in its wave, have one. i is
// their number in all. What is no number, or not finite, makes the scale so: all products with the block are NaN then.
FN void round32(Floats4 v, u64 bytes, u64 scales, u32 i, bool on) {
	u32 top = 0; // by bits: Inf and NaN are the greatest
	UNROLL for (u32 j = 0; j < 4; j++) top = max_(top, __float_as_uint(v[j]) & 0x7fffffffu);
	top = max_(top, u32(OCTET_MOVE(int(top), 1)));
	top = max_(top, u32(OCTET_MOVE(int(top), 2)));
	top = max_(top, u32(OCTET_MOVE(int(top), 7)));
	float d = __uint_as_float(top) / 127.0f, inv = top < 0x01800000u || top >= 0x7f800000u ? 0.0f : 127.0f / __uint_as_float(top);
	u32 word = 0;
	int sum = 0;
	UNROLL for (u32 j = 0; j < 4; j++) {
		int code = inv == 0.0f ? 0 : int(rintf(v[j] * inv));
		sum += code;
		word |= (u32(code) & 255u) << (8 * j);
	}
	sum += OCTET_MOVE(sum, 1);
	sum += OCTET_MOVE(sum, 2);
	int other = OCTET_MOVE(sum, 7);
	if (!on) return;
	U32(bytes + (i % 8 < 4 ? 0 : (scales - bytes) / 2) + 16 * u64(i / 8) + 4 * (i % 4)).v = word;
	if (i % 8 == 0) {
		Floats4 s = floats4(d, d * float(sum), d * float(other), 0.0f);
		F32x4(scales + 16 * u64(i / 8)).v = s;
	}
}
