// FlashAttn for many tokens: a block has BR queries of a head of the cache, its heads' and its tokens', and goes over the cells by BC. Rows of
// k and then of v lie in shared memory; threads are 16 by 16, each with every sixteenth query and cell, and then with every sixteenth
// query and element of the result. Cells that no query of the block sees are not loaded where they fill a tile.
//
// Where k and v may be halves, so are queries and weights, and products are taken two at a time; sums are not. Otherwise all is F32.
// With SPLIT, blocks have parts of the cells, and flash_merge adds up what they store.
// constants: TK TV DK DV BR BC SPLIT TM MORE
#define BUSY 2
#include "common.h"
#include "attention.h"

constexpr bool HALF = asHalves(TK) && asHalves(TV);
constexpr u32 RT = BR / 16, CT = BC / 16, DT = DV / 16; // queries, cells and elements of a thread
constexpr u32 KLINE = (HALF ? DK / 2 : DK) / 4 + 1;     // of 16 bytes in a row of k, and one so that rows lie in different banks
constexpr u32 VROWS = HALF ? BC / 2 : BC;               // of v, of which a word holds two if they are halves
constexpr u32 WLINE = VROWS + 1;                        // words in a row of weights
constexpr u32 TILE = BC * KLINE > VROWS * DV / 4 ? BC * KLINE : VROWS * DV / 4;
constexpr u32 AHEAD = (VROWS * (DV / 8) + LOCAL - 1) / LOCAL; // pieces of v that a thread brings

// Weights of halves are raised: what is a thousandth of the greatest counts if there are thousands, and should keep its digits.
constexpr float RAISE = HALF ? 4096.0f : 1.0f;

static __shared__ Words4 query[BR * KLINE];
static __shared__ Words4 tile[TILE];
static __shared__ u32 weights[BR * WLINE];
static __shared__ u32 visible[2][LOCAL / 32][2]; // bits of the cells that some query sees, by wave

struct Params {
	u64 q, k, v, mask, sinks, dst;
	u32 heads, share, tokens, cells, groups, splits, each; // as in flash_rows
	u32 qs[4], ks[4], vs[4], ms[4];
	u32 mn2, mn3, ss, pow2;
	float scale, bias, cap;

	FN u32 headOf(u32 kvHead, u32 r) { return kvHead * share + r % share; }

	// mac adds the products of one or two pairs of numbers.
	FN float mac(u32 a, u32 b, float c) { return HALF ? dotHalves(a, b, c) : fmaf(__uint_as_float(a), __uint_as_float(b), c); }

	FN float mac4(Words4 a, Words4 b, float c) { return mac(a[3], b[3], mac(a[2], b[2], mac(a[1], b[1], mac(a[0], b[0], c)))); }

	// cellOf returns the cell of a tile that is number j of a thread's: two in a row where their weights share a word. placeOf returns
	// which row of shared memory has it.
	FN u32 cellOf(u32 tx, u32 j) { return HALF ? 2 * tx + j % 2 + j / 2 * 32 : tx + 16 * j; }
	FN u32 placeOf(u32 c) { return HALF ? c % 32 / 2 + c % 2 * 16 + c / 32 * 32 : c; }

	// put stores eight elements as words of halves or of F32.
	template <u32 T> FN void put(Words4* to, Row8<T>& x) {
		if (HALF) {
			*to = halvesOf<T>(x);
			return;
		}
		float e[8];
		x.get(e);
		to[0] = bitsOf(e[0], e[1], e[2], e[3]);
		to[1] = bitsOf(e[4], e[5], e[6], e[7]);
	}

	FN void putQueries(u32 kvHead, u32 stream, u32 row0) {
		for (u32 i = threadIdx.x; i < BR * (DK / 8); i += LOCAL) {
			u32 r = min_(row0 + i / (DK / 8), share * tokens - 1);
			Row8<T_F32> x;
			x.load(q + u64(headOf(kvHead, r)) * qs[1] + u64(r / share) * qs[2] + u64(stream) * qs[3], 8 * (i % (DK / 8)));
			put<T_F32>(query + i / (DK / 8) * KLINE + i % (DK / 8) * (HALF ? 1 : 2), x);
		}
	}

	FN void putKeys(u64 k, u32 begin) {
		constexpr u32 all = BC * (DK / 8), some = HALF ? 4 : 2; // loads under way
		for (u32 from = threadIdx.x; from < all; from += some * LOCAL) {
			Row8<TK> x[some];
			UNROLL for (u32 n = 0; n < some; n++) {
				u32 i = min_(from + n * LOCAL, all - 1);
				x[n].load(k + u64(min_(begin + i / (DK / 8), cells - 1)) * ks[2], 8 * (i % (DK / 8)));
			}
			UNROLL for (u32 n = 0; n < some; n++) {
				u32 i = from + n * LOCAL;
				if (i < all) put<TK>(tile + placeOf(i / (DK / 8)) * KLINE + i % (DK / 8) * (HALF ? 1 : 2), x[n]);
			}
		}
	}

	// Values are eight elements of one cell, or of two as they lie in memory.
	struct Values {
		Row8<TV> first, second;
	};

	FN void getValues(u64 v, u32 begin, Values* x) {
		UNROLL for (u32 n = 0; n < AHEAD; n++) {
			u32 i = min_(threadIdx.x + n * LOCAL, VROWS * (DV / 8) - 1), c = i / (DV / 8), u = i % (DV / 8);
			x[n].first.load(v + u64(min_(begin + c * (HALF ? 2 : 1), cells - 1)) * vs[2], 8 * u);
			if (HALF) x[n].second.load(v + u64(min_(begin + 2 * c + 1, cells - 1)) * vs[2], 8 * u);
		}
	}

	// putValues stores them, and zeros for cells that nobody sees: these may be anything.
	FN void putValues(Values* x, u32 low, u32 high) {
		Words4 none = words4(0, 0, 0, 0);
		UNROLL for (u32 n = 0; n < AHEAD; n++) {
			u32 i = threadIdx.x + n * LOCAL, c = i / (DV / 8), cell = HALF ? 2 * c : c;
			if (i >= VROWS * (DV / 8)) continue;
			u32 bits = (cell < 32 ? low >> cell : high >> (cell - 32)) & 3u;
			Words4* to = tile + 2 * i;
			if (HALF) {
				Words4 a = (bits & 1u) != 0 ? halvesOf<TV>(x[n].first) : none, b = (bits & 2u) != 0 ? halvesOf<TV>(x[n].second) : none;
				to[0] = words4(lowHalves(a[0], b[0]), highHalves(a[0], b[0]), lowHalves(a[1], b[1]), highHalves(a[1], b[1]));
				to[1] = words4(lowHalves(a[2], b[2]), highHalves(a[2], b[2]), lowHalves(a[3], b[3]), highHalves(a[3], b[3]));
				continue;
			}
			float e[8];
			x[n].first.get(e);
			to[0] = (bits & 1u) != 0 ? bitsOf(e[0], e[1], e[2], e[3]) : none;
			to[1] = (bits & 1u) != 0 ? bitsOf(e[4], e[5], e[6], e[7]) : none;
		}
	}

	FN void run() {
		u32 id = linearGroup(), tx = threadIdx.x % 16, ty = threadIdx.x / 16;
		u32 split = id % splits, rest = id / splits, group = rest % groups, kvHeads = heads / share;
		u32 kvHead = rest / groups % kvHeads, stream = rest / groups / kvHeads;
		u32 rows = share * tokens, row0 = group * BR;
		putQueries(kvHead, stream, row0);
		u64 kHead = k + u64(kvHead) * ks[1] + u64(stream) * ks[3], vHead = v + u64(kvHead) * vs[1] + u64(stream) * vs[3];
		u64 hide[RT];
		float slopes[RT], most[RT], sum[RT], acc[RT][DT];
		UNROLL for (u32 i = 0; i < RT; i++) {
			u32 r = min_(row0 + ty + 16 * i, rows - 1), h = headOf(kvHead, r);
			hide[i] = mask + u64(r / share) * ms[1] + u64(h % mn2) * ms[2] + u64(stream % mn3) * ms[3];
			slopes[i] = MORE & 4 ? slopeOf(h, pow2, bias) : 1.0f;
			most[i] = -INF;
			sum[i] = 0.0f;
			UNROLL for (u32 j = 0; j < DT; j++) acc[i][j] = 0.0f;
		}
		u32 last = min_(cells, (split + 1) * each), turn = 0;
		for (u32 begin = split * each; begin < last; begin += BC) {
			float s[RT][CT], extra[RT][CT];
			u32 low = 0, high = 0;
			UNROLL for (u32 i = 0; i < RT; i++) {
				UNROLL for (u32 j = 0; j < CT; j++) {
					u32 cell = cellOf(tx, j), c = begin + cell;
					extra[i][j] = -INF;
					if (c < last) extra[i][j] = TM != 0 ? slopes[i] * loadFloat(TM - 1, hide[i] + u64(c) * ms[0]) : 0.0f;
					s[i][j] = 0.0f;
					if (extra[i][j] == -INF) continue;
					if (cell < 32) low |= 1u << cell;
					else high |= 1u << (cell - 32);
				}
			}
			seen(visible[turn], low, high); // and what lies in shared memory is no longer needed
			turn ^= 1;
			if ((low | high) == 0) continue;
			Values x[AHEAD];
			if (HALF) getValues(vHead, begin, x); // on their way while scores are computed
			putKeys(kHead, begin);
			__syncthreads();
			_Pragma("unroll 2") for (u32 w = 0; w < KLINE - 1; w++) {
				Words4 a[RT], b[CT];
				UNROLL for (u32 i = 0; i < RT; i++) a[i] = query[(ty + 16 * i) * KLINE + w];
				UNROLL for (u32 j = 0; j < CT; j++) b[j] = tile[(tx + 16 * j) * KLINE + w];
				UNROLL for (u32 i = 0; i < RT; i++) {
					UNROLL for (u32 j = 0; j < CT; j++) s[i][j] = mac4(a[i], b[j], s[i][j]);
				}
			}
			UNROLL for (u32 i = 0; i < RT; i++) {
				float keep = weigh<CT, 16>(s[i], extra[i], scale, (MORE & 2) != 0, cap, most[i]);
				sum[i] *= keep;
				UNROLL for (u32 j = 0; j < CT; j++) sum[i] += s[i][j];
				UNROLL for (u32 j = 0; j < DT; j++) acc[i][j] *= keep;
				u32* to = weights + (ty + 16 * i) * WLINE + tx;
				UNROLL for (u32 j = 0; j < CT; j += HALF ? 2 : 1) {
					if (HALF) to[8 * j] = halves(s[i][j] * RAISE, s[i][(j + 1) % CT] * RAISE);
					else to[16 * j] = __float_as_uint(s[i][j]);
				}
			}
			__syncthreads();
			if (!HALF) getValues(vHead, begin, x);
			putValues(x, low, high);
			__syncthreads();
			const u32* values = (const u32*)tile;
			_Pragma("unroll 4") for (u32 c = 0; c < VROWS; c++) {
				u32 a[RT], b[DT];
				UNROLL for (u32 i = 0; i < RT; i++) a[i] = weights[(ty + 16 * i) * WLINE + c];
				UNROLL for (u32 j = 0; j < DT; j++) b[j] = values[c * DV + tx + 16 * j];
				UNROLL for (u32 i = 0; i < RT; i++) {
					UNROLL for (u32 j = 0; j < DT; j++) acc[i][j] = mac(a[i], b[j], acc[i][j]);
				}
			}
		}
		unrolled<RT>([&](auto i) {
			float all = sum[i];
			for (u32 d = 8; d > 0; d /= 2) all += __shfl_xor(all, int(d));
			u32 r = row0 + ty + 16 * i;
			if (r < rows) store(acc[i], most[i], all, headOf(kvHead, r), r / share, stream, split);
		});
	}

	FN void store(const float* acc, float most, float sum, u32 h, u32 t, u32 stream, u32 split) {
		u32 tx = threadIdx.x % 16;
		u64 out = h + u64(heads) * (t + u64(tokens) * stream);
		u64 to = SPLIT ? dst + 4 * u64(DV + PART) * (out * splits + split) : dst + 4 * u64(DV) * out;
		if (SPLIT && tx == 0) {
			F32(to + 4 * DV).v = most;
			F32(to + 4 * DV + 4).v = sum;
		}
		float keep = 1.0f;
		if (!SPLIT && (MORE & 1)) sink(F32(sinks + u64(h) * ss).v, most, sum, keep);
		float inv = (SPLIT ? 1.0f : sum == 0.0f ? 0.0f : keep / sum) / RAISE;
		UNROLL for (u32 j = 0; j < DT; j++) F32(to + 4 * u64(tx + 16 * j)).v = acc[j] * inv;
	}
};

KERNEL(flash_tile)
