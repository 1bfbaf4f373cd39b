#version 450
// Sorts the rows of a MatMulID by expert, in one group: slots gets the rows, one expert's after another's, and tiles gets
// for each tile of the product its expert, where its rows begin and how many there are. Tiles that are left over have none.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 2) const uint EXPERTS = 1;
layout(constant_id = 3) const uint BN = 64; // rows of a tile

layout(push_constant, scalar) uniform Params {
	uint64_t ids, slots, tiles, faults;
	uint node, pad;
	uint used, rows, most, is0, is1;
};

shared uint count[EXPERTS], first[EXPERTS], tile[EXPERTS];
shared uint all;

void main() {
	uint lid = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
	for (uint e = lid; e < EXPERTS; e += step) count[e] = 0;
	barrier();
	for (uint r = lid; r < rows; r += step) {
		int id = I32(ids + uint64_t(r % used) * is0 + uint64_t(r / used) * is1).v;
		if (id < 0 || id >= int(EXPERTS)) fault(faults, node, wide(id), EXPERTS);
		else atomicAdd(count[id], 1u);
	}
	barrier();
	if (lid == 0) {
		uint at = 0, t = 0;
		for (uint e = 0; e < EXPERTS; e++) {
			first[e] = at;
			tile[e] = t;
			at += count[e];
			t += (count[e] + BN - 1) / BN;
		}
		all = t;
	}
	barrier();
	for (uint e = lid; e < EXPERTS; e += step) {
		for (uint i = 0; i < count[e]; i += BN) {
			uint64_t to = tiles + 12 * uint64_t(tile[e] + i / BN);
			U32(to).v = e;
			U32(to + 4).v = first[e] + i;
			U32(to + 8).v = min(BN, count[e] - i);
		}
	}
	for (uint t = all + lid; t < most; t += step) U32(tiles + 12 * uint64_t(t) + 8).v = 0;
	barrier();
	for (uint r = lid; r < rows; r += step) {
		int id = I32(ids + uint64_t(r % used) * is0 + uint64_t(r / used) * is1).v;
		if (id >= 0 && id < int(EXPERTS)) U32(slots + 4 * uint64_t(atomicAdd(first[id], 1u))).v = r;
	}
}
