// The activations of a product with quantized weights: a thread for each number, and 32 of them for a block of Activation.
#include "common.h"
#include "dot4.h"

struct Params {
	u64 x, dst;
	u32 n; // numbers
	u32 ne[4], xs[4];
	u32 TYPE;

	FN void run() {
		u32 i = linearIndex();
		if (i >= n) return; // whole blocks: n is a multiple of 32
		float v = loadFloat(TYPE, x + offset(coords(i, ne), xs));
		u32 most = __float_as_uint(v) & 0x7fffffffu; // by bits: Inf and NaN are the greatest
		for (int d = 16; d > 0; d /= 2) most = max_(most, u32(__shfl_xor(int(most), d)));
		float d = __uint_as_float(most) / 127.0f, inv = most == 0 || most >= 0x7f800000u ? 0.0f : 1.0f / d;
		if (isinf_(inv)) inv = 0.0f;
		int code = most >= 0x7f800000u ? 0 : int(rintf(v * inv)), sum = code;
		for (int k = 8; k > 0; k /= 2) sum += __shfl_xor(sum, k);
		Activation* to = (Activation*)dst + i / 32;
		((i8*)to->codes)[i % 32] = i8(code);
		if (i % 16 == 0) to->sums[i / 16 % 2] = short(sum);
		// What is no number, or not finite, makes the sums so: d times 0 is NaN then.
		if (i % 32 == 0) to->d = d;
	}
};

KERNEL(quantize_q8)
