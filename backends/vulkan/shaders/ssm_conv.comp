#version 450
// SSMConv: an invocation for each channel of each token.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, scalar) uniform Params {
	uint64_t x, w, dst;
	uint n, k;
	uint ne[4], xs[4], ws[2];
};

void main() {
	uint i = linearIndex();
	if (i >= n) return;
	uvec4 c = coords(i, ne); // channel, token, sequence
	uint64_t from = x + uint64_t(c.y) * xs[0] + uint64_t(c.x) * xs[1] + uint64_t(c.z) * xs[2];
	uint64_t filt = w + uint64_t(c.x) * ws[1];
	float s = 0.0;
	for (uint j = 0; j < k; j++) s += F32(from + uint64_t(j) * xs[0]).v * F32(filt + uint64_t(j) * ws[0]).v;
	F32(dst + 4 * uint64_t(i)).v = s;
}
