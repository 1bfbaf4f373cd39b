#version 450
// Unary, Scale, Clamp and Scale+Tanh+Scale: a function of each element.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint FUNC = 0; // of tensor.Func, or 100 for Scale, 101 for Clamp and 102 for Scale+Tanh+Scale
layout(constant_id = 3) const uint TYPE = 0;
layout(constant_id = 4) const bool FLAT = true; // x is packed

layout(push_constant, scalar) uniform Params {
	uint64_t x, dst;
	uint n;
	uint ne[4], xs[4];
	float p0, p1, p2, p3;
};

void main() {
	uint i = linearIndex();
	if (i >= n) return;
	uint64_t from = x + (FLAT ? uint64_t(i) * sizeOf(TYPE) : offset(coords(i, ne), xs));
	float v = loadFloat(TYPE, from), y;
	if (FUNC == 100) y = v * p0 + p1;
	else if (FUNC == 101) y = isNaN(v) ? v : v < p0 ? p0 : v > p1 ? p1 : v;
	else if (FUNC == 102) {
		precise float t = v * p0 + p1;
		y = tanh_(t) * p2 + p3;
	} else y = func(FUNC, v);
	storeFloat(TYPE, dst + uint64_t(i) * sizeOf(TYPE), y);
}
