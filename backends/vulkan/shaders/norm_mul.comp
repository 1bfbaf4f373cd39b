#version 450
// RMSNorm+Mul and Add+RMSNorm+Mul: a group for each row. Results may lie over the sources that are as large: an invocation reads an
// element before it writes that place, and all of a row is read before y is written.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 2) const uint TW = 0;  // of w
layout(constant_id = 3) const uint ADD = 0; // 0 is no sum, otherwise 1 + the type of b

layout(push_constant, scalar) uniform Params {
	uint64_t x, b, w, sum, dst;
	uint rows;
	uint ne[4], xs[4], bs[4], ws[4]; // strides are 0 where something is repeated
	float eps;
};

uint64_t rowAt(uint64_t at, uvec3 c, uint st[4]) { return at + uint64_t(c.x) * st[1] + uint64_t(c.y) * st[2] + uint64_t(c.z) * st[3]; }

void main() {
	uint r = linearGroup(), n = ne[0];
	if (r >= rows) return;
	uvec3 c = uvec3(r % ne[1], r / ne[1] % ne[2], r / ne[1] / ne[2]);
	uint64_t px = rowAt(x, c, xs), pb = rowAt(b, c, bs), pw = rowAt(w, c, ws), ps = sum + 4 * uint64_t(r) * n, to = dst + 4 * uint64_t(r) * n;
	uint lid = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
	float squares = 0.0;
	for (uint i = lid; i < n; i += step) {
		float v = F32(px + uint64_t(i) * xs[0]).v;
		if (ADD != 0) {
			v += loadFloat(ADD - 1, pb + uint64_t(i) * bs[0]);
			F32(ps + 4 * uint64_t(i)).v = v;
		}
		squares += v * v;
	}
	float factor = 1.0 / sqrt(reduceSum(squares) / float(n) + eps);
	for (uint i = lid; i < n; i += step) {
		float v = ADD != 0 ? F32(ps + 4 * uint64_t(i)).v : F32(px + uint64_t(i) * xs[0]).v;
		precise float y = v * factor;
		F32(to + 4 * uint64_t(i)).v = y * loadFloat(TW, pw + uint64_t(i) * ws[0]);
	}
}
