// AddID: a thread for each element.
#include "common.h"

struct Params {
	u64 a, b, ids, dst, faults;
	u32 node, pad;
	u32 n, used, tok, experts;
	u32 as[4], bs[2], is[2];

	FN void run() {
		u32 g = linearIndex(), i = g % n, r = g / n, j = r % used, t = r / used;
		if (t >= tok) return;
		int id = I32(ids + u64(j) * is[0] + u64(t) * is[1]).v;
		if (id < 0 || id >= int(experts)) {
			if (i == 0) fault(faults, node, i64(id), experts);
			return;
		}
		float x = F32(a + u64(i) * as[0] + u64(j) * as[1] + u64(t) * as[2]).v;
		F32(dst + 4 * u64(g)).v = x + F32(b + u64(i) * bs[0] + u64(id) * bs[1]).v;
	}
};

KERNEL(add_id)
