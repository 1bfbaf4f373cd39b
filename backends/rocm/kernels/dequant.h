#pragma once
// Block formats: what each byte means, as package tensor/quant says it. One function for each type returns four
// values in a row, dequant4_TYPE(block, i), for i a multiple of 4; dequant4 chooses by a type that is a constant. A product is
// rounded before anything is added to it (kernels are compiled without contraction), so that the values are those of the reference to the bit.
//
// Fast kernels read the same layouts in wider words: pieces like scaleQ4_K and byte4 are for them, too.

// word2 reads four bytes at an even address, word1 at any.
FN u32 word2(u64 at) { return u32(U16(at).v) | u32(U16(at + 2).v) << 16; }
FN u32 word1(u64 at) { return u32(U8(at).v) | u32(U8(at + 1).v) << 8 | u32(U8(at + 2).v) << 16 | u32(U8(at + 3).v) << 24; }

// byte4 takes a word apart; signed4 takes its bytes for signed ones.
FN uvec4 byte4(u32 w) { return uvec4(w & 255u, w >> 8 & 255u, w >> 16 & 255u, w >> 24); }
FN ivec4 signed4(u32 w) { return ivec4(int(w << 24) >> 24, int(w << 16) >> 24, int(w << 8) >> 24, int(w) >> 24); }

FN float half1(u64 at) { return fromF16(u32(U16(at).v)); }

FN vec4 affine4(float d, uvec4 q, float m) {
	return d * vec4(q) + m;
}

FN vec4 dequant4_Q4_0(u64 b, u32 i) {
	u32 w = word2(b + 2 + (i & 15u)) >> (i >> 4 << 2);
	return half1(b) * (vec4(byte4(w & 0x0f0f0f0fu)) - 8.0f);
}

FN vec4 dequant4_Q4_1(u64 b, u32 i) {
	u32 w = word2(b + 4 + (i & 15u)) >> (i >> 4 << 2);
	return affine4(half1(b), byte4(w & 0x0f0f0f0fu), half1(b + 2));
}

// fifth4 spreads four bits to the places of a fifth bit in four bytes.
FN u32 fifth4(u32 bits) { return (bits & 1u) << 4 | (bits & 2u) << 11 | (bits & 4u) << 18 | (bits & 8u) << 25; }

FN vec4 dequant4_Q5_0(u64 b, u32 i) {
	u32 w = word2(b + 6 + (i & 15u)) >> (i >> 4 << 2) & 0x0f0f0f0fu | fifth4(word2(b + 2) >> i);
	return half1(b) * (vec4(byte4(w)) - 16.0f);
}

FN vec4 dequant4_Q5_1(u64 b, u32 i) {
	u32 w = word2(b + 8 + (i & 15u)) >> (i >> 4 << 2) & 0x0f0f0f0fu | fifth4(word2(b + 4) >> i);
	return affine4(half1(b), byte4(w), half1(b + 2));
}

FN vec4 dequant4_Q8_0(u64 b, u32 i) { return half1(b) * vec4(signed4(word2(b + 2 + i))); }

FN vec4 dequant4_Q8_1(u64 b, u32 i) { return half1(b) * vec4(signed4(word2(b + 4 + i))); }

FN vec4 dequant4_Q8_K(u64 b, u32 i) { return F32(b).v * vec4(signed4(word2(b + 4 + i))); }

FN vec4 dequant4_Q2_K(u64 b, u32 i) {
	u32 g = i >> 4;
	u32 w = word2(b + 16 + 32 * (g >> 3) + 16 * (g & 1u) + (i & 15u)) >> ((g >> 1 & 3u) * 2) & 0x03030303u;
	u32 s = u32(U8(b + g).v);
	return affine4(half1(b + 80) * float(s & 15u), byte4(w), -(half1(b + 82) * float(s >> 4)));
}

// scaleQ3_K returns the scale of a group of 16, from -32 to 31.f
FN int scaleQ3_K(u64 b, u32 g) {
	u32 k = g & 7u;
	u32 low = u32(U8(b + 96 + k).v) >> (g >> 3 << 2) & 15u;
	u32 high = u32(U8(b + 104 + (g & 3u)).v) >> (g >> 2 << 1) & 3u;
	return int(low | high << 4) - 32;
}

FN vec4 dequant4_Q3_K(u64 b, u32 i) {
	u32 g = i >> 4, at = 16 * (g & 1u) + (i & 15u);
	u32 w = word2(b + 32 + 32 * (g >> 3) + at) >> ((g >> 1 & 3u) * 2) & 0x03030303u;
	w |= (word2(b + at) >> (g >> 1) & 0x01010101u) << 2;
	return half1(b + 108) * float(scaleQ3_K(b, g)) * (vec4(byte4(w)) - 4.0f);
}

// scaleQ4_K returns scale and minimum of a group of 32, of Q4_K and Q5_K; at is where the 12 bytes of them begin.
FN uvec2 scaleQ4_K(u64 at, u32 g) {
	u32 k = g & 3u;
	u32 s = u32(U8(at + k).v), m = u32(U8(at + k + 4).v);
	if (g < 4) return uvec2(s & 63u, m & 63u);
	u32 both = u32(U8(at + k + 8).v);
	return uvec2(both & 15u | s >> 6 << 4, both >> 4 | m >> 6 << 4);
}

FN vec4 dequant4_Q4_K(u64 b, u32 i) {
	u32 g = i >> 5;
	u32 w = word2(b + 16 + 32 * (g >> 1) + (i & 31u)) >> ((g & 1u) << 2) & 0x0f0f0f0fu;
	uvec2 s = scaleQ4_K(b + 4, g);
	return affine4(half1(b) * float(s.x), byte4(w), -(half1(b + 2) * float(s.y)));
}

FN vec4 dequant4_Q5_K(u64 b, u32 i) {
	u32 g = i >> 5;
	u32 w = word2(b + 48 + 32 * (g >> 1) + (i & 31u)) >> ((g & 1u) << 2) & 0x0f0f0f0fu;
	w |= (word2(b + 16 + (i & 31u)) >> g & 0x01010101u) << 4;
	uvec2 s = scaleQ4_K(b + 4, g);
	return affine4(half1(b) * float(s.x), byte4(w), -(half1(b + 2) * float(s.y)));
}

FN vec4 dequant4_Q6_K(u64 b, u32 i) {
	u32 h = i >> 7, quarter = i >> 5 & 3u, l = i & 31u;
	u32 w = word2(b + 64 * h + 32 * (quarter & 1u) + l) >> (quarter >> 1 << 2) & 0x0f0f0f0fu;
	w |= (word2(b + 128 + 32 * h + l) >> (2 * quarter) & 0x03030303u) << 4;
	float scale = half1(b + 208) * float(I8(b + 192 + 8 * h + 2 * quarter + (l >> 4)).v);
	return scale * (vec4(byte4(w)) - 32.0f);
}

__constant__ const float iq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

FN vec4 iq4(uvec4 q) { return vec4(iq4Values[q.x], iq4Values[q.y], iq4Values[q.z], iq4Values[q.w]); }

FN vec4 dequant4_IQ4_NL(u64 b, u32 i) {
	u32 w = word2(b + 2 + (i & 15u)) >> (i >> 4 << 2);
	return half1(b) * iq4(byte4(w & 0x0f0f0f0fu));
}

// scaleIQ4_XS returns the scale of a group of 32, from -32 to 31.f
FN int scaleIQ4_XS(u64 b, u32 g) {
	u32 low = u32(U8(b + 4 + (g >> 1)).v) >> ((g & 1u) << 2) & 15u;
	return int(low | (u32(U16(b + 2).v) >> (2 * g) & 3u) << 4) - 32;
}

FN vec4 dequant4_IQ4_XS(u64 b, u32 i) {
	u32 g = i >> 5, j = i & 31u;
	u32 w = word2(b + 8 + 16 * g + (j & 15u)) >> (j >> 4 << 2);
	return half1(b) * float(scaleIQ4_XS(b, g)) * iq4(byte4(w & 0x0f0f0f0fu));
}

// Twice the values of MXFP4's codes.
__constant__ const float mxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};


FN vec4 dequant4_MXFP4(u64 b, u32 i) {
	u32 e = u32(U8(b).v);
	uvec4 q = byte4(word1(b + 1 + (i & 15u)) >> (i >> 4 << 2) & 0x0f0f0f0fu);
	vec4 v = vec4(mxfp4Values[q.x], mxfp4Values[q.y], mxfp4Values[q.z], mxfp4Values[q.w]);
	if (e < 2) return v * 5.42101086242752217e-20f * __uint_as_float((e + 63) << 23); // 2^-64 * 2^(e-64)
	return v * __uint_as_float((e - 1) << 23);
}

// isQuantized reports whether a type is read in blocks.
FN bool isQuantized(u32 type) { return elemsOf(type) > 1; }

// dequant4 returns values i to i+3 of a block.
FN vec4 dequant4(u32 type, u64 b, u32 i) {
	switch (type) {
	case T_Q4_0: return dequant4_Q4_0(b, i);
	case T_Q4_1: return dequant4_Q4_1(b, i);
	case T_Q5_0: return dequant4_Q5_0(b, i);
	case T_Q5_1: return dequant4_Q5_1(b, i);
	case T_Q8_0: return dequant4_Q8_0(b, i);
	case T_Q8_1: return dequant4_Q8_1(b, i);
	case T_Q2_K: return dequant4_Q2_K(b, i);
	case T_Q3_K: return dequant4_Q3_K(b, i);
	case T_Q4_K: return dequant4_Q4_K(b, i);
	case T_Q5_K: return dequant4_Q5_K(b, i);
	case T_Q6_K: return dequant4_Q6_K(b, i);
	case T_Q8_K: return dequant4_Q8_K(b, i);
	case T_IQ4_NL: return dequant4_IQ4_NL(b, i);
	case T_IQ4_XS: return dequant4_IQ4_XS(b, i);
	case T_MXFP4: return dequant4_MXFP4(b, i);
	}
	return vec4(0.0f);
}

// row4 returns elements k to k+3 of a row of any type, for k a multiple of 4, with st bytes from one element or block to the
// next. Elements from n on are 0.f
FN vec4 row4(u32 type, u64 row, u32 st, u32 k, u32 n) {
	if (isQuantized(type)) {
		u32 e = elemsOf(type);
		return dequant4(type, row + u64(k / e) * st, k % e);
	}
	vec4 v = vec4(0.0f);
	UNROLL for (u32 j = 0; j < 4; j++) {
		if (k + j < n) v[j] = loadFloat(type, row + u64(k + j) * st);
	}
	return v;
}
