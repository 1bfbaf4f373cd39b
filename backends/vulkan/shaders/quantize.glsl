// Encoders of the block formats that caches have: 32 numbers become a block, as package tensor/quant does it without weights. What
// is no number is 0, and what lies beyond a format's range is the nearest end.

float quantX[32];

float numberIn(float v, float limit) { return isNaN(v) ? 0.0 : clamp(v, -limit, limit); }

float inverseOr0(float d) {
	float inv = 1.0 / d;
	return d == 0.0 || isinf(inv) ? 0.0 : inv;
}

void putHalf(uint64_t at, float v) { U16(at).v = uint16_t(toF16(v)); }

// largestX returns the number of greatest magnitude, the first of several.
float largestX() {
	float best = 0.0, most = 0.0;
	for (uint i = 0; i < 32; i++) {
		float a = abs(quantX[i]);
		if (a > most) {
			best = quantX[i];
			most = a;
		}
	}
	return best;
}

// putCodes writes the low four bits of 32 codes at nibbles, and their fifth bits at high if that is not 0.
void putCodes(uint codes[32], uint64_t nibbles, uint64_t high) {
	uint bits = 0;
	for (uint i = 0; i < 16; i++) {
		U8(nibbles + i).v = uint8_t(codes[i] & 15u | (codes[i + 16] & 15u) << 4);
		bits |= (codes[i] >> 4 & 1u) << i | (codes[i + 16] >> 4 & 1u) << (i + 16);
	}
	if (high != 0) {
		U16(high).v = uint16_t(bits);
		U16(high + 2).v = uint16_t(bits >> 16);
	}
}

void encodeSymmetric(uint64_t b, float half_, uint64_t nibbles, uint64_t high) {
	for (uint i = 0; i < 32; i++) quantX[i] = numberIn(quantX[i], half_ * 65504.0);
	float d = largestX() / -half_, inv = inverseOr0(d);
	putHalf(b, d);
	uint codes[32];
	for (uint i = 0; i < 32; i++) {
		codes[i] = inv == 0.0 && d != 0.0 ? 0u : uint(clamp(quantX[i] * inv + (half_ + 0.5), 0.0, 2.0 * half_ - 1.0));
	}
	putCodes(codes, nibbles, high);
}

void encodeAffine(uint64_t b, float top, uint64_t nibbles, uint64_t high) {
	float lo = INF, hi = -INF;
	for (uint i = 0; i < 32; i++) {
		quantX[i] = numberIn(quantX[i], top * 65504.0);
		lo = min(lo, quantX[i]);
		hi = max(hi, quantX[i]);
	}
	float m = clamp(lo, -65504.0, 65504.0), d = clamp((hi - m) / top, -65504.0, 65504.0), inv = inverseOr0(d);
	putHalf(b, d);
	putHalf(b + 2, m);
	uint codes[32];
	for (uint i = 0; i < 32; i++) codes[i] = uint(clamp((quantX[i] - m) * inv + 0.5, 0.0, top));
	putCodes(codes, nibbles, high);
}

// away rounds halves away from zero.
int away(float v) {
	float t = trunc(v), f = v - t;
	return int(t) + (f >= 0.5 ? 1 : f <= -0.5 ? -1 : 0);
}

void encodeQ8(uint64_t b, uint64_t codes, bool sum) {
	for (uint i = 0; i < 32; i++) quantX[i] = numberIn(quantX[i], 127.0 * 65504.0);
	float d = abs(largestX()) / 127.0, inv = inverseOr0(d);
	putHalf(b, d);
	int all = 0;
	for (uint i = 0; i < 32; i++) {
		int c = clamp(away(quantX[i] * inv), -127, 127);
		all += c;
		U8(codes + i).v = uint8_t(c & 255);
	}
	if (sum) putHalf(b + 2, float(all) * d);
}

// iq4Code returns the code whose value is nearest.
uint iq4Code(float t) {
	uint c = 0;
	for (uint i = 0; i < 15; i++) c += uint(t > (iq4Values[i] + iq4Values[i + 1]) * 0.5);
	return c;
}

// tryIQ4 fits the scale to the codes of an inverse scale: sums of x*q and q*q.
vec2 tryIQ4(float inv) {
	vec2 s = vec2(0.0);
	for (uint i = 0; i < 32; i++) {
		float q = iq4Values[iq4Code(quantX[i] * inv)];
		s += q * vec2(quantX[i], q);
	}
	return s;
}

// fitIQ4 climbs from scales around those that reach the greatest number exactly, on both sides.
float fitIQ4(float top) {
	float best = 0.0, score = 0.0, inv = 1.0 / top;
	for (uint side = 0; side < 2; side++) {
		float center = (side == 0 ? -127.0 : 113.0) * inv, own = 0.0, ownScore = 0.0;
		for (int k = -8; k <= 12; k++) { // the last four begin at the best so far
			vec2 s = tryIQ4(k <= 8 ? center + 1.5 * float(k) * inv : own == 0.0 ? 0.0 : 1.0 / own);
			if (s.y > 0.0 && s.x * s.x > ownScore * s.y) {
				own = s.x / s.y;
				ownScore = s.x * s.x / s.y;
			}
		}
		if (ownScore > score) {
			best = own;
			score = ownScore;
		}
	}
	return best;
}

void encodeIQ4_NL(uint64_t b) {
	for (uint i = 0; i < 32; i++) quantX[i] = numberIn(quantX[i], 127.0 * 65504.0);
	float top = largestX(), d = 0.0;
	if (abs(top) > 1e-30) d = fromF16(toF16(clamp(fitIQ4(top), -65504.0, 65504.0)));
	putHalf(b, d);
	float inv = inverseOr0(d);
	uint codes[32];
	for (uint i = 0; i < 32; i++) codes[i] = iq4Code(quantX[i] * inv);
	putCodes(codes, b + 2, uint64_t(0));
}

void encodeMXFP4(uint64_t b) {
	for (uint i = 0; i < 32; i++) quantX[i] = numberIn(quantX[i], 3.4028234e38);
	int e = int(floatBitsToUint(abs(largestX())) >> 23 & 255u); // 0 for what is below the least normal number
	e = max(e - 2, 0);
	U8(b).v = uint8_t(e);
	float up = 1.0; // numbers and scale are raised together where the scale would be below the least normal number
	if (e < 2) {
		up = 16.0;
		e += 4;
	}
	float d = uintBitsToFloat(uint(e - 1) << 23);
	uint codes[32];
	for (uint i = 0; i < 32; i++) {
		float a = abs(quantX[i]) * up;
		uint c = uint(a > 0.5 * d) + uint(a > 1.5 * d) + uint(a > 2.5 * d) + uint(a > 3.5 * d) + uint(a > 5.0 * d) + uint(a > 7.0 * d) + uint(a > 10.0 * d);
		codes[i] = c | (quantX[i] < 0.0 && c > 0 ? 8u : 0u);
	}
	for (uint i = 0; i < 16; i++) U8(b + 1 + i).v = uint8_t(codes[i] | codes[i + 16] << 4);
}

// encode writes quantX as a block.
void encode(uint type, uint64_t b) {
	switch (type) {
	case T_Q4_0: encodeSymmetric(b, 8.0, b + 2, uint64_t(0)); break;
	case T_Q4_1: encodeAffine(b, 15.0, b + 4, uint64_t(0)); break;
	case T_Q5_0: encodeSymmetric(b, 16.0, b + 6, b + 2); break;
	case T_Q5_1: encodeAffine(b, 31.0, b + 8, b + 4); break;
	case T_Q8_0: encodeQ8(b, b + 2, false); break;
	case T_Q8_1: encodeQ8(b, b + 4, true); break;
	case T_IQ4_NL: encodeIQ4_NL(b); break;
	case T_MXFP4: encodeMXFP4(b); break;
	}
}
