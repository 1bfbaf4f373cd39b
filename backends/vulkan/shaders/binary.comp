#version 450
// Add, Sub, Mul and Div, with b repeated.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 2) const uint OP = 0; // 0 Add, 1 Sub, 2 Mul, 3 Div
layout(constant_id = 3) const uint TA = 0;
layout(constant_id = 4) const uint TB = 0;
layout(constant_id = 5) const bool FLAT = true; // a and b are packed and of one shape

layout(push_constant, scalar) uniform Params {
	uint64_t a, b, dst;
	uint n;
	uint ne[4], as[4], bne[4], bs[4];
};

float divide(float x, float y) {
	if (abs(y) > 2.1267647932558654e37 && !isinf(y)) { // beyond 2^124 an inverse is lost
		x *= 0.0625;
		y *= 0.0625;
	}
	return x / y;
}

// lift returns x * 2^64 without an operation on a number that is too small for some drivers.
float lift(float x) {
	uint u = floatBitsToUint(x), a = u & 0x7fffffffu;
	float y = a < 0x00800000u ? float(a) * 2.5849394142282115e-26 : uintBitsToFloat(a + (64u << 23)); // 2^(64-149)
	return uintBitsToFloat(floatBitsToUint(y) | u & 0x80000000u);
}

// lower returns x * 2^-64, which is a multiple of the smallest number.
float lower(float x) {
	uint u = floatBitsToUint(x), a = u & 0x7fffffffu;
	uint y = a < (65u << 23) ? uint(uintBitsToFloat(a) * 3.8685626227668134e25) : a - (64u << 23);
	return uintBitsToFloat(y | u & 0x80000000u);
}

bool tiny(float x, uint most) { return (floatBitsToUint(x) & 0x7fffffffu) < most; }

float sum(float x, float y) {
	const uint most = 40u << 23;
	if (tiny(x, most) && tiny(y, most)) return lower(lift(x) + lift(y));
	return x + y;
}

float multiply(float x, float y) {
	if (isinf(y) && tiny(x, 1u << 23)) return lift(x) * y;
	if (isinf(x) && tiny(y, 1u << 23)) return x * lift(y);
	return x * y;
}

void main() {
	uint i = linearIndex();
	if (i >= n) return;
	uint64_t pa = a, pb = b;
	if (FLAT) {
		pa += uint64_t(i) * sizeOf(TA);
		pb += uint64_t(i) * sizeOf(TB);
	} else {
		uvec4 c = coords(i, ne);
		pa += offset(c, as);
		pb += offset(uvec4(c.x % bne[0], c.y % bne[1], c.z % bne[2], c.w % bne[3]), bs);
	}
	float x = loadFloat(TA, pa), y = loadFloat(TB, pb), z;
	if (OP == 0) z = sum(x, y);
	else if (OP == 1) z = sum(x, -y);
	else if (OP == 2) z = multiply(x, y);
	else z = divide(x, y);
	storeFloat(TA, dst + uint64_t(i) * sizeOf(TA), z);
}
