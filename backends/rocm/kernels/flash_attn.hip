// FlashAttn of any types and strides: a block for each head and token goes over the cells, a tile of as many as it has
// threads at a time. A thread has a cell's score, and then a few elements of the result.
// QUERY is how many fours of a query there is room for, and PER how many fours of the result a thread has.
// constants: TK TV PER QUERY TM MORE
#include "common.h"
#include "math.h"
#include "dequant.h"
#include "reduce.h"

static __shared__ vec4 query[QUERY];
static __shared__ float weight[LOCAL];

struct Params {
	u64 q, k, v, mask, sinks, dst;
	u32 heads, share, tokens, cells;
	u32 qs[4], ks[4], vs[4], ms[4];
	u32 mn2, mn3, ss, pow2;
	float scale, bias, cap;
	u32 DK, DV;

	FN float slope(u32 head) {
		if (!(MORE & 4)) return 1.0f;
		float e = head < this->pow2 ? float(head + 1) / float(this->pow2) : float(2 * (head - this->pow2) + 1) / float(2 * this->pow2);
		return exp2f(-this->bias * e);
	}

	FN void run() {
		u32 id = linearGroup(), h = id % this->heads, t = id / this->heads % this->tokens, s = id / this->heads / this->tokens;
		u32 lid = threadIdx.x, step = LOCAL;
		u64 q = this->q + u64(h) * this->qs[1] + u64(t) * this->qs[2] + u64(s) * this->qs[3];
		for (u32 i = lid; i < (DK + 3) / 4; i += step) query[i] = row4(T_F32, q, this->qs[0], 4 * i, DK);
		u64 k = this->k + u64(h / this->share) * this->ks[1] + u64(s) * this->ks[3];
		u64 v = this->v + u64(h / this->share) * this->vs[1] + u64(s) * this->vs[3];
		u64 hide = this->mask + u64(t) * this->ms[1] + u64(h % this->mn2) * this->ms[2] + u64(s % this->mn3) * this->ms[3];
		float sl = slope(h), most = -INF, sum = 0.0f;
		vec4 acc[PER];
		UNROLL for (u32 e = 0; e < PER; e++) acc[e] = vec4(0.0f);
		__syncthreads();
		for (u32 begin = 0; begin < this->cells; begin += step) {
			u32 c = begin + lid;
			float score = -INF;
			if (c < this->cells) {
				float bias = 0.0f;
				if (TM != 0) bias = sl * loadFloat(TM - 1, hide + u64(c) * this->ms[0]);
				if (bias != -INF) {
					u64 row = k + u64(c) * this->ks[2];
					float d = 0.0f;
					for (u32 i = 0; i < DK; i += 4) d += dot(query[i / 4], row4(TK, row, this->ks[0], i, DK));
					d *= this->scale;
					if (MORE & 2) d = this->cap * tanh_(d / this->cap);
					score = d + bias;
				}
			}
			bool nan = isnan_(score);
			float top = max_(most, reduceMax(nan ? -INF : score));
			float w = 0.0f;
			if (nan) w = score;
			else if (score != -INF) w = exp_(score - top);
			float keep = most == -INF ? 1.0f : exp_(most - top);
			most = top;
			__syncthreads();
			weight[lid] = w;
			__syncthreads();
			sum = sum * keep + reduceSum(w);
			u32 tile = min_(step, this->cells - begin);
			UNROLL for (u32 e = 0; e < PER; e++) {
				u32 d = 4 * (lid + e * step);
				if (d >= DV) continue;
				vec4 a = acc[e] * keep;
				for (u32 i = 0; i < tile; i++) {
					float x = weight[i];
					if (x != 0.0f) a += x * row4(TV, v + u64(begin + i) * this->vs[2], this->vs[0], d, DV);
				}
				acc[e] = a;
			}
		}
		if ((MORE & 1)) {
			float sink = F32(this->sinks + u64(h) * this->ss).v, top = max_(most, sink);
			if (top != -INF) {
				float keep = most == -INF ? (sum == 0.0f ? 1.0f : sum) : exp_(most - top);
				UNROLL for (u32 e = 0; e < PER; e++) acc[e] *= keep;
				sum = sum * keep + exp_(sink - top);
			}
		}
		float inv = sum == 0.0f ? 0.0f : 1.0f / sum;
		u64 to = this->dst + 4 * u64(DV) * (h + this->heads * (t + u64(this->tokens) * s));
		UNROLL for (u32 e = 0; e < PER; e++) {
			u32 d = 4 * (lid + e * step);
			for (u32 i = 0; i < 4; i++) {
				if (d + i < DV) F32(to + 4 * u64(d + i)).v = acc[e][i] * inv;
			}
		}
	}
};

KERNEL(flash_attn)
