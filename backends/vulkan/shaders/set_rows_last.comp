#version 450
// Of rows that go to one place the last stays: an invocation for each index says whether its row is to be written.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 2) const uint TI = 27;

layout(push_constant, scalar) uniform Params {
	uint64_t idx, last;
	uint k, in2, in3;
	uint is[3];
};

void main() {
	uint g = linearIndex(), j = g % k, p = g / k % in2, q = g / k / in2;
	if (q >= in3) return;
	uint64_t plane = idx + uint64_t(p) * is[1] + uint64_t(q) * is[2];
	int64_t own = loadIndex(TI, plane + uint64_t(j) * is[0]);
	uint last_ = 1;
	for (uint i = j + 1; i < k; i++) {
		if (loadIndex(TI, plane + uint64_t(i) * is[0]) == own) last_ = 0;
	}
	U32(last + 4 * uint64_t(g)).v = last_;
}
