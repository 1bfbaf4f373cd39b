#version 450
// Rounds rows of F32 to blocks of 32 signed bytes: eight invocations for each block. Behind the bytes of all rows
// lie, for each block, its scale and the sums of either half.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"

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
	uvec4 bits = floatBitsToUint(v) & 0x7fffffffu; // so that a NaN is the greatest
	uint top = max(max(bits.x, bits.y), max(bits.z, bits.w));
	[[unroll]] for (uint j = 1; j < 8; j *= 2) top = max(top, subgroupShuffleXor(top, j));
	float d = uintBitsToFloat(top) / 127.0;
	float inv = top < 0x01800000u || top >= 0x7f800000u ? 0.0 : 127.0 / uintBitsToFloat(top);
	ivec4 n = ivec4(round(v * inv));
	int sum = n.x + n.y + n.z + n.w;
	sum += subgroupShuffleXor(sum, 1);
	sum += subgroupShuffleXor(sum, 2);
	int other = subgroupShuffleXor(sum, 4);
	if (!on) return;
	uvec4 b = uvec4(n) & 255u;
	U32(q + uint64_t(block) * 32 + lane * 4).v = b.x | b.y << 8 | b.z << 16 | b.w << 24;
	if (lane == 0) F32x4(s + uint64_t(block) * 16).v = vec4(d, d * float(sum), d * float(other), 0.0);
}
