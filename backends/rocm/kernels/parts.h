#pragma once
#include "common.h"

// Part is one product of those that share a factor b: they are one launch, because each by itself may be too small to busy a card.
struct Part {
	u64 a, add, dst; // add: to the result, or 0
	u32 m, groups;   // rows of a, and blocks, or tiles, for them
};

constexpr u32 MAX_PARTS = 3;

// partOf returns the part of which block g of all is, whose number in that part g becomes.
FN Part partOf(const Part* parts, u32& g) {
	Part p = parts[0];
	UNROLL for (u32 i = 1; i < MAX_PARTS; i++) {
		if (g < p.groups) break;
		g -= p.groups;
		p = parts[i];
	}
	return p;
}
