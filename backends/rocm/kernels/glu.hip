// GLU: Act(gate) * up. With FOURS a thread has four elements of contiguous F32.
// constants: FUNC OAI FOURS
#include "common.h"
#include "gate.h"
#include "wide.h"

struct Params {
	u64 gate, up, dst;
	u32 n; // elements, or fours
	u32 ne[4], gs[4], us[4];
	float alpha, limit;
	u32 TYPE;

	FN void run() {
		u32 i = linearIndex();
		if (i >= n) return;
		if (FOURS) {
			Floats4 g = F32x4(gate + 16 * u64(i)).v, u = F32x4(up + 16 * u64(i)).v;
			UNROLL for (u32 j = 0; j < 4; j++) g[j] = gated(FUNC, OAI != 0, alpha, limit, g[j], u[j]);
			F32x4(dst + 16 * u64(i)).v = g;
			return;
		}
		uvec4 c = coords(i, ne);
		float y = gated(FUNC, OAI != 0, alpha, limit, loadFloat(TYPE, gate + offset(c, gs)), loadFloat(TYPE, up + offset(c, us)));
		storeFloat(TYPE, dst + u64(i) * sizeOf(TYPE), y);
	}
};

KERNEL(glu)
