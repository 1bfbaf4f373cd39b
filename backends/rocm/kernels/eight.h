#pragma once
#include "dequant.h"
#include "wide.h"

// Eight are elements in a row.
struct Eight {
	float v[8];

	FN float times(const Floats4& lo, const Floats4& hi) const {
		float a = 0.0f, b = 0.0f;
		UNROLL for (u32 j = 0; j < 4; j++) {
			a = fmaf(v[j], lo[j], a);
			b = fmaf(v[j + 4], hi[j], b);
		}
		return a + b;
	}
};

// eightAt returns elements i to i+7 of a packed row, for i a multiple of 8. Rows of floats begin at multiples of 16.
FN Eight eightAt(u32 type, u64 row, u32 i) {
	Eight e;
	if (isQuantized(type)) {
		u32 n = elemsOf(type);
		u64 b = row + u64(i / n) * sizeOf(type);
		UNROLL for (u32 h = 0; h < 2; h++) {
			vec4 v = dequant4(type, b, i % n + 4 * h);
			UNROLL for (u32 j = 0; j < 4; j++) e.v[4 * h + j] = v[j];
		}
	} else if (type == T_F32) {
		Floats4 lo = F32x4(row + 4 * u64(i)).v, hi = F32x4(row + 4 * u64(i) + 16).v;
		UNROLL for (u32 j = 0; j < 4; j++) {
			e.v[j] = lo[j];
			e.v[j + 4] = hi[j];
		}
	} else {
		Words4 w = U32x4(row + 2 * u64(i)).v;
		UNROLL for (u32 j = 0; j < 4; j++) {
			e.v[2 * j] = type == T_F16 ? lowHalf(w[j]) : __uint_as_float(w[j] << 16);
			e.v[2 * j + 1] = type == T_F16 ? highHalf(w[j]) : __uint_as_float(w[j] & 0xffff0000u);
		}
	}
	return e;
}
