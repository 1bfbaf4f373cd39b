#pragma once
// Sums and greatest values over a block: waves first, then shared memory.
static __shared__ float reduceParts[128];

FN float reduceSum(float v) {
	v = waveSum(v);
	if (WAVES == 1) return v;
	__syncthreads();
	if (LANE == 0) reduceParts[WAVE_ID] = v;
	__syncthreads();
	float s = 0.0f;
	for (u32 i = 0; i < WAVES; i++) s += reduceParts[i];
	return s;
}

// reduceMax takes numbers: NaN must not come here.
FN float reduceMax(float v) {
	v = waveMax(v);
	if (WAVES == 1) return v;
	__syncthreads();
	if (LANE == 0) reduceParts[WAVE_ID] = v;
	__syncthreads();
	float s = reduceParts[0];
	for (u32 i = 1; i < WAVES; i++) s = max_(s, reduceParts[i]);
	return s;
}
