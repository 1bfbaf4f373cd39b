// Unary, Scale, Clamp and Scale+Tanh+Scale: a function of each element.
#include "common.h"
#include "math.h"

struct Params {
	u64 x, dst;
	u32 n;
	u32 ne[4], xs[4];
	float p0, p1, p2, p3;
	u32 FUNC, TYPE, FLAT;

	FN void run() {
		u32 i = linearIndex();
		if (i >= n) return;
		u64 from = x + (FLAT ? u64(i) * sizeOf(TYPE) : offset(coords(i, ne), xs));
		float v = loadFloat(TYPE, from), y;
		if (FUNC == 100) y = v * p0 + p1;
		else if (FUNC == 101) y = v < p0 ? p0 : v > p1 ? p1 : v;
		else if (FUNC == 102) y = tanh_(v * p0 + p1) * p2 + p3;
		else y = func(FUNC, v);
		storeFloat(TYPE, dst + u64(i) * sizeOf(TYPE), y);
	}
};

KERNEL(unary)
