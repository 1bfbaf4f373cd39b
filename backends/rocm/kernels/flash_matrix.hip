// FlashAttn for many tokens by matrices of halves: a block has 64 queries of a head of the cache, 16 in each of its four waves, and goes over
// the cells by BC. Rows of k and then columns of v lie in shared memory, and weights pass through it; queries stay in registers. Otherwise it
// is as flash_tile.
// constants: FORM TK TV DK DV SPLIT TM MORE
#define BUSY 2
#include "common.h"
#include "attention.h"
#include "matrix.h"

constexpr u32 BC = 64, WAVE_OF = FORM == MFMA || FORM == PLAIN64 ? 64 : 32, BR = LOCAL / WAVE_OF * 16;
constexpr u32 CT = BC / 16, DT = DV / 16, KT = DK / 16; // matrices of cells, and of elements of rows of v and of k
constexpr u32 KLINE = DK / 8 + 1;                       // of 16 bytes in a row of k, and one so that rows lie in different banks
constexpr u32 VLINE = BC / 2 + 5;                       // words of an element of v, in each two cells
constexpr u32 WLINE = BC / 2 + 4;                       // words of a row of weights
constexpr u32 HIGH = BR > BC ? BR : BC;                 // queries begin where k is later
constexpr u32 TILE = HIGH * KLINE * 4 > DV * VLINE ? HIGH * KLINE : (DV * VLINE + 3) / 4;
constexpr u32 PIECES = BC / 2 * (DV / 8), AHEAD = (PIECES + LOCAL - 1) / LOCAL; // of v, and those of a thread
#if defined(__GFX11__) || defined(__GFX12__)
constexpr bool LATE = DK + DV > 128; // v is loaded when scores are done: before, there are no registers for it
#else
constexpr bool LATE = false;
#endif
constexpr float RAISE = 4096.0f;                        // as in flash_tile

static __shared__ Words4 tile[TILE];
static __shared__ Words4 weights_[BR * WLINE / 4];
static __shared__ u32 visible[2][LOCAL / WAVE_OF][2];

struct Params {
	u64 q, k, v, mask, sinks, dst;
	u32 heads, share, tokens, cells, groups, splits, each; // as in flash_rows
	u32 qs[4], ks[4], vs[4], ms[4];
	u32 mn2, mn3, ss, pow2;
	float scale, bias, cap;

	FN u32 headOf(u32 kvHead, u32 r) { return kvHead * share + r % share; }

	FN void putQueries(u32 kvHead, u32 stream, u32 row0) {
		for (u32 i = threadIdx.x; i < BR * (DK / 8); i += LOCAL) {
			u32 r = min_(row0 + i / (DK / 8), share * tokens - 1);
			Row8<T_F32> x;
			x.load(q + u64(headOf(kvHead, r)) * qs[1] + u64(r / share) * qs[2] + u64(stream) * qs[3], 8 * (i % (DK / 8)));
			tile[i / (DK / 8) * KLINE + i % (DK / 8)] = halvesOf<T_F32>(x);
		}
	}

	FN void putKeys(u64 k, u32 begin) {
		constexpr u32 all = BC * (DK / 8), some = 4; // loads under way
		for (u32 from = threadIdx.x; from < all; from += some * LOCAL) {
			Row8<TK> x[some];
			UNROLL for (u32 n = 0; n < some; n++) {
				u32 i = min_(from + n * LOCAL, all - 1);
				x[n].load(k + u64(min_(begin + i / (DK / 8), cells - 1)) * ks[2], 8 * (i % (DK / 8)));
			}
			UNROLL for (u32 n = 0; n < some; n++) {
				u32 i = from + n * LOCAL;
				if (i < all) tile[i / (DK / 8) * KLINE + i % (DK / 8)] = halvesOf<TK>(x[n]);
			}
		}
	}

	// A piece of v is eight elements of two cells. Neighbours have other cells, so that what they store lies in different banks.
	FN u32 pairOf(u32 i) { return i % 8 + i / 8 / (DV / 8) * 8; }
	FN u32 unitOf(u32 i) { return i / 8 % (DV / 8); }

	FN void getValues(u64 v, u32 begin, Row8<TV>* x) {
		UNROLL for (u32 n = 0; n < AHEAD; n++) {
			u32 i = min_(threadIdx.x + n * LOCAL, PIECES - 1), c = begin + 2 * pairOf(i), at = 8 * unitOf(i);
			x[2 * n].load(v + u64(min_(c, cells - 1)) * vs[2], at);
			x[2 * n + 1].load(v + u64(min_(c + 1, cells - 1)) * vs[2], at);
		}
	}

	// putValues stores them, and zeros for cells that nobody sees: these may be anything.
	FN void putValues(Row8<TV>* x, u32 low, u32 high) {
		Words4 none = words4(0, 0, 0, 0);
		UNROLL for (u32 n = 0; n < AHEAD; n++) {
			u32 i = threadIdx.x + n * LOCAL, c = 2 * pairOf(i);
			if (i >= PIECES) continue;
			u32 bits = c < 32 ? low >> c : high >> (c - 32);
			Words4 a = (bits & 1u) != 0 ? halvesOf<TV>(x[2 * n]) : none, b = (bits & 2u) != 0 ? halvesOf<TV>(x[2 * n + 1]) : none;
			u32* to = (u32*)tile + 8 * unitOf(i) * VLINE + c / 2;
			UNROLL for (u32 j = 0; j < 4; j++) {
				to[2 * j * VLINE] = lowHalves(a[j], b[j]);
				to[(2 * j + 1) * VLINE] = highHalves(a[j], b[j]);
			}
		}
	}

	FN void run() {
		u32* weights = (u32*)weights_;
		u32 id = linearGroup(), cols[COLS];
		u32 split = id % splits, rest = id / splits, group = rest % groups, kvHeads = heads / share;
		u32 kvHead = rest / groups % kvHeads, stream = rest / groups / kvHeads;
		u32 rows = share * tokens, row0 = group * BR, own = WAVE_ID * 16; // the wave's first query of the block
		putQueries(kvHead, stream, row0);
		u64 kHead = k + u64(kvHead) * ks[1] + u64(stream) * ks[3], vHead = v + u64(kvHead) * vs[1] + u64(stream) * vs[3];
		u64 hide[ROWS];
		float slopes[ROWS], most[ROWS], sum[ROWS];
		Sums acc[DT];
		UNROLL for (u32 j = 0; j < DT; j++) acc[j].zero();
		UNROLL for (u32 c = 0; c < COLS; c++) cols[c] = acc[0].col(Sums::element(0, c));
		UNROLL for (u32 i = 0; i < ROWS; i++) {
			u32 r = min_(row0 + own + acc[0].row(Sums::element(i, 0)), rows - 1), h = headOf(kvHead, r);
			hide[i] = mask + u64(r / share) * ms[1] + u64(h % mn2) * ms[2] + u64(stream % mn3) * ms[3];
			slopes[i] = MORE & 4 ? slopeOf(h, pow2, bias) : 1.0f;
			most[i] = -INF;
			sum[i] = 0.0f;
		}
		__syncthreads();
		Factor queries[KT];
		UNROLL for (u32 j = 0; j < KT; j++) queries[j].load((const u32*)tile + own * KLINE * 4 + 8 * j, KLINE * 4);
		u32 last = min_(cells, (split + 1) * each), turn = 0;
		for (u32 begin = split * each; begin < last; begin += BC) {
			float extra[ROWS][CT * COLS];
			u32 low = 0, high = 0;
			UNROLL for (u32 i = 0; i < ROWS; i++) {
				UNROLL for (u32 j = 0; j < CT * COLS; j++) {
					u32 cell = 16 * (j / COLS) + cols[j % COLS], c = begin + cell;
					extra[i][j] = -INF;
					if (c < last) extra[i][j] = TM != 0 ? slopes[i] * loadFloat(TM - 1, hide[i] + u64(c) * ms[0]) : 0.0f;
					if (extra[i][j] == -INF) continue;
					if (j / COLS < 2) low |= 1u << cell;
					else high |= 1u << (cell - 32);
				}
			}
			seen(visible[turn], low, high); // and what lies in shared memory is no longer needed
			turn ^= 1;
			if ((low | high) == 0) continue;
			Row8<TV> x[2 * AHEAD];
			if (!LATE) getValues(vHead, begin, x); // on their way while scores are computed
			putKeys(kHead, begin);
			__syncthreads();
			Sums s[CT];
			UNROLL for (u32 j = 0; j < CT; j++) {
				s[j].zero();
				UNROLL for (u32 w = 0; w < KT; w++) {
					Factor f;
					f.load((const u32*)tile + j * 16 * KLINE * 4 + 8 * w, KLINE * 4);
					s[j].add(queries[w], f);
				}
			}
			if (LATE) getValues(vHead, begin, x);
			UNROLL for (u32 i = 0; i < ROWS; i++) {
				float score[CT * COLS];
				UNROLL for (u32 j = 0; j < CT * COLS; j++) score[j] = s[j / COLS].v[Sums::element(i, j % COLS)];
				float keep = weigh<CT * COLS, SHARERS>(score, extra[i], scale, (MORE & 2) != 0, cap, most[i]);
				sum[i] *= keep;
				UNROLL for (u32 j = 0; j < DT * COLS; j++) acc[j / COLS].v[Sums::element(i, j % COLS)] *= keep;
				u16* to = (u16*)(weights + (own + acc[0].row(Sums::element(i, 0))) * WLINE);
				UNROLL for (u32 j = 0; j < CT * COLS; j++) {
					sum[i] += score[j];
					to[16 * (j / COLS) + cols[j % COLS]] = u16(halves(score[j] * RAISE, 0.0f));
				}
			}
			__syncthreads();
			putValues(x, low, high);
			__syncthreads();
			UNROLL for (u32 w = 0; w < CT; w++) {
				Factor f;
				f.load(weights + own * WLINE + 8 * w, WLINE);
				UNROLL for (u32 j = 0; j < DT; j++) {
					Factor g;
					g.load((const u32*)tile + j * 16 * VLINE + 8 * w, VLINE);
					acc[j].add(f, g);
				}
			}
		}
		UNROLL for (u32 i = 0; i < ROWS; i++) {
			float all = sum[i];
			UNROLL for (u32 d = SHARERS / 2; d > 0; d /= 2) all += __shfl_xor(all, int(d));
			u32 r = row0 + own + acc[0].row(Sums::element(i, 0));
			if (r >= rows) continue;
			u32 h = headOf(kvHead, r);
			u64 out = h + u64(heads) * (r / share + u64(tokens) * stream);
			u64 to = SPLIT ? dst + 4 * u64(DV + PART) * (out * splits + split) : dst + 4 * u64(DV) * out;
			if (SPLIT && LANE % SHARERS == 0) {
				F32(to + 4 * DV).v = most[i];
				F32(to + 4 * DV + 4).v = all;
			}
			float keep = 1.0f;
			if (!SPLIT && (MORE & 1)) sink(F32(sinks + u64(h) * ss).v, most[i], all, keep);
			float inv = (SPLIT ? 1.0f : all == 0.0f ? 0.0f : keep / all) / RAISE;
			UNROLL for (u32 j = 0; j < DT * COLS; j++) {
				F32(to + 4 * u64(16 * (j / COLS) + cols[j % COLS])).v = acc[j / COLS].v[Sums::element(i, j % COLS)] * inv;
			}
		}
	}
};

KERNEL(flash_matrix)
