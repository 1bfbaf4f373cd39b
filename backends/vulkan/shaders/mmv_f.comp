#version 450
// Matrix-vector products in F32, for floats and wherever b may not be rounded. A lane has eight of each row.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "dequant.glsl"
#include "mmv.glsl"

// eight returns elements i to i+7, for i a multiple of 8.
void eight(uint64_t row, uint i, out vec4 lo, out vec4 hi) {
	if (isQuantized(TA)) {
		uint e = elemsOf(TA);
		uint64_t b = row + uint64_t(i / e) * sizeOf(TA);
		lo = dequant4(TA, b, i % e);
		hi = dequant4(TA, b, i % e + 4);
	} else if (TA == T_F32) {
		lo = F32x4(row + 4 * uint64_t(i)).v;
		hi = F32x4(row + 4 * uint64_t(i) + 16).v;
	} else {
		uvec4 w = U32x4(row + 2 * uint64_t(i)).v;
		if (TA == T_F16) {
			lo = vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
			hi = vec4(unpackHalf2x16(w.z), unpackHalf2x16(w.w));
		} else {
			lo = uintBitsToFloat(uvec4(w.x << 16, w.x & 0xffff0000u, w.y << 16, w.y & 0xffff0000u));
			hi = uintBitsToFloat(uvec4(w.z << 16, w.z & 0xffff0000u, w.w << 16, w.w & 0xffff0000u));
		}
	}
}

void main() {
	if (!begin()) return;
	for (uint i = 8 * gl_SubgroupInvocationID; i < k; i += 8 * gl_SubgroupSize) {
		vec4 lo[ROWS], hi[ROWS];
		[[unroll]] for (uint r = 0; r < ROWS; r++) eight(rows[r], i, lo[r], hi[r]);
		[[unroll]] for (uint c = 0; c < N; c++) {
			uint64_t at = x + uint64_t(ID ? xrow0 : min(xrow0 + c, n - 1)) * bstride + 4 * uint64_t(i);
			vec4 x0 = F32x4(at).v, x1 = F32x4(at + 16).v;
			[[unroll]] for (uint r = 0; r < ROWS; r++) sums[r * N + c] += dot(lo[r], x0) + dot(hi[r], x1);
		}
	}
	end();
}
