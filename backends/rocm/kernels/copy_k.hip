// Copy into formats of 256 numbers: a thread for each block.
#include "common.h"
#include "dequant.h"
#include "quantize.h"
#include "quantize_k.h"

struct Params {
	u64 x, dst;
	u32 n;
	u32 ne[4];
	u32 xn[4], xs[4], ds[4];
	u32 FROM, TO;

	FN void run() {
		u32 g = linearIndex();
		if (g >= n) return;
		uvec4 c = coords(g, ne);
		u64 from = x + u64(c.y) * xs[1] + u64(c.z) * xs[2] + u64(c.w) * xs[3];
		EncoderK enc;
		enc.TO = TO;
		for (u32 e = 0; e < 256; e += 4) {
			vec4 v = row4(FROM, from, xs[0], 256 * c.x + e, 256 * (c.x + 1));
			for (u32 k = 0; k < 4; k++) enc.kx[e + k] = v[k];
		}
		enc.encodeK(dst + offset(c, ds));
	}
};

KERNEL(copy_k)
