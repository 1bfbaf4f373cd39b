// GLU: Act(gate) * up.
#include "common.h"
#include "gate.h"

struct Params {
	u64 gate, up, dst;
	u32 n;
	u32 ne[4], gs[4], us[4];
	float alpha, limit;
	u32 FUNC, TYPE, OAI, FLAT;

	FN void run() {
		u32 i = linearIndex();
		if (i >= n) return;
		u64 pg = gate, pu = up;
		if (FLAT) {
			pg += u64(i) * sizeOf(TYPE);
			pu += u64(i) * sizeOf(TYPE);
		} else {
			uvec4 c = coords(i, ne);
			pg += offset(c, gs);
			pu += offset(c, us);
		}
		float y = gated(FUNC, OAI != 0, alpha, limit, loadFloat(TYPE, pg), loadFloat(TYPE, pu));
		storeFloat(TYPE, dst + u64(i) * sizeOf(TYPE), y);
	}
};

KERNEL(glu)
