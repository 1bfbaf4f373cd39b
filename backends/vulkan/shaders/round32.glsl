// Rounds F32 to blocks of 32 signed bytes, for mmv_q: behind the bytes of all blocks lie, for each, its scale and the
// sums of either half.
#extension GL_KHR_shader_subgroup_shuffle : require

// round32 stores four values of a block: eight invocations in a row, the first a multiple of eight in its subgroup, have one.
// i is their number in all. q is where bytes are, s where scales are.
void round32(vec4 v, uint64_t q, uint64_t s, uint i, bool on) {
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
	U32(q + 4 * uint64_t(i)).v = b.x | b.y << 8 | b.z << 16 | b.w << 24;
	if (i % 8 == 0) F32x4(s + 16 * uint64_t(i / 8)).v = vec4(d, d * float(sum), d * float(other), 0.0);
}
