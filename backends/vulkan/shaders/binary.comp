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
	if (OP == 0) z = x + y;
	else if (OP == 1) z = x - y;
	else if (OP == 2) z = x * y;
	else z = divide(x, y);
	storeFloat(TA, dst + uint64_t(i) * sizeOf(TA), z);
}
