// Products of any types and strides for many rows of b, by tiles of 64 by 64 in shared memory. Sums are F32 of F32.
// constants: TA TB ID
#include "common.h"
#include "dequant.h"
#include "wide.h"

constexpr u32 BM = 64, BN = 64, BK = 16, LINE = 68; // LINE: of a tile's columns in shared memory, in F32

// A tile of either factor, element k of row r at k*LINE + r.
alignas(16) static __shared__ float sa[BK * LINE], sb[BK * LINE];

FN Floats4 four(const float* at) { return *(const Floats4*)at; }

struct Params {
	u64 slots, tiles; // of experts: see group_ids
	u64 a, b, add, dst;
	u32 m, n, k;
	u32 groups, cols; // tiles of rows of a and of b
	u32 b2, r2, r3;   // as in matmul
	u32 as[4], bs[4];
	u32 used, bused, addStep, planes;

	// Each thread loads four of a row of a, and four of one of b, and has 4 by 4 of the result.
	FN void run() {
		u32 g = linearGroup(), tm = g % groups, tn = g / groups % cols, plane = g / groups / cols;
		if (g >= groups * cols * planes) return;
		u32 p2 = plane % b2, p3 = plane / b2, lid = threadIdx.x, first = tn * BN, count = min_(BN, n - first);
		u64 pa = a + u64(p2 / r2) * as[2] + u64(p3 / r3) * as[3], pb = b + u64(p2) * bs[2] + u64(p3) * bs[3];
		if (ID) {
			u64 t = tiles + 12 * u64(tn);
			count = U32(t + 8).v;
			if (count == 0) return;
			pa = a + u64(U32(t).v) * as[2];
			first = U32(t + 4).v;
		}
		u32 lr = lid / (BK / 4), lk = lid % (BK / 4) * 4, col = first + min_(lr, count - 1);
		u64 ra = pa + u64(min_(tm * BM + lr, m - 1)) * as[1], rb = pb + u64(col) * bs[1];
		if (ID) {
			u32 r = U32(slots + 4 * u64(col)).v;
			rb = b + u64(r % used % bused) * bs[1] + u64(r / used) * bs[2];
		}
		u32 ti = lid % 16 * 4, tj = lid / 16 * 4;
		Floats4 sum[4];
		UNROLL for (u32 c = 0; c < 4; c++) sum[c] = floats4(0.0f, 0.0f, 0.0f, 0.0f);
		for (u32 at = 0; at < k; at += BK) {
			vec4 va = vec4(0.0f), vb = vec4(0.0f);
			if (at + lk < k) {
				va = row4(TA, ra, as[0], at + lk, k);
				vb = row4(TB, rb, bs[0], at + lk, k);
			}
			__syncthreads();
			UNROLL for (u32 j = 0; j < 4; j++) {
				sa[(lk + j) * LINE + lr] = va[j];
				sb[(lk + j) * LINE + lr] = vb[j];
			}
			__syncthreads();
			Floats4 part[4]; // sums of sums round less
			UNROLL for (u32 c = 0; c < 4; c++) part[c] = floats4(0.0f, 0.0f, 0.0f, 0.0f);
			UNROLL for (u32 x = 0; x < BK; x++) {
				Floats4 u = four(sa + x * LINE + ti), v = four(sb + x * LINE + tj);
				UNROLL for (u32 c = 0; c < 4; c++) {
					UNROLL for (u32 r = 0; r < 4; r++) part[c][r] = fmaf(v[c], u[r], part[c][r]);
				}
			}
			UNROLL for (u32 c = 0; c < 4; c++) {
				UNROLL for (u32 r = 0; r < 4; r++) sum[c][r] += part[c][r];
			}
		}
		UNROLL for (u32 c = 0; c < 4; c++) {
			if (tj + c >= count) continue;
			u32 j = first + tj + c;
			if (ID) j = U32(slots + 4 * u64(j)).v;
			UNROLL for (u32 r = 0; r < 4; r++) {
				u32 i = tm * BM + ti + r;
				if (i >= m) continue;
				float s = sum[c][r];
				if (add != 0) s += F32(add + u64(j) * addStep + 4 * u64(i)).v;
				F32(dst + 4 * (u64(i) + u64(m) * (u64(j) + u64(n) * plane))).v = s;
			}
		}
	}
};

KERNEL(matmul_tile)
