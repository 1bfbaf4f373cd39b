#pragma once
#include "dequant.h"
#include "math.h"
#include "round.h"
#include "wide.h"
// What kernels of attention share.
//
// Of their constants TM is 0 without a mask, and one more than its type otherwise; MORE is bits for sinks, a cap of scores, and slopes of heads. What
// is not asked for is not there: instructions that are run once have to come from memory first, which takes as long as all else.

// unrolled calls f for the numbers below N, each of which is a constant to it.
template <u32 I> struct Number {
	FN constexpr operator u32() const { return I; }
};

template <u32 N, u32 I = 0, class F> FN void unrolled(F&& f) {
	if constexpr (I < N) {
		f(Number<I>());
		unrolled<N, I + 1>(f);
	}
}

FN Words4 loadWords(u64 at) { return U32x4(at).v; }

FN Words4 bitsOf(float x, float y, float z, float w) {
	return words4(__float_as_uint(x), __float_as_uint(y), __float_as_uint(z), __float_as_uint(w));
}

// expQuick is within 1e-6 for what becomes a weight: x is 0 or less.
FN float expQuick(float x) { return exp2f(x * 1.44269504f); }

// Row8 is elements i to i+7 of a packed row, for i a multiple of 8: many are loaded before the first is taken apart. Rows of floats
// begin at multiples of 16 bytes.
template <u32 T> struct Row8 {
	vec4 lo, hi;
	FN void load(u64 row, u32 i) {
		u32 e = elemsOf(T);
		u64 b = row + u64(i / e) * sizeOf(T);
		lo = dequant4(T, b, i % e);
		hi = dequant4(T, b, i % e + 4);
	}
	FN void get(float* x) {
		UNROLL for (u32 j = 0; j < 4; j++) {
			x[j] = lo[j];
			x[j + 4] = hi[j];
		}
	}
};

template <> struct Row8<T_F32> {
	Words4 lo, hi;
	FN void load(u64 row, u32 i) {
		lo = loadWords(row + 4 * u64(i));
		hi = loadWords(row + 4 * u64(i) + 16);
	}
	FN void get(float* x) {
		UNROLL for (u32 j = 0; j < 4; j++) {
			x[j] = __uint_as_float(lo[j]);
			x[j + 4] = __uint_as_float(hi[j]);
		}
	}
};

template <> struct Row8<T_F16> {
	Words4 v;
	FN void load(u64 row, u32 i) { v = loadWords(row + 2 * u64(i)); }
	FN void get(float* x) {
		UNROLL for (u32 j = 0; j < 4; j++) {
			x[2 * j] = lowHalf(v[j]);
			x[2 * j + 1] = highHalf(v[j]);
		}
	}
};

template <> struct Row8<T_BF16> {
	Words4 v;
	FN void load(u64 row, u32 i) { v = loadWords(row + 2 * u64(i)); }
	FN void get(float* x) {
		UNROLL for (u32 j = 0; j < 4; j++) {
			x[2 * j] = __uint_as_float(v[j] << 16);
			x[2 * j + 1] = __uint_as_float(v[j] & 0xffff0000u);
		}
	}
};

// Codes are eight bytes at an even address.
struct __attribute__((packed, aligned(2))) Codes {
	u32 lo, hi;
};

template <> struct Row8<T_Q8_0> {
	u32 lo, hi, d;
	FN void load(u64 row, u32 i) {
		u64 b = row + u64(i / 32) * 34;
		const GLOBAL Codes* c = (const GLOBAL Codes*)(b + 2 + i % 32);
		lo = c->lo;
		hi = c->hi;
		d = u32(U16(b).v);
	}
	FN void get(float* x) {
		float s = lowHalf(d);
		ivec4 a = signed4(lo), b = signed4(hi);
		int c[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
		UNROLL for (u32 j = 0; j < 8; j++) x[j] = s * float(c[j]);
	}
};

// asHalves reports whether numbers of a type may be rounded to halves: what is quantized is known to fewer digits, and what a half does not
// hold would not be in a cache of halves either.
constexpr bool asHalves(u32 type) { return type != T_F32 && type != T_BF16; }

// halvesOf returns eight elements as halves.
template <u32 T> FN Words4 halvesOf(Row8<T>& x) {
	float e[8];
	x.get(e);
	return words4(halves(e[0], e[1]), halves(e[2], e[3]), halves(e[4], e[5]), halves(e[6], e[7]));
}

template <> FN Words4 halvesOf<T_F16>(Row8<T_F16>& x) { return x.v; }

// lowHalves and highHalves put a half of each word beside each other.
FN u32 lowHalves(u32 a, u32 b) { return a & 0xffffu | b << 16; }
FN u32 highHalves(u32 a, u32 b) { return a >> 16 | b & 0xffff0000u; }

// choose takes values, so that arrays of which it chooses stay in registers.
FN float choose(bool yes, float a, float b) { return yes ? a : b; }

// gather4 adds up each of four numbers over four lanes in a row: lane i of these gets the sum of number i.
FN float gather4(const float* p) {
	bool up = (LANE & 2u) != 0;
	float a[2];
	UNROLL for (u32 j = 0; j < 2; j++) a[j] = choose(up, p[j + 2], p[j]) + __shfl_xor(choose(up, p[j], p[j + 2]), 2);
	up = (LANE & 1u) != 0;
	return choose(up, a[1], a[0]) + __shfl_xor(choose(up, a[0], a[1]), 1);
}

// slopeOf returns what a head's mask is multiplied by.
FN float slopeOf(u32 head, u32 pow2, float bias) {
	float e = head < pow2 ? float(head + 1) / float(pow2) : float(2 * (head - pow2) + 1) / float(2 * pow2);
	return exp2f(-bias * e);
}

// sink adds a score without a value to a sum whose greatest score is most; results are multiplied by keep.
FN void sink(float score, float most, float& sum, float& keep) {
	float top = max_(most, score);
	if (top == -INF) return;
	keep = most == -INF ? (sum == 0.0f ? 1.0f : sum) : exp_(most - top);
	sum = sum * keep + exp_(score - top);
}

// weigh makes weights of a query's products with N cells in each of SHARERS threads in a row, and returns what those of earlier cells are to be
// multiplied by. extra is what scores get besides, and -INF where a cell is hidden.
template <u32 N, u32 SHARERS> FN float weigh(float* s, const float* extra, float scale, bool capped, float cap, float& most) {
	float top = -INF;
	UNROLL for (u32 j = 0; j < N; j++) {
		float x = s[j] * scale;
		if (capped) x = cap * tanh_(x / cap);
		s[j] = extra[j] == -INF ? -INF : x + extra[j];
		if (!isnan_(s[j])) top = max_(top, s[j]);
	}
	UNROLL for (u32 d = SHARERS / 2; d > 0; d /= 2) top = max_(top, __shfl_xor(top, int(d)));
	top = max_(top, most);
	float keep = most == -INF ? 1.0f : expQuick(most - top);
	most = top;
	UNROLL for (u32 j = 0; j < N; j++) {
		if (!isnan_(s[j])) s[j] = s[j] == -INF ? 0.0f : expQuick(s[j] - top);
	}
	return keep;
}

// seen lets all threads of a block know which of up to 64 cells some query sees, by way of shared memory for the waves' bits.
FN void seen(u32 (*bits)[2], u32& low, u32& high) {
	for (u32 d = WAVE / 2; d > 0; d /= 2) {
		low |= u32(__shfl_xor(int(low), int(d)));
		high |= u32(__shfl_xor(int(high), int(d)));
	}
	if (LANE == 0) {
		bits[WAVE_ID][0] = low;
		bits[WAVE_ID][1] = high;
	}
	__syncthreads();
	for (u32 w = 0; w < WAVES; w++) {
		low |= bits[w][0];
		high |= bits[w][1];
	}
}

// What is stored of a part of the cells, for each head and token: the result, not yet divided, and behind it the greatest score, the sum
// of the weights, and two words to fill up.
constexpr u32 PART = 4;

// Parts are where results of parts of the cells lie, and where their sums go.
struct Parts {
	u64 from, sinks, dst, bytes, scales; // bytes: as in round32, or 0
	u32 heads, ss, splits, dv, SINKS;

	FN u64 at(u32 row, u32 split) const { return from + 4 * u64(dv + PART) * (u64(row) * splits + split); }

	// join adds up parts, MOST at most, of count rows, N at most, which rowOf names. What a part counts for does not depend on how many others
	// there are, and one that is hidden whole counts for nothing.
	template <u32 N, u32 MOST, class F> FN void join(u32 count, F&& rowOf) const {
		static __shared__ float tops[N * MOST], sums[N * MOST], weights[N * MOST];
		for (u32 i = threadIdx.x; i < count * splits; i += LOCAL) {
			u32 g = i / splits, s = i % splits;
			u64 behind = at(rowOf(g), s) + 4 * dv;
			tops[g * MOST + s] = F32(behind).v;
			sums[g * MOST + s] = F32(behind + 4).v;
		}
		__syncthreads();
		for (u32 i = threadIdx.x; i < count * splits; i += LOCAL) {
			u32 g = i / splits, s = i % splits;
			float top = tops[g * MOST + s];
			weights[g * MOST + s] = top == -INF ? 1.0f : expQuick(top - most(tops + g * MOST));
		}
		__syncthreads();
		for (u32 i = threadIdx.x; i < count * (dv / 4); i += LOCAL) {
			u32 g = i / (dv / 4), e = i % (dv / 4), row = rowOf(g);
			float top = most(tops + g * MOST), sum = 0.0f, keep = 1.0f;
			for (u32 s = 0; s < splits; s++) sum = fmaf(sums[g * MOST + s], weights[g * MOST + s], sum);
			if (SINKS) sink(F32(sinks + u64(row % heads) * ss).v, top, sum, keep);
			float inv = sum == 0.0f ? 0.0f : keep / sum;
			Floats4 x = floats4(0.0f, 0.0f, 0.0f, 0.0f);
			_Pragma("unroll 8") for (u32 s = 0; s < splits; s++) {
				Floats4 part = F32x4(at(row, s) + 16 * u64(e)).v;
				UNROLL for (u32 j = 0; j < 4; j++) x[j] = fmaf(part[j], weights[g * MOST + s], x[j]);
			}
			UNROLL for (u32 j = 0; j < 4; j++) x[j] *= inv;
			F32x4(dst + 16 * (u64(row) * (dv / 4) + e)).v = x;
			if (bytes != 0) round32(x, bytes, scales, row * (dv / 4) + e, true);
		}
	}

	FN float most(const float* tops) const {
		float m = -INF;
		for (u32 s = 0; s < splits; s++) m = max_(m, tops[s]);
		return m;
	}
};
