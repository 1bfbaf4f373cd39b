// Sorts the rows of a MatMulID by expert, in one block: slots gets the rows, one expert's after another's, and tiles gets for each tile of
// the product its expert, where its rows begin and how many there are. Tiles that are left over have none.
#include "common.h"

constexpr u32 MAX_EXPERTS = 1024;

static __shared__ u32 count[MAX_EXPERTS], first[MAX_EXPERTS], tile[MAX_EXPERTS];
static __shared__ u32 filled;

struct Params {
	u64 ids, slots, tiles, faults;
	u32 node, pad;
	u32 experts, each; // each: rows of a tile
	u32 used, rows, most, is0, is1;

	FN int idOf(u32 r) const { return I32(ids + u64(r % used) * is0 + u64(r / used) * is1).v; }

	FN void run() {
		u32 lid = threadIdx.x;
		if (linearGroup() > 0) return;
		for (u32 e = lid; e < experts; e += LOCAL) count[e] = 0;
		__syncthreads();
		for (u32 r = lid; r < rows; r += LOCAL) {
			int id = idOf(r);
			if (id < 0 || id >= int(experts)) fault(faults, node, i64(id), experts);
			else atomicAdd(&count[id], 1u);
		}
		__syncthreads();
		if (lid == 0) {
			u32 at = 0, t = 0;
			for (u32 e = 0; e < experts; e++) {
				first[e] = at;
				tile[e] = t;
				at += count[e];
				t += (count[e] + each - 1) / each;
			}
			filled = t;
		}
		__syncthreads();
		for (u32 e = lid; e < experts; e += LOCAL) {
			for (u32 i = 0; i < count[e]; i += each) {
				u64 to = tiles + 12 * u64(tile[e] + i / each);
				U32(to).v = e;
				U32(to + 4).v = first[e] + i;
				U32(to + 8).v = min_(each, count[e] - i);
			}
		}
		for (u32 t = filled + lid; t < most; t += LOCAL) U32(tiles + 12 * u64(t) + 8).v = 0;
		__syncthreads();
		for (u32 r = lid; r < rows; r += LOCAL) {
			int id = idOf(r);
			if (id >= 0 && id < int(experts)) U32(slots + 4 * u64(atomicAdd(&first[id], 1u))).v = r;
		}
	}
};

KERNEL(group_ids)
