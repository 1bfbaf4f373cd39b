// ArgMax: a block for each row.
#include "common.h"

static __shared__ u32 keys[LOCAL];
static __shared__ u32 places[LOCAL];

struct Params {
	u64 x, dst;
	u32 rows;
	u32 ne[4], xs[4];

	// key orders numbers as unsigned integers: NaN last, zeros of both signs alike.
	FN u32 key(u32 u) {
		u32 a = u & 0x7fffffffu;
		if (a > 0x7f800000u) return 0u;
		if (a == 0) u = 0;
		return (u >> 31) != 0 ? ~u : u | 0x80000000u;
	}

	FN void run() {
		u32 r = linearGroup(), n = ne[0], lid = threadIdx.x, step = LOCAL;
		if (r >= rows) return;
		u64 row = x + u64(r) * xs[1];
		u32 best = 0, place = lid;
		for (u32 i = lid; i < n; i += step) {
			u32 k = key(U32(row + u64(i) * xs[0]).v);
			if (k > best) {
				best = k;
				place = i;
			}
		}
		keys[lid] = best;
		places[lid] = place;
		__syncthreads();
		if (lid != 0) return;
		for (u32 i = 1; i < min_(step, n); i++) {
			if (keys[i] > best || keys[i] == best && places[i] < place) {
				best = keys[i];
				place = places[i];
			}
		}
		I32(dst + 4 * u64(r)).v = int(place);
	}
};

KERNEL(argmax)
