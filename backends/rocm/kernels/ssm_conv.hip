// SSMConv: a thread for each channel of each token.
#include "common.h"

struct Params {
	u64 x, w, dst;
	u32 n, k;
	u32 ne[4], xs[4], ws[2];

	FN void run() {
		u32 i = linearIndex();
		if (i >= n) return;
		uvec4 c = coords(i, ne); // channel, token, sequence
		u64 from = x + u64(c.y) * xs[0] + u64(c.x) * xs[1] + u64(c.z) * xs[2];
		u64 filt = w + u64(c.x) * ws[1];
		float s = 0.0f;
		for (u32 j = 0; j < k; j++) s += F32(from + u64(j) * xs[0]).v * F32(filt + u64(j) * ws[0]).v;
		F32(dst + 4 * u64(i)).v = s;
	}
};

KERNEL(ssm_conv)
