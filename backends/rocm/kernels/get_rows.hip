// GetRows: a thread for four elements of a row, or for one of integers.
#include "common.h"
#include "dequant.h"

struct Params {
	u64 x, idx, dst, faults;
	u32 node, pad;
	u32 n, rows, k, p2, p3, width; // width: threads for a row
	u32 xs[4], is[3];
	u32 TYPE, TI, SIZE;

	FN void run() {
		u32 g = linearIndex(), c = g % width, r = g / width, j = r % k, p = r / k % p2, q = r / k / p2;
		if (q >= p3) return;
		i64 id = loadIndex(TI, idx + u64(j) * is[0] + u64(p) * is[1] + u64(q) * is[2]);
		if (u64(id) >= u64(rows)) {
			if (c == 0) fault(faults, node, id, rows);
			return;
		}
		u64 row = x + u64(id) * xs[1] + u64(p) * xs[2] + u64(q) * xs[3], to = dst + u64(r) * n * (SIZE == 0 ? 4 : SIZE);
		if (SIZE == 1) U8(to + c).v = U8(row + u64(c) * xs[0]).v;
		else if (SIZE == 2) U16(to + 2 * u64(c)).v = U16(row + u64(c) * xs[0]).v;
		else if (SIZE == 4 || SIZE == 0 && TYPE == T_F32) U32(to + 4 * u64(c)).v = U32(row + u64(c) * xs[0]).v;
		else if (SIZE == 8) U64(to + 8 * u64(c)).v = U64(row + u64(c) * xs[0]).v;
		else if (!isQuantized(TYPE)) F32(to + 4 * u64(c)).v = loadFloat(TYPE, row + u64(c) * xs[0]);
		else {
			vec4 v = row4(TYPE, row, xs[0], 4 * c, n);
			for (u32 e = 0; e < 4; e++) F32(to + 4 * u64(4 * c + e)).v = v[e];
		}
	}
};

KERNEL(get_rows)
