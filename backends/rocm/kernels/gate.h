#pragma once
#include "math.h"

// gated is GLU of a gate and what it lets through; limit is that of OAI.
FN float gated(u32 func_, bool oai, float alpha, float limit, float g, float u) {
	if (!oai) return func(func_, g) * u;
	if (g > limit) g = limit; // a NaN stays
	if (u > limit) u = limit;
	if (u < -limit) u = -limit;
	return g * sigmoid_(alpha * g) * (u + 1.0f);
}
