// FlashAttn for few tokens: a block has G queries of a head of the cache, and loads what they share once. Each of its waves goes over
// tiles of as many cells as it has threads, by itself. Eight threads compute eight cells' scores, each from a part of their rows, so
// that what neighbours load lies side by side; then a thread has the weights of a cell, and next some elements of a row of v.
// With SPLIT, blocks have parts of the cells. The last of those of the same queries adds up what they have stored or, where there are many
// parts, flash_merge does.
// constants: TK TV DK DV G SPLIT TM MORE
#define BUSY 3
#include "common.h"
#include "attention.h"
#include "last.h"

constexpr u32 UNITS = DK / 8, TURNS = (UNITS + 7) / 8; // of eight elements of a row of k, and how many a thread has
constexpr u32 VT = DV / 8, VC = (VT + 31) / 32;        // of a row of v; a thread of a wave has VC at most
constexpr u32 AHEAD = 8;                               // loads under way
constexpr u32 MOST_JOINED = 32;                        // parts that a block adds up
constexpr u32 TOGETHER = VC > 2 ? 1 : G;               // results that find room in shared memory at a time

static __shared__ vec4 query[G * DK / 4];
static __shared__ vec4 gather[TOGETHER * 2 * LOCAL * VC];
static __shared__ float tops[LOCAL / 32 * G], sums[LOCAL / 32 * G];

struct Params {
	u64 q, k, v, mask, sinks, dst, bytes, scales; // bytes: as in round32, or 0
	u64 parts, counters;                          // with SPLIT; counters is 0 if flash_merge comes after
	u32 heads, share, tokens, cells, groups, splits, each; // groups: of queries of a head of the cache; each: cells of a split
	u32 qs[4], ks[4], vs[4], ms[4];
	u32 mn2, mn3, ss, pow2;
	float scale, bias, cap;

	FN u32 headOf(u32 kvHead, u32 r) { return kvHead * share + r % share; }

	// scores multiplies the queries with the cells of a tile, four of each eight at a time. A thread gets the products of its cell.
	FN void scores(u64 k, u32 base, u32 last, float* d) {
		u32 sub = LANE % 8, first = base + LANE / 8 * 8;
		float low[G];
		UNROLL for (u32 g = 0; g < G; g++) low[g] = 0.0f;
		NO_UNROLL for (u32 from = 0; from < 8; from += 4) {
			float part[G][4];
			UNROLL for (u32 g = 0; g < G; g++) {
				UNROLL for (u32 r = 0; r < 4; r++) part[g][r] = 0.0f;
			}
			NO_UNROLL for (u32 turn = 0; turn < TURNS; turn++) {
				u32 u = sub + 8 * turn;
				Row8<TK> x[4];
				UNROLL for (u32 r = 0; r < 4; r++) x[r].load(k + u64(min_(first + from + r, last - 1)) * ks[2], 8 * min_(u, UNITS - 1));
				if (u < UNITS) multiply(x, u, part);
			}
			UNROLL for (u32 g = 0; g < G; g++) {
				float y = gather4(part[g]);
				bool up = sub >= 4; // which has a cell of the second four
				d[g] = choose(up, y, low[g]) + __shfl_xor(choose(up, low[g], y), 4);
				low[g] = y;
			}
		}
	}

	// multiply adds to part the products of the queries with unit u of four rows.
	FN void multiply(Row8<TK>* x, u32 u, float (*part)[4]) {
		float e[4][8];
		UNROLL for (u32 r = 0; r < 4; r++) x[r].get(e[r]);
		UNROLL for (u32 g = 0; g < G; g++) {
			vec4 a = query[g * (DK / 4) + 2 * u], b = query[g * (DK / 4) + 2 * u + 1];
			UNROLL for (u32 r = 0; r < 4; r++) {
				float s = part[g][r];
				UNROLL for (u32 j = 0; j < 4; j++) s = fmaf(a[j], e[r][j], s);
				UNROLL for (u32 j = 0; j < 4; j++) s = fmaf(b[j], e[r][j + 4], s);
				part[g][r] = s;
			}
		}
	}

	FN void run() {
		u32 id = linearGroup(), lid = threadIdx.x;
		u32 split = id % splits, rest = id / splits, group = rest % groups, kvHeads = heads / share;
		u32 kvHead = rest / groups % kvHeads, stream = rest / groups / kvHeads;
		u32 rows = share * tokens, row0 = group * G;
		u64 hide[G];
		float slopes[G], most[G], sum[G], acc[G][VC][8];
		NO_UNROLL for (u32 i = lid; i < G * DK / 4; i += LOCAL) {
			u32 r = min_(row0 + i / (DK / 4), rows - 1);
			u64 from = q + u64(headOf(kvHead, r)) * qs[1] + u64(r / share) * qs[2] + u64(stream) * qs[3];
			Words4 w = loadWords(from + 16 * u64(i % (DK / 4)));
			query[i] = vec4(__uint_as_float(w[0]), __uint_as_float(w[1]), __uint_as_float(w[2]), __uint_as_float(w[3])) * scale;
		}
		u64 hideAll = mask + u64(stream % mn3) * ms[3];
		u32 t = row0 / share, head = row0 % share; // of query g
		UNROLL for (u32 g = 0; g < G; g++) {
			u32 h = kvHead * share + head;
			hide[g] = hideAll + u64(t) * ms[1] + (mn2 == 1 ? 0 : u64(h % mn2) * ms[2]);
			slopes[g] = MORE & 4 ? slopeOf(h, pow2, bias) : 1.0f;
			most[g] = -INF;
			sum[g] = 0.0f;
			UNROLL for (u32 i = 0; i < VC; i++) {
				UNROLL for (u32 j = 0; j < 8; j++) acc[g][i][j] = 0.0f;
			}
			if (row0 + g + 1 < rows && ++head == share) head = 0, t++;
		}
		u64 kHead = k + u64(kvHead) * ks[1] + u64(stream) * ks[3], vHead = v + u64(kvHead) * vs[1] + u64(stream) * vs[3];
		// Rows of v at a time, the one that this thread has a part of, and which part.
		u32 per = VT <= WAVE ? WAVE / VT : 1, mine = VT <= WAVE ? LANE / VT : 0, at = VT <= WAVE ? LANE % VT : LANE;
		u32 last = min_(cells, (split + 1) * each);
		__syncthreads();
		for (u32 base = split * each + WAVE_ID * WAVE; base < last; base += LOCAL) {
			u32 c = base + LANE;
			float weight[G], d[G];
			bool live = false;
			UNROLL for (u32 g = 0; g < G; g++) {
				weight[g] = -INF;
				if (c < last) weight[g] = TM != 0 ? slopes[g] * loadFloat(TM - 1, hide[g] + u64(c) * ms[0]) : 0.0f;
				live = live || weight[g] != -INF;
			}
			if (waveMax(live ? 1.0f : 0.0f) == 0.0f) continue;
			scores(kHead, base, last, d);
			UNROLL for (u32 g = 0; g < G; g++) {
				if (MORE & 2) d[g] = cap * tanh_(d[g] / cap);
				float s = weight[g] != -INF ? weight[g] + d[g] : -INF;
				bool nan = isnan_(s);
				float top = max_(most[g], waveMax(nan ? -INF : s));
				float w = nan ? s : s != -INF ? expQuick(s - top) : 0.0f;
				float keep = most[g] == -INF ? 1.0f : expQuick(most[g] - top);
				most[g] = top;
				sum[g] = sum[g] * keep + w;
				weight[g] = w;
				UNROLL for (u32 i = 0; i < VC; i++) {
					UNROLL for (u32 j = 0; j < 8; j++) acc[g][i][j] *= keep;
				}
			}
			u32 n = min_(WAVE, last - base);
			for (u32 from = 0; from < n; from += AHEAD * per) {
				UNROLL for (u32 i = 0; i < VC; i++) {
					u32 unit = at + i * WAVE;
					Row8<TV> x[AHEAD];
					UNROLL for (u32 u = 0; u < AHEAD; u++) {
						x[u].load(vHead + u64(base + min_(from + u * per + mine, n - 1)) * vs[2], 8 * min_(unit, VT - 1));
					}
					UNROLL for (u32 u = 0; u < AHEAD; u++) {
						u32 cell = from + u * per + mine;
						bool has = cell < n && mine < per && unit < VT;
						float e[8];
						x[u].get(e);
						UNROLL for (u32 g = 0; g < G; g++) {
							float w = __shfl(weight[g], int(cell % WAVE));
							if (has && w != 0.0f) { // what is hidden may be anything
								UNROLL for (u32 j = 0; j < 8; j++) acc[g][i][j] = fmaf(w, e[j], acc[g][i][j]);
							}
						}
					}
				}
			}
		}
		UNROLL for (u32 g = 0; g < G; g++) {
			float s = waveSum(sum[g]);
			if (LANE == 0) {
				tops[WAVE_ID * G + g] = most[g];
				sums[WAVE_ID * G + g] = s;
			}
		}
		// Not a loop, so that acc is one of registers whatever the compiler makes of what is in it.
		unrolled<G / TOGETHER>([&](auto part) {
			if (part > 0) __syncthreads();
			UNROLL for (u32 j = 0; j < TOGETHER; j++) {
				u32 g = part * TOGETHER + j;
				UNROLL for (u32 i = 0; i < VC; i++) {
					u32 unit = at + i * WAVE;
					if (mine >= per || unit >= VT) continue;
					vec4* to = gather + 2 * (((j * WAVES + WAVE_ID) * per + mine) * VT + unit);
					to[0] = vec4(acc[g][i][0], acc[g][i][1], acc[g][i][2], acc[g][i][3]);
					to[1] = vec4(acc[g][i][4], acc[g][i][5], acc[g][i][6], acc[g][i][7]);
				}
			}
			__syncthreads();
			for (u32 i = lid; i < TOGETHER * 2 * VT; i += LOCAL) {
				u32 j = i / (2 * VT), g = part * TOGETHER + j;
				if (row0 + g < rows) store(row0 + g, g, gather + 2 * VT * WAVES * per * j, i % (2 * VT), per, kvHead, stream, split);
			}
		});
		if (!SPLIT || counters == 0 || !lastBlock(counters + 4 * u64(id / splits), splits)) return;
		Parts p = {parts, sinks, dst, bytes, scales, heads, ss, splits, DV, MORE & 1};
		p.join<G, MOST_JOINED>(min_(G, rows - row0), [&](u32 g) { return rowOf(kvHead, row0 + g, stream); });
	}

	// rowOf returns which row of the result query r has.
	FN u32 rowOf(u32 kvHead, u32 r, u32 stream) { return headOf(kvHead, r) + heads * (r / share + tokens * stream); }

	// store stores element i of the result of query r, in fours: what the waves have gathered is added up in their order.
	FN void store(u32 r, u32 g, const vec4* own, u32 i, u32 per, u32 kvHead, u32 stream, u32 split) {
		u32 h = headOf(kvHead, r), row = rowOf(kvHead, r, stream);
		float top = -INF, all = 0.0f, keep = 1.0f;
		for (u32 w = 0; w < WAVES; w++) top = max_(top, tops[w * G + g]);
		vec4 sum = vec4(0.0f);
		NO_UNROLL for (u32 w = 0; w < WAVES; w++) {
			float f = tops[w * G + g] == -INF ? 1.0f : expQuick(tops[w * G + g] - top);
			all += sums[w * G + g] * f;
			vec4 part = vec4(0.0f);
			NO_UNROLL for (u32 j = 0; j < per; j++) part += own[2 * VT * (w * per + j) + i];
			sum += part * f;
		}
		u64 to = SPLIT ? parts + 4 * u64(DV + PART) * (u64(row) * splits + split) : dst + 4 * u64(DV) * row;
		if (SPLIT && i == 0) {
			F32(to + 4 * DV).v = top;
			F32(to + 4 * DV + 4).v = all;
		}
		if (!SPLIT && (MORE & 1)) sink(F32(sinks + u64(h) * ss).v, top, all, keep);
		float inv = SPLIT ? 1.0f : all == 0.0f ? 0.0f : keep / all;
		Floats4 x = floats4(sum.x * inv, sum.y * inv, sum.z * inv, sum.w * inv);
		F32x4(to + 16 * u64(i)).v = x;
		if (!SPLIT && bytes != 0) round32(x, bytes, scales, row * (DV / 4) + i, true);
	}
};

KERNEL(flash_rows)
