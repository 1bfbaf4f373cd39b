// The activations of products with quantized weights: rows of F32 as blocks of 32 signed bytes, eight threads for each. They are rounded
// once for all products that read them.
#include "common.h"
#include "round.h"

struct Params {
	u64 x, bytes, scales;
	u32 blocks, width; // of all rows, and of one
	u32 ne1, ne2, st1, st2, st3;

	FN void run() {
		u32 i = linearIndex(), block = i / 8;
		bool on = block < blocks;
		Floats4 v = floats4(0.0f, 0.0f, 0.0f, 0.0f);
		if (on) {
			u32 r = block / width, c = block % width;
			u64 row = x + u64(r % ne1) * st1 + u64(r / ne1 % ne2) * st2 + u64(r / ne1 / ne2) * st3;
			v = F32x4(row + 128 * u64(c) + 16 * (i % 8)).v;
		}
		round32(v, bytes, scales, i, on);
	}
};

KERNEL(round_rows)
