// Blocks of 32 weights as integers, for kernels that multiply by them: w = d*q + m, with one d and m for
// either half. Words are read aligned to four bytes, or with WIDE to sixteen: what is read on either side of a row is not looked at. Who includes
// this declares WIDE.

struct Block {
	uint q[8]; // four bytes each, in order; of signedBytes(type) they are signed
	vec2 d, m;
};

// signedBytes reports whether a Block's bytes are signed. The others are below 128.
bool signedBytes(uint type) { return type == T_Q8_0 || type == T_Q8_1 || type == T_Q8_K || type == T_IQ4_NL || type == T_IQ4_XS || type == T_MXFP4; }

// oneScale reports whether both halves of a Block have the same d and m, and zeroMin whether m is 0.
bool oneScale(uint type) { return type != T_Q2_K && type != T_Q3_K && type != T_Q6_K; }
bool zeroMin(uint type) { return signedBytes(type); }

float low16(uint w) { return unpackHalf2x16(w).x; }


// alignedWords reads n words, 9 at most, from a multiple of four. WIDE has them loaded by sixteen bytes: a load costs NVIDIA's cards as much as
// the lines of memory that a subgroup's invocations meet in it, so that fewer loads are sooner done. What is behind the last word that is wanted
// may be nobody's, and is not loaded.
void alignedWords(uint64_t at, const uint n, out uint w[9]) {
	if (!WIDE) {
		[[unroll]] for (uint j = 0; j < n; j++) w[j] = U32(at + 4 * j).v;
		return;
	}
	uint a = uint(at) >> 2 & 3u, r[12], t[10];
	[[unroll]] for (uint j = 0; 4 * j < n + 3; j++) {
		uvec4 v = U32x4((at & ~uint64_t(15)) + 16 * (4 * j < n ? j : min(j, (a + n - 1) / 4))).v;
		[[unroll]] for (uint e = 0; e < 4; e++) r[4 * j + e] = v[e];
	}
	[[unroll]] for (uint j = 0; j <= n; j++) t[j] = (a & 2u) != 0 ? r[j + 2] : r[j];
	[[unroll]] for (uint j = 0; j < n; j++) w[j] = (a & 1u) != 0 ? t[j + 1] : t[j];
}

// words8 reads 32 bytes from an even address, behind which the block goes on.
void words8(uint64_t at, out uint w[8]) {
	uint r[9];
	alignedWords(at & ~uint64_t(3), 9, r);
	bool odd = (uint(at) & 2u) != 0;
	[[unroll]] for (uint j = 0; j < 8; j++) w[j] = odd ? r[j] >> 16 | r[j + 1] << 16 : r[j];
}

// nibbles fills q with the 16 low and the 16 high halves of bytes.
void nibbles(uvec4 w, inout uint q[8]) {
	[[unroll]] for (uint j = 0; j < 4; j++) {
		q[j] = w[j] & 0x0f0f0f0fu;
		q[j + 4] = w[j] >> 4 & 0x0f0f0f0fu;
	}
}

// behindHalf reads a half and the n words behind it, from an even address.
float behindHalf(uint64_t at, const uint n, out uint w[8]) {
	uint r[9];
	alignedWords(at & ~uint64_t(3), n + 1, r);
	bool odd = (uint(at) & 2u) != 0;
	[[unroll]] for (uint j = 0; j < n; j++) w[j] = odd ? r[j + 1] : r[j] >> 16 | r[j + 1] << 16;
	return low16(odd ? r[0] >> 16 : r[0]);
}

// lookup4 replaces the four bytes of w, each below 16, by those of a table.
uint lookup4(uint w, uvec4 table) {
	uint r = 0;
	[[unroll]] for (uint j = 0; j < 4; j++) {
		uint k = w >> (8 * j) & 15u;
		uint t = k < 8 ? (k < 4 ? table.x : table.y) : (k < 12 ? table.z : table.w);
		r |= (t >> (8 * (k & 3u)) & 255u) << (8 * j);
	}
	return r;
}

// The values of IQ4 and twice those of MXFP4, as signed bytes.
const uvec4 iq4Bytes = uvec4(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
const uvec4 mxfp4Bytes = uvec4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

Block block_Q4(uint type, uint64_t row, uint i) {
	Block b;
	if (type == T_Q4_0 || type == T_IQ4_NL) {
		uint w[8];
		b.d = vec2(behindHalf(row + 18 * i, 4, w));
		b.m = vec2(type == T_Q4_0 ? -8.0 * b.d.x : 0.0);
		nibbles(uvec4(w[0], w[1], w[2], w[3]), b.q);
	} else {
		uint w[9];
		alignedWords(row + 20 * i, 5, w);
		vec2 h = unpackHalf2x16(w[0]);
		b.d = vec2(h.x);
		b.m = vec2(h.y);
		nibbles(uvec4(w[1], w[2], w[3], w[4]), b.q);
	}
	if (type == T_IQ4_NL) [[unroll]] for (uint j = 0; j < 8; j++) b.q[j] = lookup4(b.q[j], iq4Bytes);
	return b;
}

Block block_Q5(uint type, uint64_t row, uint i) {
	Block b;
	uint high;
	if (type == T_Q5_0) {
		uint w[8];
		b.d = vec2(behindHalf(row + 22 * i, 5, w));
		b.m = -16.0 * b.d;
		high = w[0];
		nibbles(uvec4(w[1], w[2], w[3], w[4]), b.q);
	} else {
		uint w[9];
		alignedWords(row + 24 * i, 6, w);
		vec2 h = unpackHalf2x16(w[0]);
		b.d = vec2(h.x);
		b.m = vec2(h.y);
		high = w[1];
		nibbles(uvec4(w[2], w[3], w[4], w[5]), b.q);
	}
	[[unroll]] for (uint j = 0; j < 8; j++) b.q[j] |= fifth4(high >> (4 * j));
	return b;
}

Block block_Q8(uint type, uint64_t row, uint i) {
	Block b;
	b.m = vec2(0.0);
	if (type == T_Q8_0) {
		b.d = vec2(behindHalf(row + 34 * i, 8, b.q));
		return b;
	}
	uint w[9];
	if (type == T_Q8_1) {
		uint64_t at = row + 36 * i;
		alignedWords(at, 9, w);
		b.d = vec2(low16(w[0]));
		[[unroll]] for (uint j = 0; j < 8; j++) b.q[j] = w[j + 1];
	} else {
		uint64_t at = row + 292 * (i >> 3);
		b.d = vec2(F32(at).v);
		alignedWords(at + 4 + 32 * (i & 7u), 8, w);
		[[unroll]] for (uint j = 0; j < 8; j++) b.q[j] = w[j];
	}
	return b;
}

Block block_Q2_K(uint64_t row, uint i) {
	Block b;
	uint64_t at = row + 84 * (i >> 3);
	uint g = i & 7u, s = uint(U16(at + 2 * g).v);
	vec2 h = unpackHalf2x16(U32(at + 80).v);
	b.d = h.x * vec2(s & 15u, s >> 8 & 15u);
	b.m = -h.y * vec2(s >> 4 & 15u, s >> 12);
	uint w[9];
	alignedWords(at + 16 + 32 * (g >> 2), 8, w);
	[[unroll]] for (uint j = 0; j < 8; j++) b.q[j] = w[j] >> (2 * (g & 3u)) & 0x03030303u;
	return b;
}

Block block_Q3_K(uint64_t row, uint i) {
	Block b;
	uint64_t at = row + 110 * (i >> 3);
	uint g = i & 7u, high[8];
	b.d = low16(uint(U16(at + 108).v)) * vec2(scaleQ3_K(at, 2 * g), scaleQ3_K(at, 2 * g + 1));
	b.m = -4.0 * b.d;
	words8(at + 32 + 32 * (g >> 2), b.q);
	words8(at, high);
	[[unroll]] for (uint j = 0; j < 8; j++) b.q[j] = b.q[j] >> (2 * (g & 3u)) & 0x03030303u | (high[j] >> g & 0x01010101u) << 2;
	return b;
}

// block_Q45_K reads Q4_K and Q5_K, whose rows begin at multiples of 16.
Block block_Q45_K(uint type, uint64_t row, uint i) {
	Block b;
	uint64_t at = row + (type == T_Q4_K ? 144 : 176) * (i >> 3);
	uint g = i & 7u, k = (g & 3u) * 8;
	uvec4 head = U32x4(at).v;
	uvec2 s;
	if (g < 4) s = uvec2(head.y, head.z) >> k & 63u;
	else s = uvec2(head.w >> k & 15u | (head.y >> k >> 6 & 3u) << 4, head.w >> k >> 4 & 15u | (head.z >> k >> 6 & 3u) << 4);
	vec2 h = unpackHalf2x16(head.x);
	b.d = vec2(h.x * float(s.x));
	b.m = vec2(-h.y * float(s.y));
	uint64_t from = at + (type == T_Q4_K ? 16 : 48) + 32 * (g >> 1);
	uvec4 w0 = U32x4(from).v, w1 = U32x4(from + 16).v;
	[[unroll]] for (uint j = 0; j < 4; j++) {
		b.q[j] = w0[j] >> (4 * (g & 1u)) & 0x0f0f0f0fu;
		b.q[j + 4] = w1[j] >> (4 * (g & 1u)) & 0x0f0f0f0fu;
	}
	if (type == T_Q5_K) {
		w0 = U32x4(at + 16).v;
		w1 = U32x4(at + 32).v;
		[[unroll]] for (uint j = 0; j < 4; j++) {
			b.q[j] |= (w0[j] >> g & 0x01010101u) << 4;
			b.q[j + 4] |= (w1[j] >> g & 0x01010101u) << 4;
		}
	}
	return b;
}

Block block_Q6_K(uint64_t row, uint i) {
	Block b;
	uint64_t at = row + 210 * (i >> 3);
	uint h = i >> 2 & 1u, quarter = i & 3u, high[8];
	int s = int(U16(at + 192 + 8 * h + 2 * quarter).v);
	b.d = low16(uint(U16(at + 208).v)) * vec2((s << 24) >> 24, (s << 16) >> 24);
	b.m = -32.0 * b.d;
	words8(at + 64 * h + 32 * (quarter & 1u), b.q);
	words8(at + 128 + 32 * h, high);
	[[unroll]] for (uint j = 0; j < 8; j++) b.q[j] = b.q[j] >> (4 * (quarter >> 1)) & 0x0f0f0f0fu | (high[j] >> (2 * quarter) & 0x03030303u) << 4;
	return b;
}

Block block_IQ4_XS(uint64_t row, uint i) {
	Block b;
	uint64_t at = row + 136 * (i >> 3);
	uint g = i & 7u, w[9];
	b.d = vec2(low16(uint(U16(at).v)) * float(scaleIQ4_XS(at, g)));
	b.m = vec2(0.0);
	alignedWords(at + 8 + 16 * g, 4, w);
	nibbles(uvec4(w[0], w[1], w[2], w[3]), b.q);
	[[unroll]] for (uint j = 0; j < 8; j++) b.q[j] = lookup4(b.q[j], iq4Bytes);
	return b;
}

Block block_MXFP4(uint64_t row, uint i) {
	Block b;
	uint64_t at = row + 17 * i;
	uint e = uint(U8(at).v);
	uvec4 w;
	b.d = vec2(e < 2 ? 5.42101086242752217e-20 * uintBitsToFloat((e + 63) << 23) : uintBitsToFloat((e - 1) << 23));
	b.m = vec2(0.0);
	[[unroll]] for (uint j = 0; j < 4; j++) w[j] = word1(at + 1 + 4 * j);
	nibbles(w, b.q);
	[[unroll]] for (uint j = 0; j < 8; j++) b.q[j] = lookup4(b.q[j], mxfp4Bytes);
	return b;
}

// blockAt returns block i of 32 of a row.
Block blockAt(uint type, uint64_t row, uint i) {
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
