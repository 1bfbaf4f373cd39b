// RMSNorm, LayerNorm, L2Norm and SumRows: a block for each row. The result may lie over x.
#include "common.h"
#include "reduce.h"

struct Params {
	u64 x, dst;
	u32 rows;
	u32 ne[4], xs[4];
	float eps;
	u32 OP;

	FN void run() {
		u32 r = linearGroup(), n = ne[0];
		if (r >= rows) return;
		u64 row = x + u64(r % ne[1]) * xs[1] + u64(r / ne[1] % ne[2]) * xs[2] + u64(r / ne[1] / ne[2]) * xs[3];
		u32 lid = threadIdx.x, step = LOCAL;
		float sum = 0.0f, squares = 0.0f;
		for (u32 i = lid; i < n; i += step) {
			float v = F32(row + u64(i) * xs[0]).v;
			sum += v;
			squares += v * v;
		}
		float mean = 0.0f, factor;
		if (OP == 3) {
			sum = reduceSum(sum);
			if (lid == 0) F32(dst + 4 * u64(r)).v = sum;
			return;
		}
		if (OP == 1) {
			mean = reduceSum(sum) / float(n);
			float d2 = 0.0f;
			for (u32 i = lid; i < n; i += step) {
				float d = F32(row + u64(i) * xs[0]).v - mean;
				d2 += d * d;
			}
			factor = 1.0f / sqrtf(reduceSum(d2) / float(n) + eps);
		} else {
			squares = reduceSum(squares);
			if (OP == 0) factor = 1.0f / sqrtf(squares / float(n) + eps);
			else {
				float len = sqrtf(squares);
				factor = 1.0f / (len < eps ? eps : len);
			}
		}
		for (u32 i = lid; i < n; i += step) {
			F32(dst + 4 * (u64(r) * n + i)).v = (F32(row + u64(i) * xs[0]).v - mean) * factor;
		}
	}
};

KERNEL(norm)
