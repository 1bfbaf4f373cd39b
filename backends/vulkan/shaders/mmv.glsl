// What matrix-vector kernels share: a subgroup has R rows of a, or R rows of a and of a2 each, for N rows of b.

layout(constant_id = 2) const uint TA = 0;
layout(constant_id = 3) const uint N = 1;
layout(constant_id = 4) const uint R = 1;
layout(constant_id = 5) const uint GATE = 0; // 0, or 1 + the function: the result is GLU of a*b and a2*b
layout(constant_id = 6) const bool OAI = false;
layout(constant_id = 7) const bool ADD = false;
layout(constant_id = 9) const float alpha = 0.0; // of OAI
layout(constant_id = 10) const float limit = 0.0;
layout(constant_id = 8) const bool ID = false; // a is chosen by ids, for one row of b
layout(constant_id = 11) const uint PASSES = 1; // over rows, in a group
layout(constant_id = 12) const bool ROUND = false; // store the result of 32 rows as round32 does, too
layout(constant_id = 13) const uint U = 1; // blocks of a row that a lane loads at a time

layout(push_constant, scalar) uniform Params {
	uint64_t a, a2, x, xs, add, ids, faults; // with ROUND, ids and faults are where bytes and scales go
	uint node, pad;
	uint64_t dst;
	uint m, n, k;
	uint stride, bstride; // of rows of a and b
	uint groups, addStep;
	uint experts, estride, used, bused, is0, is1;
};

const uint ROWS = GATE != 0 ? 2 * R : R;

float sums[ROWS * N];
uint64_t rows[ROWS];
uint row0, col0, xrow0;

// begin finds the rows, and returns false if there is nothing to do.
bool begin(uint pass) {
	uint g = linearGroup();
	row0 = ((g % groups * PASSES + pass) * gl_NumSubgroups + gl_SubgroupID) * R;
	col0 = g / groups * N;
	xrow0 = col0;
	if (row0 >= m || col0 >= n) return false;
	uint64_t plane = 0;
	if (ID) {
		uint j = col0 % used, t = col0 / used;
		int id = I32(ids + uint64_t(j) * is0 + uint64_t(t) * is1).v;
		if (id < 0 || id >= int(experts)) {
			if (gl_SubgroupInvocationID == 0) fault(faults, node, wide(id), experts);
			return false;
		}
		plane = uint64_t(id) * estride;
		xrow0 = t * bused + j % bused;
	}
	[[unroll]] for (uint r = 0; r < R; r++) {
		uint64_t to = plane + uint64_t(min(row0 + r, m - 1)) * stride;
		rows[r] = a + to;
		if (GATE != 0) rows[R + r] = a2 + to;
	}
	[[unroll]] for (uint i = 0; i < ROWS * N; i++) sums[i] = 0.0;
	return true;
}

shared float results[ROUND ? 32 : 1];

float gated(float g, float u) {
	if (!OAI) return func(GATE - 1, g) * u;
	float nan = isNaN(g) ? g : u;
	if (g > limit) g = limit;
	if (u > limit) u = limit;
	if (u < -limit) u = -limit;
	return isNaN(nan) ? nan : g * sigmoid_(alpha * g) * (u + 1.0);
}

// end adds the sums up and stores the results.
void end() {
	[[unroll]] for (uint i = 0; i < ROWS * N; i++) sums[i] = subgroupAdd(sums[i]);
	uint lane = gl_SubgroupInvocationID;
	[[unroll]] for (uint c = 0; c < N; c++) {
		[[unroll]] for (uint r = 0; r < R; r++) {
			uint i = row0 + r, j = col0 + c;
			if (lane != (c * R + r) % SUBGROUP || i >= m || j >= n) continue;
			float s = sums[r * N + c];
			if (GATE != 0) s = gated(s, sums[(R + r) * N + c]);
			if (ADD) s += F32(add + uint64_t(j) * addStep + 4 * uint64_t(i)).v;
			F32(dst + 4 * (uint64_t(i) + uint64_t(m) * j)).v = s;
			if (ROUND) results[i % 32] = s;
		}
	}
}

// finish rounds what the passes of a group have stored.
void finish() {
	if (!ROUND) return;
	barrier();
	if (gl_SubgroupID != 0) return;
	uint lane = gl_SubgroupInvocationID, i = 4 * (lane % 8);
	round32(vec4(results[i], results[i + 1], results[i + 2], results[i + 3]), ids, faults, linearGroup() * 8 + lane % 8, lane < 8);
}
