#version 450
// Rounds rows of F32 to blocks of 32 signed bytes: eight invocations for each block. Behind the bytes of all rows
// lie, for each block, its scale and the sums of either half.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "round32.glsl"

layout(push_constant, scalar) uniform Params {
	uint64_t x, q, s;
	uint blocks, width; // of all rows, and of one
	uint ne1, ne2, st1, st2, st3;
};

void main() {
	uint i = linearIndex(), block = i / 8, lane = i % 8;
	bool on = block < blocks;
	vec4 v = vec4(0.0);
	if (on) {
		uint r = block / width, c = block % width;
		uint64_t row = x + uint64_t(r % ne1) * st1 + uint64_t(r / ne1 % ne2) * st2 + uint64_t(r / ne1 / ne2) * st3;
		v = F32x4(row + uint64_t(c * 128 + lane * 16)).v;
	}
	round32(v, q, s, i, on);
}
