#pragma once
#include "dequant.h"
#include "wide.h"
// Blocks of 32 weights as integers, for kernels that multiply by them: w = d*q + m, with one d and m for either half. Words are read
// aligned to four bytes wherever a block lies at an even address: up to two bytes on either side of a row are read and not
// looked at. The layouts are those of dequant.h.

struct Block {
	u32 q[8]; // four bytes each, in order; of signedBytes(type) they are signed
	float d[2], m[2];
};

// signedBytes reports whether a Block's bytes are signed. The others are below 128.
FN constexpr bool signedBytes(u32 type) {
	return type == T_Q8_0 || type == T_Q8_1 || type == T_Q8_K || type == T_IQ4_NL || type == T_IQ4_XS || type == T_MXFP4;
}

// oneScale reports whether both halves of a Block have the same d and m, and zeroMin whether m is 0.
FN constexpr bool oneScale(u32 type) { return type != T_Q2_K && type != T_Q3_K && type != T_Q6_K; }
FN constexpr bool zeroMin(u32 type) { return signedBytes(type); }

// zeroOf returns which q stands for 0 in types whose m is so many times -d, and 0 for all others.
FN constexpr u32 zeroOf(u32 type) { return type == T_Q4_0 ? 8 : type == T_Q5_0 ? 16 : type == T_Q3_K ? 4 : type == T_Q6_K ? 32 : 0; }

FN void setScale(Block& b, float d, float m) {
	b.d[0] = b.d[1] = d;
	b.m[0] = b.m[1] = m;
}

// alignedWords reads n words from an address that is a multiple of four.
#ifndef ALIGNED_WORDS // a test aid may have one of its own
template <u32 n> FN void alignedWords(u64 at, u32* w) {
	UNROLL for (u32 j = 0; j < n; j++) w[j] = U32(at + 4 * j).v;
}
#endif

// evenWords reads n words from an even address, behind which the block goes on.
template <u32 n> FN void evenWords(u64 at, u32* w) {
	u64 base = at & ~u64(3);
	u32 odd = u32(at) >> 1 & 1u, r[n + 1];
	alignedWords<n + 1>(base, r);
	UNROLL for (u32 j = 0; j < n; j++) w[j] = shift2(r[j], r[j + 1], odd);
}

// behindHalf reads a half and the n words behind it, from an even address.
template <u32 n> FN float behindHalf(u64 at, u32* w) {
	u64 base = at & ~u64(3);
	u32 odd = u32(at) >> 1 & 1u, r[n + 1];
	alignedWords<n + 1>(base, r);
	UNROLL for (u32 j = 0; j < n; j++) w[j] = shift2(r[j], r[j + 1], 1);
	if (odd) {
		UNROLL for (u32 j = 0; j < n; j++) w[j] = r[j + 1];
	}
	return lowHalf(odd ? r[0] >> 16 : r[0]);
}

// nibbles fills q with the 16 low and the 16 high halves of bytes.
FN void nibbles(const u32* w, u32* q) {
	UNROLL for (u32 j = 0; j < 4; j++) {
		q[j] = w[j] & 0x0f0f0f0fu;
		q[j + 4] = w[j] >> 4 & 0x0f0f0f0fu;
	}
}

// pick replaces the four bytes of w, each below 8, by those of the eight bytes hi, lo.
#ifndef PICK // a test aid may have one of its own
#if defined(__AMDGCN__)
#define PICK(hi, lo, w) __builtin_amdgcn_perm(hi, lo, w)
#else
#define PICK(hi, lo, w) pickByHand(hi, lo, w)
#endif
#endif

FN u32 pickByHand(u32 hi, u32 lo, u32 w) {
	u64 both = u64(hi) << 32 | lo;
	u32 r = 0;
	UNROLL for (u32 j = 0; j < 32; j += 8) r |= (u32(both >> ((w >> j & 7u) * 8)) & 255u) << j;
	return r;
}

// lookup4 replaces the four bytes of w, each below 16, by those of a table: of either half of it, and then by bit 3.
FN u32 lookup4(u32 w, u32 t0, u32 t1, u32 t2, u32 t3) {
	u32 at = w & 0x07070707u, high = (w >> 3 & 0x01010101u) * 255u;
	return (PICK(t1, t0, at) & ~high) | (PICK(t3, t2, at) & high);
}

// The values of IQ4 and twice those of MXFP4, as signed bytes.
FN void lookupIQ4(u32* q) {
	UNROLL for (u32 j = 0; j < 8; j++) q[j] = lookup4(q[j], 0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
}

FN void lookupMXFP4(u32* q) {
	UNROLL for (u32 j = 0; j < 8; j++) q[j] = lookup4(q[j], 0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);
}

FN Block block_Q4(u32 type, u64 row, u32 i) {
	Block b;
	u32 w[5];
	if (type == T_Q4_1) {
		alignedWords<5>(row + 20 * u64(i), w);
		setScale(b, lowHalf(w[0]), highHalf(w[0]));
		nibbles(w + 1, b.q);
		return b;
	}
	float d = behindHalf<4>(row + 18 * u64(i), w);
	setScale(b, d, -float(zeroOf(type)) * d);
	nibbles(w, b.q);
	if (type == T_IQ4_NL) lookupIQ4(b.q);
	return b;
}

FN Block block_Q5(u32 type, u64 row, u32 i) {
	Block b;
	u32 w[6];
	if (type == T_Q5_0) {
		float d = behindHalf<5>(row + 22 * u64(i), w + 1);
		setScale(b, d, -float(zeroOf(type)) * d);
	} else {
		alignedWords<6>(row + 24 * u64(i), w);
		setScale(b, lowHalf(w[0]), highHalf(w[0]));
	}
	nibbles(w + 2, b.q);
	UNROLL for (u32 j = 0; j < 8; j++) b.q[j] |= fifth4(w[1] >> (4 * j));
	return b;
}

FN Block block_Q8(u32 type, u64 row, u32 i) {
	Block b;
	if (type == T_Q8_0) {
		float d = behindHalf<8>(row + 34 * u64(i), b.q);
		setScale(b, d, 0.0f);
		return b;
	}
	u64 at = type == T_Q8_1 ? row + 36 * u64(i) : row + 292 * u64(i >> 3), from = at + 4 + (type == T_Q8_1 ? 0 : 32 * (i & 7u));
	setScale(b, type == T_Q8_1 ? lowHalf(U32(at).v) : F32(at).v, 0.0f);
	alignedWords<8>(from, b.q);
	return b;
}

FN Block block_Q2_K(u64 row, u32 i) {
	Block b;
	u64 at = row + 84 * u64(i >> 3);
	u32 g = i & 7u, s = u32(U16(at + 2 * g).v), h = U32(at + 80).v;
	float d = lowHalf(h), low = -highHalf(h);
	b.d[0] = d * float(s & 15u);
	b.d[1] = d * float(s >> 8 & 15u);
	b.m[0] = low * float(s >> 4 & 15u);
	b.m[1] = low * float(s >> 12);
	alignedWords<8>(at + 16 + 32 * (g >> 2), b.q);
	UNROLL for (u32 j = 0; j < 8; j++) b.q[j] = b.q[j] >> (2 * (g & 3u)) & 0x03030303u;
	return b;
}

FN Block block_Q3_K(u64 row, u32 i) {
	Block b;
	u64 at = row + 110 * u64(i >> 3);
	u32 g = i & 7u, high[8];
	float d = lowHalf(u32(U16(at + 108).v));
	UNROLL for (u32 h = 0; h < 2; h++) {
		b.d[h] = d * float(scaleQ3_K(at, 2 * g + h));
		b.m[h] = -float(zeroOf(T_Q3_K)) * b.d[h];
	}
	evenWords<8>(at + 32 + 32 * (g >> 2), b.q);
	evenWords<8>(at, high);
	UNROLL for (u32 j = 0; j < 8; j++) b.q[j] = b.q[j] >> (2 * (g & 3u)) & 0x03030303u | (high[j] >> g & 0x01010101u) << 2;
	return b;
}

// block_Q45_K reads Q4_K and Q5_K, whose rows begin at multiples of 16.
FN Block block_Q45_K(u32 type, u64 row, u32 i) {
	Block b;
	u64 at = row + (type == T_Q4_K ? 144 : 176) * u64(i >> 3);
	u32 g = i & 7u, k = (g & 3u) * 8;
	u64 from = at + (type == T_Q4_K ? 16 : 48) + 32 * (g >> 1);
	Words4 head = U32x4(at).v, w0 = U32x4(from).v, w1 = U32x4(from + 16).v;
	u32 s, m;
	if (g < 4) {
		s = head[1] >> k & 63u;
		m = head[2] >> k & 63u;
	} else {
		s = head[3] >> k & 15u | (head[1] >> k >> 6 & 3u) << 4;
		m = head[3] >> k >> 4 & 15u | (head[2] >> k >> 6 & 3u) << 4;
	}
	setScale(b, lowHalf(head[0]) * float(s), -highHalf(head[0]) * float(m));
	UNROLL for (u32 j = 0; j < 4; j++) {
		b.q[j] = w0[j] >> (4 * (g & 1u)) & 0x0f0f0f0fu;
		b.q[j + 4] = w1[j] >> (4 * (g & 1u)) & 0x0f0f0f0fu;
	}
	if (type == T_Q5_K) {
		w0 = U32x4(at + 16).v;
		w1 = U32x4(at + 32).v;
		UNROLL for (u32 j = 0; j < 4; j++) {
			b.q[j] |= (w0[j] >> g & 0x01010101u) << 4;
			b.q[j + 4] |= (w1[j] >> g & 0x01010101u) << 4;
		}
	}
	return b;
}

FN Block block_Q6_K(u64 row, u32 i) {
	Block b;
	u64 at = row + 210 * u64(i >> 3);
	u32 h = i >> 2 & 1u, quarter = i & 3u, high[8];
	int s = int(U16(at + 192 + 8 * h + 2 * quarter).v);
	float d = lowHalf(u32(U16(at + 208).v));
	b.d[0] = d * float((s << 24) >> 24);
	b.d[1] = d * float((s << 16) >> 24);
	UNROLL for (u32 j = 0; j < 2; j++) b.m[j] = -float(zeroOf(T_Q6_K)) * b.d[j];
	evenWords<8>(at + 64 * h + 32 * (quarter & 1u), b.q);
	evenWords<8>(at + 128 + 32 * h, high);
	UNROLL for (u32 j = 0; j < 8; j++) b.q[j] = b.q[j] >> (4 * (quarter >> 1)) & 0x0f0f0f0fu | (high[j] >> (2 * quarter) & 0x03030303u) << 4;
	return b;
}

FN Block block_IQ4_XS(u64 row, u32 i) {
	Block b;
	u64 at = row + 136 * u64(i >> 3);
	u32 g = i & 7u, w[4];
	alignedWords<4>(at + 8 + 16 * g, w);
	setScale(b, lowHalf(u32(U16(at).v)) * float(scaleIQ4_XS(at, g)), 0.0f);
	nibbles(w, b.q);
	lookupIQ4(b.q);
	return b;
}

// block_MXFP4 reads at any address: 17 bytes are five aligned words at most.
FN Block block_MXFP4(u64 row, u32 i) {
	Block b;
	u64 at = row + 17 * u64(i), base = at + 1 & ~u64(3);
	u32 e = u32(U8(at).v), shift = 8 * (u32(at + 1) & 3u), r[5], w[4];
	UNROLL for (u32 j = 0; j < 4; j++) r[j] = U32(base + 4 * j).v;
	r[4] = U32(base + (shift != 0 ? 16 : 12)).v;
	UNROLL for (u32 j = 0; j < 4; j++) w[j] = u32((u64(r[j + 1]) << 32 | r[j]) >> shift);
	setScale(b, e < 2 ? 5.42101086242752217e-20f * __uint_as_float((e + 63) << 23) : __uint_as_float((e - 1) << 23), 0.0f);
	nibbles(w, b.q);
	lookupMXFP4(b.q);
	return b;
}

// blockAt returns block i of 32 of a row.
FN Block blockAt(u32 type, u64 row, u32 i) {
	switch (type) {
	case T_Q4_0: case T_Q4_1: case T_IQ4_NL: return block_Q4(type, row, i);
	case T_Q5_0: case T_Q5_1: return block_Q5(type, row, i);
	case T_Q2_K: return block_Q2_K(row, i);
	case T_Q3_K: return block_Q3_K(row, i);
	case T_Q4_K: case T_Q5_K: return block_Q45_K(type, row, i);
	case T_Q6_K: return block_Q6_K(row, i);
	case T_IQ4_XS: return block_IQ4_XS(row, i);
	case T_MXFP4: return block_MXFP4(row, i);
	}
	return block_Q8(type, row, i);
}
