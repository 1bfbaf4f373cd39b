#version 450
// SetRows: an invocation for each element, or for each block of a block format.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "dequant.glsl"
#include "quantize.glsl"

layout(constant_id = 2) const uint TYPE = 0; // of the cache
layout(constant_id = 3) const uint TI = 27;
layout(constant_id = 4) const bool LAST = false; // there are several rows, and set_rows_last has looked at them

layout(push_constant, scalar) uniform Params {
	uint64_t cache, x, idx, last, faults;
	uint node, pad;
	uint width, rows, k, p2, p3; // width: invocations for a row
	uint in2, in3;               // planes of idx
	uint cs[4], xs[4], is[3];
};

void main() {
	uint g = linearIndex(), c = g % width, r = g / width, j = r % k, p = r / k % p2, q = r / k / p2;
	if (q >= p3) return;
	int64_t id = loadIndex(TI, idx + uint64_t(j) * is[0] + uint64_t(p % in2) * is[1] + uint64_t(q % in3) * is[2]);
	if (uint64_t(id) >= uint64_t(rows)) {
		if (c == 0) fault(faults, node, id, rows);
		return;
	}
	if (LAST && U32(last + 4 * uint64_t(j + k * (p % in2 + in2 * (q % in3)))).v == 0) return;
	uint64_t from = x + uint64_t(j) * xs[1] + uint64_t(p) * xs[2] + uint64_t(q) * xs[3];
	uint64_t to = cache + uint64_t(c) * cs[0] + uint64_t(id) * cs[1] + uint64_t(p) * cs[2] + uint64_t(q) * cs[3];
	if (!isQuantized(TYPE)) {
		if (TYPE == T_F32) U32(to).v = U32(from + uint64_t(c) * xs[0]).v;
		else storeFloat(TYPE, to, F32(from + uint64_t(c) * xs[0]).v);
		return;
	}
	for (uint e = 0; e < 32; e++) quantX[e] = F32(from + uint64_t(32 * c + e) * xs[0]).v;
	encode(TYPE, to);
}
