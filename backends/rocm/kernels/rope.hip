// RoPE, RoPE+SetRows, and a SetRows of floats that comes with them: a thread for each pair, and for each element that does not turn. Those
// of query, key and value are one launch, if they turn by the same angles.
#include "common.h"
#include "rope.h"

// Part is one of them.
struct Part {
	u64 x, to;
	u64 idx, last, faults; // of SetRows: where rows go, and which are the last that go there; idx is 0 if they lie one after the other
	u32 node, pad, rows;   // rows: how many there are
	u32 ne[4], xs[4];      // of x
	u32 ts[2];             // from element to element of the result and, of SetRows, from row to row
	u32 turns, TX, TO, TI, is;
	u32 groups, pad2;
};

constexpr u32 MAX_PARTS = 3;

struct Params {
	Part parts[MAX_PARTS];
	u64 pos, freq;
	Angles angles;

	FN void run() {
		u32 g = linearGroup();
		Part p = parts[0];
		UNROLL for (u32 i = 1; i < MAX_PARTS; i++) {
			if (g < p.groups) break;
			g -= p.groups;
			p = parts[i];
		}
		if (g < p.groups) compute(p, g * LOCAL + threadIdx.x);
	}

	FN void compute(const Part& p, u32 at) const {
		u32 pairs = p.turns ? angles.pairs : 0, width = p.ne[0] - pairs;
		u32 i = at % width, r = at / width, h = r % p.ne[1], t = r / p.ne[1] % p.ne[2], i3 = r / p.ne[1] / p.ne[2];
		if (i3 >= p.ne[3]) return;
		u64 row = p.x + u64(h) * p.xs[1] + u64(t) * p.xs[2] + u64(i3) * p.xs[3], to = p.to + u64(r) * p.ne[0] * p.ts[0];
		if (p.idx != 0) {
			i64 id = loadIndex(p.TI, p.idx + u64(t) * p.is);
			if (u64(id) >= u64(p.rows)) {
				if (i == 0 && h == 0) fault(p.faults, p.node, id, p.rows);
				return;
			}
			if (p.last != 0 && U32(p.last + 4 * u64(t)).v == 0) return;
			to = p.to + u64(id) * p.ts[1] + u64(h * p.ne[0]) * p.ts[0];
		}
		if (i >= pairs) {
			u64 from = row + u64(i + pairs) * p.xs[0];
			to += u64(i + pairs) * p.ts[0];
			if (p.TX != p.TO) storeFloat(p.TO, to, loadFloat(p.TX, from));
			else if (p.TX == T_F32) U32(to).v = U32(from).v;
			else U16(to).v = U16(from).v;
			return;
		}
		vec2 sc = angles.turn(i, t, p.ne[2], pos, freq);
		uvec2 pair = angles.pair(i);
		float u = loadFloat(p.TX, row + u64(pair.x) * p.xs[0]), v = loadFloat(p.TX, row + u64(pair.y) * p.xs[0]);
		storeFloat(p.TO, to + u64(pair.x) * p.ts[0], angles.size * (u * sc.y - v * sc.x));
		storeFloat(p.TO, to + u64(pair.y) * p.ts[0], angles.size * (u * sc.x + v * sc.y));
	}
};

KERNEL(rope)
