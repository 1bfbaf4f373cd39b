// Add, Sub, Mul and Div, with b repeated.
#include "common.h"

struct Params {
	u64 a, b, dst;
	u32 n;
	u32 ne[4], as[4], bne[4], bs[4];
	u32 OP, TA, TB, FLAT;

	FN float divide(float x, float y) {
		if (fabsf(y) > 2.1267647932558654e37f && !isinf_(y)) { // beyond 2^124 an inverse is lost
			x *= 0.0625f;
			y *= 0.0625f;
		}
		return x / y;
	}

	FN void run() {
		u32 i = linearIndex();
		if (i >= n) return;
		u64 pa = a, pb = b;
		if (FLAT) {
			pa += u64(i) * sizeOf(TA);
			pb += u64(i) * sizeOf(TB);
		} else {
			uvec4 c = coords(i, ne);
			pa += offset(c, as);
			pb += offset(uvec4(c.x % bne[0], c.y % bne[1], c.z % bne[2], c.w % bne[3]), bs);
		}
		float x = loadFloat(TA, pa), y = loadFloat(TB, pb), z;
		if (OP == 0) z = x + y;
		else if (OP == 1) z = x - y;
		else if (OP == 2) z = x * y;
		else z = divide(x, y);
		storeFloat(TA, dst + u64(i) * sizeOf(TA), z);
	}
};

KERNEL(binary)
