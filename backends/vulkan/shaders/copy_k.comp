#version 450
// Copy into formats of 256 numbers: an invocation for each block.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 2) const uint FROM = 0;
layout(constant_id = 3) const uint TO = 12;

#include "dequant.glsl"
#include "quantize.glsl"
#include "quantize_k.glsl"

layout(push_constant, scalar) uniform Params {
	uint64_t x, dst;
	uint n;
	uint ne[4];
	uint xn[4], xs[4], ds[4];
};

void main() {
	uint g = linearIndex();
	if (g >= n) return;
	uvec4 c = coords(g, ne);
	uint64_t from = x + uint64_t(c.y) * xs[1] + uint64_t(c.z) * xs[2] + uint64_t(c.w) * xs[3];
	for (uint e = 0; e < 256; e += 4) {
		vec4 v = row4(FROM, from, xs[0], 256 * c.x + e, 256 * (c.x + 1));
		for (uint k = 0; k < 4; k++) kx[e + k] = v[k];
	}
	encodeK(dst + offset(c, ds));
}
