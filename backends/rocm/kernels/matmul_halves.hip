// Products for many rows of b by matrices of halves, or of BF16 if weights are, with sums in F32: tiles of BM rows of a, decoded on the way into shared memory, by BN
// rows of b, which halve_rows has converted. What comes next is loaded into registers while a tile is multiplied, and a wave has WM by WN
// of the result.
// constants: TA FORM BM BN WM WN
#include "common.h"
#include "blocks.h"
#include "parts.h"
#define BRAIN (TA == 30u) // T_BF16
#include "matrix.h"

constexpr u32 BK = 64, LINE = BK / 2 + 4;      // words of a row in shared memory: rows begin in different banks
constexpr u32 CM = WM / 16, CN = WN / 16;
constexpr u32 A_BLOCKS = BM * BK / 32 / LOCAL; // of quantized weights, in a thread
constexpr u32 A_WORDS = BM * BK / 8 / LOCAL;   // of 16 bytes of halves
constexpr u32 B_WORDS = BN * BK / 8 / LOCAL;
constexpr bool HALVES = TA == T_F16 || TA == T_BF16; // weights lie as they are multiplied
constexpr u32 UNIT = HALVES ? 16 : 1;                  // rows of a begin at multiples of these bytes
static_assert(A_BLOCKS * LOCAL * 32 == BM * BK && B_WORDS * LOCAL * 8 == BN * BK, "threads share tiles evenly");

static __shared__ Words4 sa[BM * LINE / 4], sb[BN * LINE / 4];
static __shared__ u32 slotOf[BN]; // which row of the result each of a tile is
static __shared__ float scaleOf[BN];

// Tile is what a thread has loaded, and where from: offsets in units, which take half the registers of addresses.
struct Tile {
	Block a[HALVES ? 1 : A_BLOCKS];
	Words4 halves[HALVES ? A_WORDS : 1];
	Words4 b[B_WORDS];
	u32 arow[HALVES ? A_WORDS : A_BLOCKS], brow[B_WORDS]; // of UNIT bytes, and of 16
};

struct Params {
	u64 slots, tiles; // of experts: see group_ids; otherwise 0
	Part parts[MAX_PARTS]; // whose groups are tiles of rows of a; with splits dst is for sum_splits
	u64 x, scales;
	u32 n, k, kp;     // kp: halves in a row of x
	u32 groups, cols; // tiles of rows of a, of all parts, and of b
	u32 as1, as2;
	u32 used, bused, addStep;
	u32 splits, each; // blocks that share the length of rows, and how much of it each has

	// load reads the tile at k into registers.
	FN void load(Tile& t, u64 pa, u32 at) const {
		u32 lid = threadIdx.x;
		if (HALVES) {
			UNROLL for (u32 i = 0; i < A_WORDS; i++) {
				u32 c = at + (lid + i * LOCAL) % (BK / 8) * 8;
				t.halves[i] = words4(0, 0, 0, 0);
				if (c < k) t.halves[i] = U32x4(pa + UNIT * u64(t.arow[i]) + 2 * u64(c)).v;
			}
		} else {
			UNROLL for (u32 i = 0; i < A_BLOCKS; i++) {
				u32 c = at / 32 + (lid + i * LOCAL) % (BK / 32);
				t.a[i] = blockAt(TA, pa + UNIT * u64(t.arow[i]), min_(c, k / 32 - 1));
				if (c >= k / 32) {
					t.a[i].d[0] = t.a[i].d[1] = t.a[i].m[0] = t.a[i].m[1] = 0.0f;
				}
			}
		}
		UNROLL for (u32 i = 0; i < B_WORDS; i++) t.b[i] = U32x4(x + 16 * u64(t.brow[i]) + 2 * u64(at)).v;
	}

	// store decodes the registers into shared memory.
	FN void store(const Tile& t) const {
		u32 lid = threadIdx.x;
		if (HALVES) {
			UNROLL for (u32 i = 0; i < A_WORDS; i++) {
				u32 w = lid + i * LOCAL;
				sa[w / (BK / 8) * (LINE / 4) + w % (BK / 8)] = t.halves[i];
			}
		} else {
			UNROLL for (u32 i = 0; i < A_BLOCKS; i++) {
				u32 w = lid + i * LOCAL;
				UNROLL for (u32 j = 0; j < 4; j++) sa[w / (BK / 32) * (LINE / 4) + w % (BK / 32) * 4 + j] = decode(t.a[i], j);
			}
		}
		UNROLL for (u32 i = 0; i < B_WORDS; i++) {
			u32 w = lid + i * LOCAL;
			sb[w / (BK / 8) * (LINE / 4) + w % (BK / 8)] = t.b[i];
		}
	}

	// decode returns eight weights of a block. It computes in halves, as which they are multiplied: two at a time, and where m is a multiple of d it
	// rounds once.
	FN Words4 decode(const Block& b, u32 eight) const {
		constexpr bool affine = !zeroMin(TA) && zeroOf(TA) == 0;
		constexpr u32 flip = signedBytes(TA) ? 0x80808080u : 0, less = (0xe400u + (signedBytes(TA) ? 128 : zeroOf(TA))) * 0x10001u; // -1024 and so on
		u32 at = oneScale(TA) ? 0 : eight / 2, d = bothHalves(b.d[at]), m = affine ? bothHalves(b.m[at]) : 0;
		Words4 to;
		UNROLL for (u32 j = 0; j < 4; j++) {
			u32 w = b.q[2 * eight + j / 2] ^ flip, q = addHalves(j % 2 == 0 ? firstBytes(w) : lastBytes(w), less);
			to[j] = affine ? fmaHalves(q, d, m) : mulHalves(q, d);
		}
		return to;
	}

	FN u32 slot(u32 j) const { return slots != 0 ? U32(slots + 4 * u64(j)).v : j; }

	// xrow returns the row of x for row j of the product.
	FN u32 xrow(u32 j) const {
		u32 r = slot(j);
		return slots != 0 ? r / used * bused + r % used % bused : r;
	}

	// begin finds a tile's rows.
	FN void begin(Tile& t, u32 m, u32 tm, u32 first, u32 count) const {
		u32 lid = threadIdx.x;
		constexpr u32 pieces = HALVES ? BK / 8 : BK / 32; // of a row of a
		UNROLL for (u32 i = 0; i < (HALVES ? A_WORDS : A_BLOCKS); i++) {
			t.arow[i] = min_(tm * BM + (lid + i * LOCAL) / pieces, m - 1) * (as1 / UNIT);
		}
		UNROLL for (u32 i = 0; i < B_WORDS; i++) {
			u32 w = lid + i * LOCAL;
			t.brow[i] = xrow(first + min_(w / (BK / 8), count - 1)) * (kp / 8) + w % (BK / 8);
		}
		for (u32 c = lid; c < BN; c += LOCAL) {
			u32 j = first + min_(c, count - 1);
			slotOf[c] = slot(j);
			scaleOf[c] = F32(scales + 4 * u64(xrow(j))).v;
		}
	}

	FN void run() {
		u32 g = linearGroup(), tn = g % cols, tm = g / cols % groups, split = g / cols / groups;
		u32 first = tn * BN, count = min_(BN, n - first), from = split * each, to = min_(k, from + each);
		if (split >= splits) return;
		Part part = partOf(parts, tm);
		u64 pa = part.a;
		if (slots != 0) {
			u64 t = tiles + 12 * u64(tn);
			count = U32(t + 8).v;
			if (count == 0) return;
			pa += u64(U32(t).v) * as2;
			first = U32(t + 4).v;
		}
		Tile t;
		begin(t, part.m, tm, first, count);
		Sums sums[CM * CN];
		UNROLL for (u32 i = 0; i < CM * CN; i++) sums[i].zero();
		u32 wm = WAVE_ID % (BM / WM) * WM, wn = WAVE_ID / (BM / WM) * WN;
		load(t, pa, from);
		for (u32 at = from; at < to; at += BK) {
			__syncthreads();
			store(t);
			__syncthreads();
			if (at + BK < to) load(t, pa, at + BK);
			UNROLL for (u32 s = 0; s < BK / 2; s += 8) {
				Factor fa[CM];
				UNROLL for (u32 i = 0; i < CM; i++) fa[i].load((const u32*)sa + (wm + i * 16) * LINE + s, LINE);
				UNROLL for (u32 j = 0; j < CN; j++) {
					Factor fb;
					fb.load((const u32*)sb + (wn + j * 16) * LINE + s, LINE);
					UNROLL for (u32 i = 0; i < CM; i++) sums[i * CN + j].add(fb, fa[i]);
				}
			}
		}
		UNROLL for (u32 j = 0; j < CN; j++) {
			UNROLL for (u32 i = 0; i < CM; i++) end(sums[i * CN + j], part, tm * BM + wm + i * 16, wn + j * 16, count, split);
		}
	}

	// end stores a matrix of the result. Its columns are rows of a.
	FN void end(const Sums& s, const Part& part, u32 r0, u32 c0, u32 count, u32 split) const {
		u32 m = part.m;
		UNROLL for (u32 e = 0; e < SUMS; e++) {
			u32 r = r0 + s.col(e), c = c0 + s.row(e);
			if (r >= m || c >= count) continue;
			u32 to = slotOf[c];
			if (splits > 1) {
				F32(part.dst + 4 * (u64(r) + u64(m) * (to + n * split))).v = s.v[e];
				continue;
			}
			float y = s.v[e] * scaleOf[c];
			if (part.add != 0) y += F32(part.add + u64(to) * addStep + 4 * u64(r)).v;
			F32(part.dst + 4 * (u64(r) + u64(m) * to)).v = y;
		}
	}
};

KERNEL(matmul_halves)
