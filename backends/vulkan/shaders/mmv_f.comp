#version 450
// Matrix-vector products in F32, for floats and wherever b may not be rounded. A lane has eight of each row.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "dequant.glsl"
#include "eight.glsl"
#include "round32.glsl"
#include "mmv.glsl"

void main() {
	if (!begin(0)) return;
	for (uint i = 8 * gl_SubgroupInvocationID; i < k; i += 8 * gl_SubgroupSize) {
		vec4 lo[ROWS], hi[ROWS];
		[[unroll]] for (uint r = 0; r < ROWS; r++) eight(TA, rows[r], i, lo[r], hi[r]);
		[[unroll]] for (uint c = 0; c < N; c++) {
			uint64_t at = x + uint64_t(ID ? xrow0 : min(xrow0 + c, n - 1)) * bstride + 4 * uint64_t(i);
			vec4 x0 = F32x4(at).v, x1 = F32x4(at + 16).v;
			[[unroll]] for (uint r = 0; r < ROWS; r++) sums[r * N + c] += dot(lo[r], x0) + dot(hi[r], x1);
		}
	}
	end();
}
