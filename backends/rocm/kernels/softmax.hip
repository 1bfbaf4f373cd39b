// SoftMax: a block for each row. The result may lie over x.
#include "common.h"
#include "math.h"
#include "reduce.h"

struct Params {
	u64 x, mask, sinks, dst;
	u32 ne[4], xs[4];
	u32 mn2, mn3, ms[4];
	u32 ss;
	float scale, bias;
	u32 pow2; // the greatest power of two up to the number of heads
	u32 MASK, SINKS, ALIBI;

	FN float slope(u32 head) {
		if (!ALIBI) return 1.0f;
		float e = head < pow2 ? float(head + 1) / float(pow2) : float(2 * (head - pow2) + 1) / float(2 * pow2);
		return exp2f(-bias * e);
	}

	FN void run() {
		u32 r = linearGroup(), n = ne[0], i1 = r % ne[1], i2 = r / ne[1] % ne[2], i3 = r / ne[1] / ne[2];
		if (i3 >= ne[3]) return;
		u64 row = x + u64(i1) * xs[1] + u64(i2) * xs[2] + u64(i3) * xs[3];
		u64 hide = mask + u64(i1) * ms[1] + u64(i2 % mn2) * ms[2] + u64(i3 % mn3) * ms[3];
		u32 lid = threadIdx.x, step = LOCAL;
		float sl = slope(i2), sink = SINKS ? F32(sinks + u64(i2) * ss).v : -INF, most = sink;
#define SCORE(i) (F32(row + u64(i) * xs[0]).v * scale + (MASK == 0 ? 0.0f : sl * loadFloat(MASK - 1, hide + u64(i) * ms[0])))
		for (u32 i = lid; i < n; i += step) {
			float s = SCORE(i);
			if (s > most) most = s;
		}
		most = reduceMax(most);
		bool hidden = most == -INF;
		float sum = 0.0f;
		for (u32 i = lid; i < n; i += step) {
			float s = SCORE(i);
			sum += hidden ? 0.0f : exp_(s - most);
		}
		sum = reduceSum(sum);
		if (SINKS && !hidden) sum += exp_(sink - most);
		float inv = 1.0f / sum;
		for (u32 i = lid; i < n; i += step) {
			float s = SCORE(i), y;
			if (hidden) y = isnan_(s) ? s : 0.0f;
			else y = exp_(s - most) * inv;
			F32(dst + 4 * (u64(r) * n + i)).v = y;
		}
	}
};

KERNEL(softmax)
