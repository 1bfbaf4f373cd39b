// Block formats: what each byte means, as package tensor/quant says it. One function for each type returns four
// values in a row, dequant4_TYPE(block, i), for i a multiple of 4; dequant4 chooses by a type that is a constant. A product is
// rounded before anything is added to it, so that the values are those of the reference to the bit.
//
// Fast kernels read the same layouts in wider words: pieces like scaleQ4_K and byte4 are for them, too.

layout(buffer_reference, scalar, buffer_reference_align = 1) buffer I8 { int8_t v; };

// word2 reads four bytes at an even address, word1 at any.
uint word2(uint64_t at) { return uint(U16(at).v) | uint(U16(at + 2).v) << 16; }
uint word1(uint64_t at) { return uint(U8(at).v) | uint(U8(at + 1).v) << 8 | uint(U8(at + 2).v) << 16 | uint(U8(at + 3).v) << 24; }

// byte4 takes a word apart; signed4 takes its bytes for signed ones.
uvec4 byte4(uint w) { return uvec4(w, w >> 8, w >> 16, w >> 24) & 255u; }
ivec4 signed4(uint w) { return ivec4(int(w << 24) >> 24, int(w << 16) >> 24, int(w << 8) >> 24, int(w) >> 24); }

float half1(uint64_t at) { return fromF16(uint(U16(at).v)); }

vec4 affine4(float d, uvec4 q, float m) {
	precise vec4 p = d * vec4(q);
	precise vec4 r = p + m;
	return r;
}

vec4 dequant4_Q4_0(uint64_t b, uint i) {
	uint w = word2(b + 2 + (i & 15u)) >> (i >> 4 << 2);
	return half1(b) * (vec4(byte4(w & 0x0f0f0f0fu)) - 8.0);
}

vec4 dequant4_Q4_1(uint64_t b, uint i) {
	uint w = word2(b + 4 + (i & 15u)) >> (i >> 4 << 2);
	return affine4(half1(b), byte4(w & 0x0f0f0f0fu), half1(b + 2));
}

// fifth4 spreads four bits to the places of a fifth bit in four bytes.
uint fifth4(uint bits) { return (bits & 1u) << 4 | (bits & 2u) << 11 | (bits & 4u) << 18 | (bits & 8u) << 25; }

vec4 dequant4_Q5_0(uint64_t b, uint i) {
	uint w = word2(b + 6 + (i & 15u)) >> (i >> 4 << 2) & 0x0f0f0f0fu | fifth4(word2(b + 2) >> i);
	return half1(b) * (vec4(byte4(w)) - 16.0);
}

vec4 dequant4_Q5_1(uint64_t b, uint i) {
	uint w = word2(b + 8 + (i & 15u)) >> (i >> 4 << 2) & 0x0f0f0f0fu | fifth4(word2(b + 4) >> i);
	return affine4(half1(b), byte4(w), half1(b + 2));
}

vec4 dequant4_Q8_0(uint64_t b, uint i) { return half1(b) * vec4(signed4(word2(b + 2 + i))); }

vec4 dequant4_Q8_1(uint64_t b, uint i) { return half1(b) * vec4(signed4(word2(b + 4 + i))); }

vec4 dequant4_Q8_K(uint64_t b, uint i) { return F32(b).v * vec4(signed4(word2(b + 4 + i))); }

vec4 dequant4_Q2_K(uint64_t b, uint i) {
	uint g = i >> 4;
	uint w = word2(b + 16 + 32 * (g >> 3) + 16 * (g & 1u) + (i & 15u)) >> ((g >> 1 & 3u) * 2) & 0x03030303u;
	uint s = uint(U8(b + g).v);
	return affine4(half1(b + 80) * float(s & 15u), byte4(w), -(half1(b + 82) * float(s >> 4)));
}

// scaleQ3_K returns the scale of a group of 16, from -32 to 31.
int scaleQ3_K(uint64_t b, uint g) {
	uint k = g & 7u;
	uint low = uint(U8(b + 96 + k).v) >> (g >> 3 << 2) & 15u;
	uint high = uint(U8(b + 104 + (g & 3u)).v) >> (g >> 2 << 1) & 3u;
	return int(low | high << 4) - 32;
}

vec4 dequant4_Q3_K(uint64_t b, uint i) {
	uint g = i >> 4, at = 16 * (g & 1u) + (i & 15u);
	uint w = word2(b + 32 + 32 * (g >> 3) + at) >> ((g >> 1 & 3u) * 2) & 0x03030303u;
	w |= (word2(b + at) >> (g >> 1) & 0x01010101u) << 2;
	return half1(b + 108) * float(scaleQ3_K(b, g)) * (vec4(byte4(w)) - 4.0);
}

// scaleQ4_K returns scale and minimum of a group of 32, of Q4_K and Q5_K; at is where the 12 bytes of them begin.
uvec2 scaleQ4_K(uint64_t at, uint g) {
	uint k = g & 3u;
	uint s = uint(U8(at + k).v), m = uint(U8(at + k + 4).v);
	if (g < 4) return uvec2(s, m) & 63u;
	uint both = uint(U8(at + k + 8).v);
	return uvec2(both & 15u | s >> 6 << 4, both >> 4 | m >> 6 << 4);
}

vec4 dequant4_Q4_K(uint64_t b, uint i) {
	uint g = i >> 5;
	uint w = word2(b + 16 + 32 * (g >> 1) + (i & 31u)) >> ((g & 1u) << 2) & 0x0f0f0f0fu;
	uvec2 s = scaleQ4_K(b + 4, g);
	return affine4(half1(b) * float(s.x), byte4(w), -(half1(b + 2) * float(s.y)));
}

vec4 dequant4_Q5_K(uint64_t b, uint i) {
	uint g = i >> 5;
	uint w = word2(b + 48 + 32 * (g >> 1) + (i & 31u)) >> ((g & 1u) << 2) & 0x0f0f0f0fu;
	w |= (word2(b + 16 + (i & 31u)) >> g & 0x01010101u) << 4;
	uvec2 s = scaleQ4_K(b + 4, g);
	return affine4(half1(b) * float(s.x), byte4(w), -(half1(b + 2) * float(s.y)));
}

vec4 dequant4_Q6_K(uint64_t b, uint i) {
	uint h = i >> 7, quarter = i >> 5 & 3u, l = i & 31u;
	uint w = word2(b + 64 * h + 32 * (quarter & 1u) + l) >> (quarter >> 1 << 2) & 0x0f0f0f0fu;
	w |= (word2(b + 128 + 32 * h + l) >> (2 * quarter) & 0x03030303u) << 4;
	float scale = half1(b + 208) * float(I8(b + 192 + 8 * h + 2 * quarter + (l >> 4)).v);
	return scale * (vec4(byte4(w)) - 32.0);
}

const float iq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

vec4 iq4(uvec4 q) { return vec4(iq4Values[q.x], iq4Values[q.y], iq4Values[q.z], iq4Values[q.w]); }

vec4 dequant4_IQ4_NL(uint64_t b, uint i) {
	uint w = word2(b + 2 + (i & 15u)) >> (i >> 4 << 2);
	return half1(b) * iq4(byte4(w & 0x0f0f0f0fu));
}

// scaleIQ4_XS returns the scale of a group of 32, from -32 to 31.
int scaleIQ4_XS(uint64_t b, uint g) {
	uint low = uint(U8(b + 4 + (g >> 1)).v) >> ((g & 1u) << 2) & 15u;
	return int(low | (uint(U16(b + 2).v) >> (2 * g) & 3u) << 4) - 32;
}

vec4 dequant4_IQ4_XS(uint64_t b, uint i) {
	uint g = i >> 5, j = i & 31u;
	uint w = word2(b + 8 + 16 * g + (j & 15u)) >> (j >> 4 << 2);
	return half1(b) * float(scaleIQ4_XS(b, g)) * iq4(byte4(w & 0x0f0f0f0fu));
}

// Twice the values of MXFP4's codes.
const float mxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};


vec4 dequant4_MXFP4(uint64_t b, uint i) {
	uint e = uint(U8(b).v);
	uvec4 q = byte4(word1(b + 1 + (i & 15u)) >> (i >> 4 << 2) & 0x0f0f0f0fu);
	vec4 v = vec4(mxfp4Values[q.x], mxfp4Values[q.y], mxfp4Values[q.z], mxfp4Values[q.w]);
	if (e < 2) return v * 5.42101086242752217e-20 * uintBitsToFloat((e + 63) << 23); // 2^-64 * 2^(e-64)
	return v * uintBitsToFloat((e - 1) << 23);
}

// isQuantized reports whether a type is read in blocks.
bool isQuantized(uint type) { return elemsOf(type) > 1; }

// dequant4 returns values i to i+3 of a block.
vec4 dequant4(uint type, uint64_t b, uint i) {
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
	return vec4(0.0);
}

// row4 returns elements k to k+3 of a row of any type, for k a multiple of 4, with st bytes from one element or block to the
// next. Elements from n on are 0.
vec4 row4(uint type, uint64_t row, uint st, uint k, uint n) {
	if (isQuantized(type)) {
		uint e = elemsOf(type);
		return dequant4(type, row + uint64_t(k / e) * st, k % e);
	}
	vec4 v = vec4(0.0);
	[[unroll]] for (uint j = 0; j < 4; j++) {
		if (k + j < n) v[j] = loadFloat(type, row + uint64_t(k + j) * st);
	}
	return v;
}
