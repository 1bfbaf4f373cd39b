// Adds up the parts of attention: a block for each head and token.
#include "common.h"
#include "attention.h"

struct Params {
	Parts parts;
	u32 rows;

	FN void run() {
		u32 r = linearGroup();
		if (r < rows) parts.join<1, 128>(1, [&](u32) { return r; });
	}
};

KERNEL(flash_merge)
