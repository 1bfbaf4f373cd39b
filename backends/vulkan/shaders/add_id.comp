#version 450
// AddID: an invocation for each element.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, scalar) uniform Params {
	uint64_t a, b, ids, dst, faults;
	uint node, pad;
	uint n, used, tok, experts;
	uint as[4], bs[2], is[2];
};

void main() {
	uint g = linearIndex(), i = g % n, r = g / n, j = r % used, t = r / used;
	if (t >= tok) return;
	int id = I32(ids + uint64_t(j) * is[0] + uint64_t(t) * is[1]).v;
	if (id < 0 || id >= int(experts)) {
		if (i == 0) fault(faults, node, wide(id), experts);
		return;
	}
	float x = F32(a + uint64_t(i) * as[0] + uint64_t(j) * as[1] + uint64_t(t) * as[2]).v;
	F32(dst + 4 * uint64_t(g)).v = x + F32(b + uint64_t(i) * bs[0] + uint64_t(id) * bs[1]).v;
}
