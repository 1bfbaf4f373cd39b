#version 450
// Matrix-vector products of block formats by integers: b was rounded by quantize_x. A lane has a block of 32 of
// each row.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_integer_dot_product : require
#include "common.glsl"
#include "math.glsl"
#include "dequant.glsl"

layout(constant_id = 15) const bool WIDE = false;
#include "blocks.glsl"
#include "reduce.glsl"
#include "round32.glsl"
#include "mmv.glsl"

float product(Block w, uvec4 x0, uvec4 x1, vec4 s) {
	int lo = 0, hi = 0;
	[[unroll]] for (uint j = 0; j < 4; j++) {
		lo += dotPacked4x8EXT(int(w.q[j]), int(x0[j]));
		hi += dotPacked4x8EXT(int(w.q[j + 4]), int(x1[j]));
	}
	float y = s.x * (oneScale(TA) ? w.d.x * float(lo + hi) : w.d.x * float(lo) + w.d.y * float(hi));
	if (!zeroMin(TA)) y += oneScale(TA) ? w.m.x * (s.y + s.z) : w.m.x * s.y + w.m.y * s.z;
	return y;
}

void multiply() {
	uint width = k / 32;
	for (uint from = gl_SubgroupInvocationID; from < width; from += U * gl_SubgroupSize) {
		Block w[U * ROWS];
		[[unroll]] for (uint u = 0; u < U; u++) {
			uint i = min(from + u * gl_SubgroupSize, width - 1);
			[[unroll]] for (uint r = 0; r < ROWS; r++) w[u * ROWS + r] = blockAt(TA, rows[r], i);
		}
		[[unroll]] for (uint u = 0; u < U; u++) {
			uint i = min(from + u * gl_SubgroupSize, width - 1);
			bool on = from + u * gl_SubgroupSize < width;
			[[unroll]] for (uint c = 0; c < N; c++) {
				uint64_t at = uint64_t(ID ? xrow0 : min(xrow0 + c, n - 1)) * width + i;
				uvec4 x0 = U32x4(x + 32 * at).v, x1 = U32x4(x + 32 * at + 16).v;
				vec4 s = F32x4(xs + 16 * at).v;
				if (!on) s = vec4(0.0);
				[[unroll]] for (uint r = 0; r < ROWS; r++) sums[r * N + c] += product(w[u * ROWS + r], x0, x1, s);
			}
		}
	}
}

void main() {
	for (uint pass = 0; pass < PASSES; pass++) {
		if (begin(pass)) {
			multiply();
			end();
		} else if (TAIL == 0) return;
	}
	if (TAIL != 0 && linearGroup() < groups) tail();
	finish();
}
