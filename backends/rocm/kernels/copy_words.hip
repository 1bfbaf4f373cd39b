// Copy of what lies together, in words of 16 bytes.
#include "common.h"
#include "wide.h"

struct Params {
	u64 x, dst;
	u32 words;

	FN void run() {
		u32 i = linearIndex();
		if (i < words) U32x4(dst + 16 * u64(i)).v = U32x4(x + 16 * u64(i)).v;
	}
};

KERNEL(copy_words)
