#version 450
// Matrix-vector products of block formats by integers: b was rounded by quantize_x. A lane has a block of 32 of
// each row.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_integer_dot_product : require
#include "common.glsl"
#include "math.glsl"
#include "dequant.glsl"
#include "blocks.glsl"
#include "mmv.glsl"

void main() {
	if (!begin()) return;
	uint width = k / 32;
	for (uint i = gl_SubgroupInvocationID; i < width; i += gl_SubgroupSize) {
		Block w[ROWS];
		[[unroll]] for (uint r = 0; r < ROWS; r++) w[r] = blockAt(TA, rows[r], i);
		[[unroll]] for (uint c = 0; c < N; c++) {
			uint64_t at = uint64_t(min(xrow0 + c, n - 1)) * width + i;
			if (ID) at = uint64_t(xrow0) * width + i;
			uvec4 x0 = U32x4(x + 32 * at).v, x1 = U32x4(x + 32 * at + 16).v;
			vec4 s = F32x4(xs + 16 * at).v;
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				int lo = 0, hi = 0;
				[[unroll]] for (uint j = 0; j < 4; j++) {
					lo += dotPacked4x8EXT(int(w[r].q[j]), int(x0[j]));
					hi += dotPacked4x8EXT(int(w[r].q[j + 4]), int(x1[j]));
				}
				float t = oneScale(TA) ? w[r].d.x * float(lo + hi) : w[r].d.x * float(lo) + w[r].d.y * float(hi);
				float y = s.x * t;
				if (!zeroMin(TA)) y += oneScale(TA) ? w[r].m.x * (s.y + s.z) : w[r].m.x * s.y + w[r].m.y * s.z;
				sums[r * N + c] += y;
			}
		}
	}
	end();
}
