// Matrix-vector products in F32, for floats and wherever b may not be rounded. A thread has eights of each row.
// constants: TA COLS ROWS GATE SPLIT ROUND TAIL BLOCKS
#include "common.h"
#include "dequant.h"
#include "matvec.h"
#include "eight.h"

struct Params : Product {
	FN void sum(Work& work) {
		u32 step = 8 * SPLIT * WAVE;
		for (u32 from = 8 * (share() * WAVE + LANE); from < k; from += BLOCKS * step) {
			Eight w[BLOCKS * EACH];
			UNROLL for (u32 u = 0; u < BLOCKS; u++) {
				u32 i = min_(from + u * step, k - 8);
				UNROLL for (u32 r = 0; r < EACH; r++) w[u * EACH + r] = eightAt(TA, work.rows[r], i);
			}
			UNROLL for (u32 u = 0; u < BLOCKS; u++) {
				u32 i = from + u * step;
				if (i >= k) break;
				UNROLL for (u32 c = 0; c < COLS; c++) {
					u64 at = x + xrow(work, c) * bstep + 4 * u64(i);
					Floats4 x0 = F32x4(at).v, x1 = F32x4(at + 16).v;
					UNROLL for (u32 r = 0; r < EACH; r++) work.sums[r * COLS + c] += w[u * EACH + r].times(x0, x1);
				}
			}
		}
	}

	FN void run() { multiplyRows(*this); }
};

KERNEL(matvec_f)
