#version 450
// SetRows into formats of 256 numbers: an invocation for each block.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 2) const uint TO = 12;

#include "dequant.glsl"
#include "quantize.glsl"
#include "quantize_k.glsl"

layout(push_constant, scalar) uniform Params {
	uint64_t cache, x, idx, last, faults;
	uint node, pad;
	uint width, rows, k, p2, p3;
	uint in2, in3;
	uint cs[4], xs[4], is[3];
	uint ti; // no constant, as is whether there is last: this takes long to compile
};

void main() {
	uint g = linearIndex(), c = g % width, r = g / width, j = r % k, p = r / k % p2, q = r / k / p2;
	if (q >= p3) return;
	int64_t id = loadIndex(ti, idx + uint64_t(j) * is[0] + uint64_t(p % in2) * is[1] + uint64_t(q % in3) * is[2]);
	if (uint64_t(id) >= uint64_t(rows)) {
		if (c == 0) fault(faults, node, id, rows);
		return;
	}
	if (last != 0 && U32(last + 4 * uint64_t(j + k * (p % in2 + in2 * (q % in3)))).v == 0) return;
	uint64_t from = x + uint64_t(j) * xs[1] + uint64_t(p) * xs[2] + uint64_t(q) * xs[3];
	for (uint e = 0; e < 256; e++) kx[e] = F32(from + uint64_t(256 * c + e) * xs[0]).v;
	encodeK(cache + uint64_t(c) * cs[0] + uint64_t(id) * cs[1] + uint64_t(p) * cs[2] + uint64_t(q) * cs[3]);
}
