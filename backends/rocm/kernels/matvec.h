#pragma once
#include "wide.h"
#include "norm_row.h"
#include "gate.h"
#include "last.h"
#include "parts.h"
// What matrix-vector kernels share: SPLIT waves have ROWS rows of a, or as many of a and of a2 each, for COLS rows of b.
//
// What limits them is memory, and so how many bytes are under way. Those of a thread are a piece of each of its rows, or BLOCKS pieces of floats,
// and more threads do more for it than more pieces, which take registers from them. Several rows to a wave share what is loaded of b. Where
// there are too few rows for all of a card's waves, SPLIT waves share the length of a row. And a launch behind another costs as much as some
// products: the last block to be done can go on to RMSNorm of the result, TAIL fours of it in a thread.

// GATE is 0, or says of a result that is gated by a second product how: one more than twice the function's number, and one besides for that of OAI.
// EACH is how many rows of weights a wave reads.
constexpr u32 EACH = GATE ? 2 * ROWS : ROWS;

// What waves tell each other: sums of their shares of rows, and results that are to be rounded.
static __shared__ float shares[SPLIT > 1 ? LOCAL / 32 * EACH * COLS : 1];
static __shared__ float results[ROUND ? 32 : 1];

// Work is what a wave has to do, and its sums.
struct Work {
	Part part;
	u64 rows[EACH];
	float sums[EACH * COLS];
	float added; // to the result that this thread stores
	u32 row0, col0; // of the result
	u32 xrow0;      // of b
	bool on;
};

struct Product {
	Part parts[MAX_PARTS];
	u64 a2;
	u64 x, scales;   // b: bytes and scales, or F32 and 0
	u64 ids, faults; // of experts: then a is chosen for each row of the result
	u32 node, pad;
	u64 roundTo, roundScales; // with ROUND, where the result is stored rounded
	u32 n, k;                 // rows of b, and how long all rows are
	u32 astep, bstep, addStep;
	u32 groups, passes; // blocks for the rows of a of all parts, and how often they go on to other rows
	u32 experts, estep, used, bused, is0, is1; // bused: rows of b for a token, used or 1
	float alpha, limit; // of the gate
	u64 gain, normTo, counter; // with TAIL: of the norm, where its result goes, and a number that is 0 between launches
	float eps;
	u32 pad2;

	// share is which of the waves of a row this one is.
	FN u32 share() const { return WAVE_ID % SPLIT; }

	// begin finds the rows of a pass.
	FN void begin(Work& w, u32 pass) {
		u32 g = linearGroup() % groups;
		w.part = partOf(parts, g);
		w.row0 = ((g * passes + pass) * (WAVES / SPLIT) + WAVE_ID / SPLIT) * ROWS;
		w.col0 = w.xrow0 = linearGroup() / groups * COLS;
		w.on = w.row0 < w.part.m && w.col0 < n;
		UNROLL for (u32 i = 0; i < EACH * COLS; i++) w.sums[i] = 0.0f;
		if (!w.on) return;
		u64 plane = 0;
		if (ids != 0) {
			u32 j = w.col0 % used, t = w.col0 / used;
			int id = I32(ids + u64(j) * is0 + u64(t) * is1).v;
			if (id < 0 || id >= int(experts)) {
				if (LANE == 0) fault(faults, node, i64(id), experts);
				w.on = false;
				return;
			}
			plane = u64(id) * estep;
			w.xrow0 = t * bused + j % bused;
		}
		w.added = 0.0f;
		u32 i = w.row0 + LANE % ROWS, j = w.col0 + LANE / ROWS;
		if (w.part.add != 0 && LANE < ROWS * COLS && i < w.part.m && j < n) w.added = F32(w.part.add + u64(j) * addStep + 4 * u64(i)).v;
		UNROLL for (u32 r = 0; r < ROWS; r++) {
			u64 to = plane + u64(min_(w.row0 + r, w.part.m - 1)) * astep;
			w.rows[r] = w.part.a + to;
			if (GATE) w.rows[EACH - ROWS + r] = a2 + to;
		}
	}

	// xrow returns which row of b is a wave's c-th.
	FN u64 xrow(const Work& w, u32 c) const { return ids != 0 ? w.xrow0 : min_(w.xrow0 + c, n - 1); }

	// end adds up over threads and over the waves of a row, and stores the results. All threads of the block call it.
	FN void end(Work& w) {
		UNROLL for (u32 i = 0; i < EACH * COLS; i++) w.sums[i] = waveSum(w.sums[i]);
		if (SPLIT > 1) {
			__syncthreads(); // what the last pass has read
			if (LANE == 0) {
				UNROLL for (u32 i = 0; i < EACH * COLS; i++) shares[WAVE_ID * EACH * COLS + i] = w.sums[i];
			}
			__syncthreads();
			if (share() != 0) return;
			UNROLL for (u32 i = 0; i < EACH * COLS; i++) {
				UNROLL for (u32 p = 1; p < SPLIT; p++) w.sums[i] += shares[(WAVE_ID + p) * EACH * COLS + i];
			}
		}
		if (!w.on) return;
		UNROLL for (u32 c = 0; c < COLS; c++) {
			UNROLL for (u32 r = 0; r < ROWS; r++) {
				u32 i = w.row0 + r, j = w.col0 + c;
				if (LANE != c * ROWS + r || i >= w.part.m || j >= n) continue;
				float s = w.sums[r * COLS + c];
				if (GATE) s = gated((GATE - 1) / 2, (GATE - 1) % 2 != 0, alpha, limit, s, w.sums[(EACH - ROWS + r) * COLS + c]);
				if (w.part.add != 0) s += w.added;
				F32(w.part.dst + 4 * (u64(i) + u64(w.part.m) * j)).v = s;
				if (ROUND) results[i % 32] = s;
			}
		}
	}

	// finish rounds what the passes of a block have stored, 32 rows, or normalizes the whole result.
	FN void finish() {
		if (linearGroup() >= groups) return;
		if (ROUND) {
			__syncthreads();
			if (WAVE_ID != 0) return;
			u32 i = 4 * (LANE % 8);
			Floats4 v = floats4(results[i], results[i + 1], results[i + 2], results[i + 3]);
			round32(v, roundTo, roundScales, linearGroup() * 8 + LANE % 8, LANE < 8);
		}
		if (TAIL == 0 || !lastBlock(counter, groups)) return;
		u32 m = parts[0].m;
		constexpr u32 fours = TAIL == 0 ? 1 : TAIL;
		Floats4 v[fours];
		UNROLL for (u32 e = 0; e < fours; e++) {
			u32 i = threadIdx.x + e * LOCAL;
			v[e] = 4 * i < m ? F32x4(parts[0].dst + 16 * u64(i)).v : floats4(0.0f, 0.0f, 0.0f, 0.0f);
		}
		normRow<fours>(v, m, eps, gain, normTo, roundTo, roundScales, 0);
	}
};

// multiplyRows is what a matrix-vector kernel runs, which has a method sum for its types.
template <class Kernel> FN void multiplyRows(Kernel& k) {
	for (u32 pass = 0; pass < k.passes; pass++) {
		Work w;
		k.begin(w, pass);
		if (w.on) k.sum(w);
		k.end(w);
	}
	k.finish();
}
