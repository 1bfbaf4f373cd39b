// SetRows into formats of 256 numbers: a thread for each block.
#include "common.h"
#include "dequant.h"
#include "quantize.h"
#include "quantize_k.h"

struct Params {
	u64 cache, x, idx, last, faults;
	u32 node, pad;
	u32 width, rows, k, p2, p3;
	u32 in2, in3;
	u32 cs[4], xs[4], is[3];
	u32 ti;
	u32 TO;

	FN void run() {
		u32 g = linearIndex(), c = g % width, r = g / width, j = r % k, p = r / k % p2, q = r / k / p2;
		if (q >= p3) return;
		i64 id = loadIndex(ti, idx + u64(j) * is[0] + u64(p % in2) * is[1] + u64(q % in3) * is[2]);
		if (u64(id) >= u64(rows)) {
			if (c == 0) fault(faults, node, id, rows);
			return;
		}
		if (last != 0 && U32(last + 4 * u64(j + k * (p % in2 + in2 * (q % in3)))).v == 0) return;
		u64 from = x + u64(j) * xs[1] + u64(p) * xs[2] + u64(q) * xs[3];
		EncoderK enc;
		enc.TO = TO;
		for (u32 e = 0; e < 256; e++) enc.kx[e] = F32(from + u64(256 * c + e) * xs[0]).v;
		enc.encodeK(cache + u64(c) * cs[0] + u64(id) * cs[1] + u64(p) * cs[2] + u64(q) * cs[3]);
	}
};

KERNEL(set_rows_k)
