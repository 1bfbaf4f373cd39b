// Of rows that go to one place the last stays: a thread for each index says whether its row is to be written.
#include "common.h"

struct Params {
	u64 idx, last;
	u32 k, in2, in3;
	u32 is[3];
	u32 TI;

	FN void run() {
		u32 g = linearIndex(), j = g % k, p = g / k % in2, q = g / k / in2;
		if (q >= in3) return;
		u64 plane = idx + u64(p) * is[1] + u64(q) * is[2];
		i64 own = loadIndex(TI, plane + u64(j) * is[0]);
		u32 last_ = 1;
		for (u32 i = j + 1; i < k; i++) {
			if (loadIndex(TI, plane + u64(i) * is[0]) == own) last_ = 0;
		}
		U32(last + 4 * u64(g)).v = last_;
	}
};

KERNEL(set_rows_last)
