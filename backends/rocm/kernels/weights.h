#pragma once
#include "dequant.h"
#include "dot4.h"

// Quantized weights of type TA, a constant, as products of eight-bit integers take them.

// Weights are 32 of a row: two or four parts, each with codes for some words of one block of activations, and its scale.
struct Weights {
	u32 codes[8];
	float scale[4], low[4]; // of a part; low is what a code of 0 is worth below 0
	u32 block[4];           // of activations, from the thread's first on
	u32 word;               // where in these blocks the part begins
};

constexpr u32 PARTS = TA == T_Q6_K ? 4 : TA == T_Q8_0 ? 1 : 2;

// centre takes 32 from each of four codes below 64.
FN u32 centre(u32 q) { return ((q | 0x80808080u) - 0x20202020u) ^ 0x80808080u; }

// load takes weights 32*u to 32*u+31 of a row.
FN void load(u64 row, u32 u, Weights& w) {
	if (TA == T_Q8_0) {
		u64 b = row + u64(u) * 34;
		UNROLL for (u32 i = 0; i < 8; i++) w.codes[i] = word2(b + 2 + 4 * i);
		w.scale[0] = half1(b);
		w.low[0] = 0.0f;
		w.block[0] = u;
		w.word = 0;
	} else if (TA == T_Q4_0) { // the parts are the halves of one block
		u64 b = row + u64(u) * 18;
		UNROLL for (u32 i = 0; i < 4; i++) {
			u32 q = word2(b + 2 + 4 * i);
			w.codes[i] = q & 0x0f0f0f0fu;
			w.codes[i + 4] = q >> 4 & 0x0f0f0f0fu;
		}
		w.scale[0] = w.scale[1] = half1(b);
		w.low[0] = w.low[1] = 8.0f * w.scale[0];
		w.block[0] = w.block[1] = u;
		w.word = 0;
	} else if (TA == T_Q4_K || TA == T_Q5_K) { // the same half of two groups
		u32 j = u / 2 % 4, h = u % 2;
		u64 b = row + u64(u / 8) * (TA == T_Q4_K ? 144 : 176), q = b + (TA == T_Q4_K ? 16 : 48) + 32 * j + 16 * h;
		UNROLL for (u32 i = 0; i < 4; i++) {
			u32 both = U32(q + 4 * i).v;
			w.codes[i] = both & 0x0f0f0f0fu;
			w.codes[i + 4] = both >> 4 & 0x0f0f0f0fu;
			if (TA == T_Q5_K) {
				u32 high = U32(b + 16 + 16 * h + 4 * i).v >> (2 * j);
				w.codes[i] |= (high & 0x01010101u) << 4;
				w.codes[i + 4] |= (high >> 1 & 0x01010101u) << 4;
			}
		}
		float d = half1(b), dmin = half1(b + 2);
		UNROLL for (u32 p = 0; p < 2; p++) {
			uvec2 s = scaleQ4_K(b + 4, 2 * j + p);
			w.scale[p] = d * float(s.x);
			w.low[p] = dmin * float(s.y);
			w.block[p] = u / 8 * 8 + 2 * j + p;
		}
		w.word = 4 * h;
	} else if (TA == T_Q6_K) { // eight numbers of each of four groups
		u32 h = u / 4 % 2, p = u % 4;
		u64 b = row + u64(u / 8) * 210;
		UNROLL for (u32 i = 0; i < 2; i++) {
			u32 l = 8 * p + 4 * i;
			u32 q0 = word2(b + 64 * h + l), q1 = word2(b + 64 * h + 32 + l), high = word2(b + 128 + 32 * h + l);
			w.codes[i] = centre(q0 & 0x0f0f0f0fu | (high & 0x03030303u) << 4);
			w.codes[i + 2] = centre(q1 & 0x0f0f0f0fu | (high >> 2 & 0x03030303u) << 4);
			w.codes[i + 4] = centre(q0 >> 4 & 0x0f0f0f0fu | (high >> 4 & 0x03030303u) << 4);
			w.codes[i + 6] = centre(q1 >> 4 & 0x0f0f0f0fu | (high >> 6 & 0x03030303u) << 4);
		}
		float d = half1(b + 208);
		UNROLL for (u32 g = 0; g < 4; g++) {
			w.scale[g] = d * float(I8(b + 192 + 8 * h + 2 * g + p / 2).v);
			w.low[g] = 0.0f;
			w.block[g] = u / 8 * 8 + 4 * h + g;
		}
		w.word = 2 * p;
	}
}

// multiply returns the product of weights with a row of activations.
FN float multiply(const Weights& w, const Activation* row) {
	constexpr u32 words = 8 / PARTS;
	float sum = 0.0f;
	UNROLL for (u32 p = 0; p < PARTS; p++) {
		const Activation* act = row + w.block[p];
		u32 at = w.word + (TA == T_Q4_0 ? 4 * p : 0);
		int dot = 0;
		UNROLL for (u32 k = 0; k < words; k++) dot = dot4(w.codes[p * words + k], act->codes[at + k], dot);
		sum += act->d * (w.scale[p] * float(dot) - w.low[p] * float(act->sums[at / 4]));
	}
	return sum;
}
