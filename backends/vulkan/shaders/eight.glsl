// eight returns elements i to i+7 of a packed row, for i a multiple of 8. Rows of floats begin at multiples of 16.
void eight(uint type, uint64_t row, uint i, out vec4 lo, out vec4 hi) {
	if (isQuantized(type)) {
		uint e = elemsOf(type);
		uint64_t b = row + uint64_t(i / e) * sizeOf(type);
		lo = dequant4(type, b, i % e);
		hi = dequant4(type, b, i % e + 4);
	} else if (type == T_F32) {
		lo = F32x4(row + 4 * uint64_t(i)).v;
		hi = F32x4(row + 4 * uint64_t(i) + 16).v;
	} else {
		uvec4 w = U32x4(row + 2 * uint64_t(i)).v;
		if (type == T_F16) {
			lo = vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
			hi = vec4(unpackHalf2x16(w.z), unpackHalf2x16(w.w));
		} else {
			lo = uintBitsToFloat(uvec4(w.x << 16, w.x & 0xffff0000u, w.y << 16, w.y & 0xffff0000u));
			hi = uintBitsToFloat(uvec4(w.z << 16, w.z & 0xffff0000u, w.w << 16, w.w & 0xffff0000u));
		}
	}
}
