#version 450
// GetRows: an invocation for four elements of a row, or for one of integers.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "dequant.glsl"

layout(constant_id = 2) const uint TYPE = 0;
layout(constant_id = 3) const uint TI = 26;
layout(constant_id = 4) const uint SIZE = 0; // of an integer's bytes, or 0

layout(push_constant, scalar) uniform Params {
	uint64_t x, idx, dst, faults;
	uint node, pad;
	uint n, rows, k, p2, p3, width; // width: invocations for a row
	uint xs[4], is[3];
};

void main() {
	uint g = linearIndex(), c = g % width, r = g / width, j = r % k, p = r / k % p2, q = r / k / p2;
	if (q >= p3) return;
	int64_t id = loadIndex(TI, idx + uint64_t(j) * is[0] + uint64_t(p) * is[1] + uint64_t(q) * is[2]);
	if (uint64_t(id) >= uint64_t(rows)) {
		if (c == 0) fault(faults, node, id, rows);
		return;
	}
	uint64_t row = x + uint64_t(id) * xs[1] + uint64_t(p) * xs[2] + uint64_t(q) * xs[3], to = dst + uint64_t(r) * n * (SIZE == 0 ? 4 : SIZE);
	if (SIZE == 1) U8(to + c).v = U8(row + uint64_t(c) * xs[0]).v;
	else if (SIZE == 2) U16(to + 2 * uint64_t(c)).v = U16(row + uint64_t(c) * xs[0]).v;
	else if (SIZE == 4 || SIZE == 0 && TYPE == T_F32) U32(to + 4 * uint64_t(c)).v = U32(row + uint64_t(c) * xs[0]).v;
	else if (SIZE == 8) U64(to + 8 * uint64_t(c)).v = U64(row + uint64_t(c) * xs[0]).v;
	else if (!isQuantized(TYPE)) F32(to + 4 * uint64_t(c)).v = loadFloat(TYPE, row + uint64_t(c) * xs[0]);
	else {
		vec4 v = row4(TYPE, row, xs[0], 4 * c, n);
		for (uint e = 0; e < 4; e++) F32(to + 4 * uint64_t(4 * c + e)).v = v[e];
	}
}
