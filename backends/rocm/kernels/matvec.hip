// Matrix-vector products of block formats, which are read as they lie in files, by integers: b was rounded by round32. A thread has blocks
// of 32 of each row.
// constants: TA COLS ROWS GATE SPLIT ROUND TAIL
#include "common.h"
#include "blocks.h"
#include "dot4.h"
#include "matvec.h"

struct Params : Product {
	FN float multiply(const Block& w, Words4 x0, Words4 x1, Floats4 s) {
		int lo = 0, hi = 0;
		UNROLL for (u32 j = 0; j < 4; j++) {
			lo = dot4(w.q[j], x0[j], lo);
			hi = dot4(w.q[j + 4], x1[j], hi);
		}
		float y = s[0] * (oneScale(TA) ? w.d[0] * float(lo + hi) : w.d[0] * float(lo) + w.d[1] * float(hi));
		if (zeroMin(TA)) return y;
		return y + (oneScale(TA) ? w.m[0] * (s[1] + s[2]) : w.m[0] * s[1] + w.m[1] * s[2]);
	}

	FN void sum(Work& work) {
		u32 width = k / 32, step = SPLIT * WAVE;
		u64 second = x + (scales - x) / 2; // halves of blocks: see round.h
		for (u32 i = share() * WAVE + LANE; i < width; i += step) {
			Block w[EACH];
			UNROLL for (u32 r = 0; r < EACH; r++) w[r] = blockAt(TA, work.rows[r], i);
			UNROLL for (u32 c = 0; c < COLS; c++) {
				u64 at = xrow(work, c) * width + i;
				Words4 x0 = U32x4(x + 16 * at).v, x1 = U32x4(second + 16 * at).v;
				Floats4 s = F32x4(scales + 16 * at).v;
				UNROLL for (u32 r = 0; r < EACH; r++) work.sums[r * COLS + c] += multiply(w[r], x0, x1, s);
			}
		}
	}

	FN void run() { multiplyRows(*this); }
};

KERNEL(matvec)
