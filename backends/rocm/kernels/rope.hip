// RoPE: a thread for each pair, and for each element behind the pairs.
#include "common.h"
#include "math.h"

struct Params {
	u64 x, pos, freq, dst;
	u32 ne[4], xs[4];
	u32 pairs, ps, fs;
	float logHi, logLo;     // of Base, to 2, times 2/Dims, in two parts: the first has few bits
	float stretch, ext, low, ramp, size;
	u32 TYPE, MODE, YARN, FREQ, INVERSE, SECTION0, SECTION1, SECTION2, SECTION3;

	// power returns Base^(-2*place/Dims): the exponent is exact to far below a last place.
	FN float power(u32 place) {
		float p = float(place) * logHi;
		float n = roundf(p);
		float f = p - n;
		f = f + float(place) * logLo;
		float y = 1.0f + expm1r(-f * 0.693147181f);
		return y * exp2i(-int(n));
	}

	// axis returns the axis and the place in the series of speeds of a pair.
	FN uvec2 axis(u32 i) {
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

	FN void run() {
		u32 rest = ne[0] - 2 * pairs, width = pairs + rest;
		u32 g = linearIndex(), i = g % width, r = g / width, i1 = r % ne[1], t = r / ne[1] % ne[2], i3 = r / ne[1] / ne[2];
		if (i3 >= ne[3]) return;
		u64 row = x + u64(i1) * xs[1] + u64(t) * xs[2] + u64(i3) * xs[3];
		u32 es = sizeOf(TYPE);
		u64 to = dst + u64(r) * ne[0] * es;
		if (i >= pairs) {
			u32 e = i + pairs;
			if (TYPE == T_F32) U32(to + 4 * u64(e)).v = U32(row + u64(e) * xs[0]).v;
			else U16(to + 2 * u64(e)).v = U16(row + u64(e) * xs[0]).v;
			return;
		}
		uvec2 at = axis(i);
		float theta = float(I32(pos + u64(at.x * ne[2] + t) * ps).v);
		if (FREQ) theta = theta / F32(freq + u64(i) * fs).v;
		theta = theta * power(at.y);
		if (YARN) {
			float mix = (1.0f - clamp_((float(i) - low) / ramp, 0.0f, 1.0f)) * ext;
			theta = theta * stretch * (1.0f - mix) + theta * mix;
		} else theta = theta * stretch;
		vec2 sc = sincos_(INVERSE ? -theta : theta);
		u32 a = MODE == 0 ? 2 * i : i, b = MODE == 0 ? 2 * i + 1 : i + pairs;
		float u = loadFloat(TYPE, row + u64(a) * xs[0]), v = loadFloat(TYPE, row + u64(b) * xs[0]);
		storeFloat(TYPE, to + u64(a) * es, size * (u * sc.y - v * sc.x));
		storeFloat(TYPE, to + u64(b) * es, size * (u * sc.x + v * sc.y));
	}
};

KERNEL(rope)
