// RoPE+SetRows: rope, whose results go where the indices say.
#include "common.h"
#include "rope.h"

struct Params {
	u64 x, pos, freq, cache, idx, last, faults;
	u32 node, pad;
	u32 ne[3], xs[3], cs[2], rows, is;
	Angles angles;
	u32 TYPE, TI; // of the cache, and of indices

	FN void run() {
		u32 pairs = angles.pairs, width = ne[0] - pairs, g = linearIndex(), i = g % width, r = g / width, h = r % ne[1], t = r / ne[1];
		if (t >= ne[2]) return;
		i64 id = loadIndex(TI, idx + u64(t) * is);
		if (u64(id) >= u64(rows)) {
			if (i == 0 && h == 0) fault(faults, node, id, rows);
			return;
		}
		if (last != 0 && U32(last + 4 * u64(t)).v == 0) return;
		u64 row = x + u64(h) * xs[1] + u64(t) * xs[2];
		u64 to = cache + u64(id) * cs[1] + u64(h * ne[0]) * cs[0];
		if (i >= pairs) {
			u32 e = i + pairs;
			if (TYPE == T_F32) U32(to + u64(e) * cs[0]).v = U32(row + u64(e) * xs[0]).v;
			else storeFloat(TYPE, to + u64(e) * cs[0], F32(row + u64(e) * xs[0]).v);
			return;
		}
		vec2 sc = angles.turn(i, t, ne[2], pos, freq);
		uvec2 at = angles.pair(i);
		float u = F32(row + u64(at.x) * xs[0]).v, v = F32(row + u64(at.y) * xs[0]).v;
		storeFloat(TYPE, to + u64(at.x) * cs[0], angles.size * (u * sc.y - v * sc.x));
		storeFloat(TYPE, to + u64(at.y) * cs[0], angles.size * (u * sc.x + v * sc.y));
	}
};

KERNEL(rope_set_rows)
