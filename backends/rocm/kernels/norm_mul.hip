// RMSNorm+Mul and Add+RMSNorm+Mul of any types and strides: a block for each row. Results may lie over the sources that are as large: a
// thread reads an element before it writes that place, and all of a row is read before y is written.
#include "common.h"
#include "reduce.h"

struct Params {
	u64 x, b, w, sum, dst;
	u32 rows;
	u32 ne[4], xs[4], bs[4], ws[4]; // strides are 0 where something is repeated
	float eps;
	u32 TW, ADD; // types: of w, and 0 for no sum, otherwise 1 + that of b

	FN static u64 rowAt(u64 at, const u32* c, const u32* st) { return at + u64(c[0]) * st[1] + u64(c[1]) * st[2] + u64(c[2]) * st[3]; }

	FN void run() {
		u32 r = linearGroup(), n = ne[0], lid = threadIdx.x;
		if (r >= rows) return;
		u32 c[3] = {r % ne[1], r / ne[1] % ne[2], r / ne[1] / ne[2]};
		u64 px = rowAt(x, c, xs), pb = rowAt(b, c, bs), pw = rowAt(w, c, ws), ps = sum + 4 * u64(r) * n, to = dst + 4 * u64(r) * n;
		float squares = 0.0f;
		for (u32 i = lid; i < n; i += LOCAL) {
			float v = F32(px + u64(i) * xs[0]).v;
			if (ADD != 0) {
				v += loadFloat(ADD - 1, pb + u64(i) * bs[0]);
				F32(ps + 4 * u64(i)).v = v;
			}
			squares += v * v;
		}
		float factor = 1.0f / sqrtf(reduceSum(squares) / float(n) + eps);
		for (u32 i = lid; i < n; i += LOCAL) {
			float v = ADD != 0 ? F32(ps + 4 * u64(i)).v : F32(px + u64(i) * xs[0]).v;
			F32(to + 4 * u64(i)).v = v * factor * loadFloat(TW, pw + u64(i) * ws[0]);
		}
	}
};

KERNEL(norm_mul)
