#pragma once
#include "math.h"

// Angles are what RoPE turns by.
struct Angles {
	u32 pairs, ps, fs;
	float logHi, logLo;     // of Base, to 2, times 2/Dims, in two parts: the first has few bits
	float stretch, ext, low, ramp, size;
	u32 MODE, YARN, FREQ, INVERSE, SECTION0, SECTION1, SECTION2, SECTION3;

	// power returns Base^(-2*place/Dims): the exponent is exact to far below a last place.
	FN float power(u32 place) const {
		float p = float(place) * logHi;
		float n = roundf(p);
		float f = p - n;
		f = f + float(place) * logLo;
		float y = 1.0f + expm1r(-f * 0.693147181f);
		return y * exp2i(-int(n));
	}

	// axis returns the axis and the place in the series of speeds of a pair.
	FN uvec2 axis(u32 i) const {
		if (MODE < 2) return uvec2(0, i);
		u32 k = i % SECTION3;
		if (MODE == 4) { // in turn, while each has pairs left
			u32 a = k % 3, n = a == 0 ? SECTION0 : a == 1 ? SECTION1 - SECTION0 : SECTION2 - SECTION1;
			return uvec2(k < 3 * n ? a : 3, i);
		}
		u32 a = k < SECTION0 ? 0 : k < SECTION1 ? 1 : k < SECTION2 ? 2 : 3;
		u32 begin = a == 0 ? 0 : a == 1 ? SECTION0 : a == 2 ? SECTION1 : SECTION2;
		return uvec2(a, MODE == 3 ? k - begin : i);
	}

	// turn returns sine and cosine for pair i of token t, of so many.
	FN vec2 turn(u32 i, u32 t, u32 tokens, u64 pos, u64 freq) const {
		uvec2 at = axis(i);
		float theta = float(I32(pos + u64(at.x * tokens + t) * ps).v);
		if (FREQ) theta = theta / F32(freq + u64(i) * fs).v;
		theta = theta * power(at.y);
		if (YARN) {
			float mix = (1.0f - clamp_((float(i) - low) / ramp, 0.0f, 1.0f)) * ext;
			theta = theta * stretch * (1.0f - mix) + theta * mix;
		} else theta = theta * stretch;
		return sincos_(INVERSE ? -theta : theta);
	}

	// pair returns the two elements of pair i.
	FN uvec2 pair(u32 i) const { return MODE == 0 ? uvec2(2 * i, 2 * i + 1) : uvec2(i, i + pairs); }
};
