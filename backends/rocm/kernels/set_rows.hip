// SetRows: a thread for each element, or for each block of a block format.
#include "common.h"
#include "dequant.h"
#include "quantize.h"

struct Params {
	u64 cache, x, idx, last, faults;
	u32 node, pad;
	u32 width, rows, k, p2, p3; // width: threads for a row
	u32 in2, in3;               // planes of idx
	u32 cs[4], xs[4], is[3];
	u32 TYPE, TI, LAST;

	FN void run() {
		u32 g = linearIndex(), c = g % width, r = g / width, j = r % k, p = r / k % p2, q = r / k / p2;
		if (q >= p3) return;
		i64 id = loadIndex(TI, idx + u64(j) * is[0] + u64(p % in2) * is[1] + u64(q % in3) * is[2]);
		if (u64(id) >= u64(rows)) {
			if (c == 0) fault(faults, node, id, rows);
			return;
		}
		if (LAST && U32(last + 4 * u64(j + k * (p % in2 + in2 * (q % in3)))).v == 0) return;
		u64 from = x + u64(j) * xs[1] + u64(p) * xs[2] + u64(q) * xs[3];
		u64 to = cache + u64(c) * cs[0] + u64(id) * cs[1] + u64(p) * cs[2] + u64(q) * cs[3];
		if (!isQuantized(TYPE)) {
			if (TYPE == T_F32) U32(to).v = U32(from + u64(c) * xs[0]).v;
			else storeFloat(TYPE, to, F32(from + u64(c) * xs[0]).v);
			return;
		}
		Encoder enc;
		for (u32 e = 0; e < 32; e++) enc.quantX[e] = F32(from + u64(32 * c + e) * xs[0]).v;
		enc.encode(TYPE, to);
	}
};

KERNEL(set_rows)
