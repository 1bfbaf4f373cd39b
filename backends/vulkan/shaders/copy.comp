#version 450
// Copy, Concat and Repeat: an invocation for each element, or for each block of a block format. Equal types are moved as bytes.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "dequant.glsl"
#include "quantize.glsl"

layout(constant_id = 2) const uint FROM = 0;
layout(constant_id = 3) const uint TO = 0;
layout(constant_id = 4) const bool REPEAT = false; // x is repeated

layout(push_constant, scalar) uniform Params {
	uint64_t x, dst;
	uint n;                // invocations
	uint ne[4];            // what they count: elements, or blocks where either type has them, and rows
	uint xn[4], xs[4], ds[4];
};

bool isInteger(uint type) { return type >= T_I8 && type <= T_I64; }

// negative looks at the sign: a driver in wide use compares signed numbers of 64 bits wrongly.
bool negative(int64_t v) { return (uint64_t(v) >> 63) != 0; }

int64_t loadInteger(uint type, uint64_t at) {
	if (type == T_I8) return wide(int(I8(at).v));
	if (type == T_I16) return wide(int(int16_t(U16(at).v)));
	if (type == T_I32) return wide(I32(at).v);
	return int64_t(U64(at).v);
}

void storeInteger(uint type, uint64_t at, int64_t v) {
	if (type == T_I64) {
		U64(at).v = uint64_t(v);
		return;
	}
	uint bits = 8 * sizeOf(type);
	uint64_t most = (uint64_t(1) << (bits - 1)) - 1;
	bool neg = negative(v);
	uint64_t beyond = neg ? ~uint64_t(v) : uint64_t(v);
	if (beyond > most) v = int64_t(neg ? ~most : most);
	if (type == T_I8) U8(at).v = uint8_t(uint(v & 255));
	else if (type == T_I16) U16(at).v = uint16_t(uint(v & 65535));
	else U32(at).v = uint(v);
}

// nearest rounds to an integer that fits 64 bits, halves to even; NaN is 0. Beyond 2^24 every float32 is an integer.
int64_t nearest(float f) {
	if (isNaN(f)) return int64_t(0);
	if (f >= 9.2233720368547758e18) return int64_t(0x7fffffffffffffffL);
	if (f <= -9.2233720368547758e18) return -int64_t(0x7fffffffffffffffL) - 1;
	uint u = floatBitsToUint(f), e = u >> 23 & 255u;
	uint64_t m = uint64_t(u & 0x7fffffu | 0x800000u), v;
	if (e >= 150) v = m << (e - 150);
	else if (e < 126) v = 0; // below a half
	else {
		uint shift = 150 - e;
		uint64_t rest = m & ((uint64_t(1) << shift) - 1), mid = uint64_t(1) << (shift - 1);
		v = m >> shift;
		if (rest > mid || rest == mid && (v & 1) != 0) v++;
	}
	return (u >> 31) != 0 ? -int64_t(v) : int64_t(v);
}

// toFloat rounds an integer to the nearest float32, halves to even, by its bits.
float toFloat(int64_t v) {
	bool neg = negative(v);
	uint64_t a = neg ? uint64_t(-v) : uint64_t(v);
	uint shift = 0;
	while ((a >> shift) >= 16777216) shift++;
	uint64_t q = a >> shift;
	if (shift > 0) {
		uint64_t rest = a & ((uint64_t(1) << shift) - 1), mid = uint64_t(1) << (shift - 1);
		if (rest > mid || rest == mid && (q & 1) != 0) q++;
	}
	float f = float(uint(q)) * uintBitsToFloat((shift + 127) << 23);
	return neg ? -f : f;
}

// toF64 widens: every float32 is a float64.
uint64_t toF64(float x) {
	uint u = floatBitsToUint(x), e = u >> 23 & 255u, m = u & 0x7fffffu;
	uint64_t s = uint64_t(u >> 31) << 63;
	if (e == 255) return s | uint64_t(0x7ff) << 52 | uint64_t(m) << 29;
	if (e == 0) {
		if (m == 0) return s;
		uint top = uint(findMSB(m));
		return s | uint64_t(top + 874) << 52 | (uint64_t(m) << (52 - top) & 0xfffffffffffffUL);
	}
	return s | uint64_t(e + 896) << 52 | uint64_t(m) << 29;
}

// narrow rounds a float64 once, to nearest, to a type with so many bits of mantissa and such a bias.
uint narrow(uint64_t u, uint bits, int bias) {
	uint s = uint(u >> 63) << (bits == 23 ? 31 : 15), end = uint(2 * bias + 1) << bits;
	int e = int(uint(u >> 52) & 0x7ffu);
	uint64_t m = u & 0xfffffffffffffUL;
	if (e == 0x7ff) return s | end | (m != 0 ? 1u << (bits - 1) : 0u);
	if (e == 0) return s;
	e += bias - 1023;
	int shift = 52 - int(bits) + (e <= 0 ? 1 - e : 0);
	if (shift > 54) return s;
	m |= uint64_t(1) << 52;
	uint64_t rest = m & ((uint64_t(1) << shift) - 1), mid = uint64_t(1) << (shift - 1);
	uint q = uint(m >> shift);
	if (rest > mid || rest == mid && (q & 1u) != 0) q++;
	if (e > 0) {
		if (e >= 2 * bias + 1) return s | end;
		q += uint(e - 1) << bits;
	}
	return s | min(q, end);
}

void main() {
	uint g = linearIndex();
	if (g >= n) return;
	uvec4 c = coords(g, ne), s = c;
	if (REPEAT) s = uvec4(c.x % xn[0], c.y % xn[1], c.z % xn[2], c.w % xn[3]);
	if (FROM == TO) { // bytes
		uint64_t from = x + offset(s, xs), to = dst + offset(c, ds);
		uint size = sizeOf(FROM);
		if (size == 8) U64(to).v = U64(from).v;
		else if (size == 4) U32(to).v = U32(from).v;
		else if (size == 2) U16(to).v = U16(from).v;
		else if ((size & 1u) == 0) for (uint i = 0; i < size; i += 2) U16(to + i).v = U16(from + i).v;
		else for (uint i = 0; i < size; i++) U8(to + i).v = U8(from + i).v;
		return;
	}
	uint64_t from = x + uint64_t(s.y) * xs[1] + uint64_t(s.z) * xs[2] + uint64_t(s.w) * xs[3];
	uint64_t to = dst + uint64_t(c.y) * ds[1] + uint64_t(c.z) * ds[2] + uint64_t(c.w) * ds[3];
	if (isQuantized(TO)) {
		uint len = 32 * (c.x + 1);
		for (uint e = 0; e < 32; e += 4) {
			vec4 v = row4(FROM, from, xs[0], 32 * c.x + e, len);
			for (uint k = 0; k < 4; k++) quantX[e + k] = v[k];
		}
		encode(TO, to + uint64_t(c.x) * ds[0]);
	} else if (isQuantized(FROM)) { // four elements
		vec4 v = row4(FROM, from, xs[0], 4 * c.x, 4 * c.x + 4);
		for (uint k = 0; k < 4; k++) storeFloat(TO, to + uint64_t(4 * c.x + k) * ds[0], v[k]);
	} else if (isInteger(FROM)) {
		int64_t v = loadInteger(FROM, from + uint64_t(s.x) * xs[0]);
		if (isInteger(TO)) storeInteger(TO, to + uint64_t(c.x) * ds[0], v);
		else F32(to + uint64_t(c.x) * ds[0]).v = toFloat(v);
	} else if (FROM == T_F64) {
		uint64_t u = U64(from + uint64_t(s.x) * xs[0]).v;
		uint64_t at = to + uint64_t(c.x) * ds[0];
		if (TO == T_F32) U32(at).v = narrow(u, 23, 127);
		else U16(at).v = uint16_t(TO == T_F16 ? narrow(u, 10, 15) : narrow(u, 7, 127));
	} else if (TO == T_F64) {
		U64(to + uint64_t(c.x) * ds[0]).v = toF64(loadFloat(FROM, from + uint64_t(s.x) * xs[0]));
	} else {
		float v = loadFloat(FROM, from + uint64_t(s.x) * xs[0]);
		if (isInteger(TO)) storeInteger(TO, to + uint64_t(c.x) * ds[0], nearest(v));
		else storeFloat(TO, to + uint64_t(c.x) * ds[0], v);
	}
}
