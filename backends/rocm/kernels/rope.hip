// RoPE: a thread for each pair, and for each element behind the pairs.
#include "common.h"
#include "rope.h"

struct Params {
	u64 x, pos, freq, dst;
	u32 ne[4], xs[4];
	Angles angles;
	u32 TYPE;

	FN void run() {
		u32 pairs = angles.pairs, width = ne[0] - pairs;
		u32 g = linearIndex(), i = g % width, r = g / width, i1 = r % ne[1], t = r / ne[1] % ne[2], i3 = r / ne[1] / ne[2];
		if (i3 >= ne[3]) return;
		u64 row = x + u64(i1) * xs[1] + u64(t) * xs[2] + u64(i3) * xs[3];
		u32 es = sizeOf(TYPE);
		u64 to = dst + u64(r) * ne[0] * es;
		if (i >= pairs) {
			u32 e = i + pairs;
			if (TYPE == T_F32) U32(to + 4 * u64(e)).v = U32(row + u64(e) * xs[0]).v;
			else U16(to + 2 * u64(e)).v = U16(row + u64(e) * xs[0]).v;
			return;
		}
		vec2 sc = angles.turn(i, t, ne[2], pos, freq);
		uvec2 at = angles.pair(i);
		float u = loadFloat(TYPE, row + u64(at.x) * xs[0]), v = loadFloat(TYPE, row + u64(at.y) * xs[0]);
		storeFloat(TYPE, to + u64(at.x) * es, angles.size * (u * sc.y - v * sc.x));
		storeFloat(TYPE, to + u64(at.y) * es, angles.size * (u * sc.x + v * sc.y));
	}
};

KERNEL(rope)
