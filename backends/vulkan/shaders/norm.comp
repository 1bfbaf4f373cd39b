#version 450
// RMSNorm, LayerNorm, L2Norm and SumRows: a group for each row. The result may lie over x.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 2) const uint OP = 0; // 0 RMSNorm, 1 LayerNorm, 2 L2Norm, 3 SumRows

layout(push_constant, scalar) uniform Params {
	uint64_t x, dst;
	uint rows;
	uint ne[4], xs[4];
	float eps;
};

void main() {
	uint r = linearGroup(), n = ne[0];
	if (r >= rows) return;
	uint64_t row = x + uint64_t(r % ne[1]) * xs[1] + uint64_t(r / ne[1] % ne[2]) * xs[2] + uint64_t(r / ne[1] / ne[2]) * xs[3];
	uint lid = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
	float sum = 0.0, squares = 0.0;
	for (uint i = lid; i < n; i += step) {
		float v = F32(row + uint64_t(i) * xs[0]).v;
		sum += v;
		squares += v * v;
	}
	float mean = 0.0, factor;
	if (OP == 3) {
		sum = reduceSum(sum);
		if (lid == 0) F32(dst + 4 * uint64_t(r)).v = sum;
		return;
	}
	if (OP == 1) {
		mean = reduceSum(sum) / float(n);
		float d2 = 0.0;
		for (uint i = lid; i < n; i += step) {
			float d = F32(row + uint64_t(i) * xs[0]).v - mean;
			d2 += d * d;
		}
		factor = 1.0 / sqrt(reduceSum(d2) / float(n) + eps);
	} else {
		squares = reduceSum(squares);
		if (OP == 0) factor = 1.0 / sqrt(squares / float(n) + eps);
		else {
			float len = sqrt(squares);
			factor = isNaN(squares) ? squares : 1.0 / (len < eps ? eps : len);
		}
	}
	for (uint i = lid; i < n; i += step) {
		F32(dst + 4 * (uint64_t(r) * n + i)).v = (F32(row + uint64_t(i) * xs[0]).v - mean) * factor;
	}
}
