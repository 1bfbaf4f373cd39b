// GatedDeltaNet: a wave keeps a row of a head's matrix, a few elements in each thread, and goes from token to token.
// constants: PER
#include "common.h"
#include "math.h"

struct Params {
	u64 q, k, v, g, beta, state, dst;
	u32 dk, headsK, dv, heads, tokens, seqs, states, gates, groups;
	u32 qs[4], ks[4], vs[4], gs[4], bs[4], ss[4];

	FN void run() {
		u32 id = linearGroup();
		u32 j = id % this->groups * WAVES + WAVE_ID, h = id / this->groups % this->heads, seq = id / this->groups / this->heads;
		if (j >= this->dv) return;
		u32 lane = LANE, lanes = WAVE, dk = this->dk;
		float row[PER];
		u64 from = this->state + u64(j) * this->ss[1] + u64(h) * this->ss[2] + u64(seq) * this->ss[3];
		UNROLL for (u32 e = 0; e < PER; e++) {
			u32 i = lane + e * lanes;
			row[e] = i < dk ? F32(from + u64(i) * this->ss[0]).v : 0.0f;
		}
		float root = 1.0f / sqrtf(float(dk));
		u64 outputs = this->dst + 4 * u64(this->dv) * this->heads * this->tokens * this->seqs;
		for (u32 t = 0; t < this->tokens; t++) {
			u32 hk = h % this->headsK;
			u64 key = this->k + u64(hk) * this->ks[1] + u64(t) * this->ks[2] + u64(seq) * this->ks[3];
			u64 query = this->q + u64(hk) * this->qs[1] + u64(t) * this->qs[2] + u64(seq) * this->qs[3];
			u64 gate = this->g + u64(h) * this->gs[1] + u64(t) * this->gs[2] + u64(seq) * this->gs[3];
			float beta = F32(this->beta + u64(h) * this->bs[1] + u64(t) * this->bs[2] + u64(seq) * this->bs[3]).v;
			float value = F32(this->v + u64(j) * this->vs[0] + u64(h) * this->vs[1] + u64(t) * this->vs[2] + u64(seq) * this->vs[3]).v;
			float all = this->gates == 1 ? exp_(F32(gate).v) : 0.0f;
			float says = 0.0f, answer = 0.0f;
			float keys[PER];
			UNROLL for (u32 e = 0; e < PER; e++) {
				u32 i = lane + e * lanes;
				keys[e] = 0.0f;
				if (i < dk) {
					keys[e] = F32(key + u64(i) * this->ks[0]).v;
					row[e] *= this->gates == 1 ? all : exp_(F32(gate + u64(i) * this->gs[0]).v);
					says += row[e] * keys[e];
				}
			}
			says = beta * (value - waveSum(says));
			UNROLL for (u32 e = 0; e < PER; e++) {
				u32 i = lane + e * lanes;
				if (i < dk) {
					row[e] += says * keys[e];
					answer += row[e] * F32(query + u64(i) * this->qs[0]).v;
				}
			}
			answer = waveSum(answer) * root;
			if (lane == 0) F32(this->dst + 4 * (u64(j) + u64(this->dv) * (h + this->heads * (t + u64(this->tokens) * seq)))).v = answer;
			u32 back = this->tokens - 1 - t;
			if (back < this->states) {
				u64 to = outputs + 4 * (u64(dk) * (j + u64(this->dv) * (h + this->heads * (seq + u64(this->seqs) * back))));
				UNROLL for (u32 e = 0; e < PER; e++) {
					u32 i = lane + e * lanes;
					if (i < dk) F32(to + 4 * u64(i)).v = row[e];
				}
			}
		}
	}
};

KERNEL(delta_net)
