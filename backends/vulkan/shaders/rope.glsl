// The angles of RoPE. All that is fixed for a model's layer is constant.

layout(constant_id = 3) const uint MODE = 0; // of tensor.RoPEMode
layout(constant_id = 4) const bool YARN = false;
layout(constant_id = 5) const bool FREQ = false;
layout(constant_id = 6) const bool INVERSE = false;
layout(constant_id = 7) const uint SECTION0 = 0; // where each section ends
layout(constant_id = 8) const uint SECTION1 = 0;
layout(constant_id = 9) const uint SECTION2 = 0;
layout(constant_id = 10) const uint SECTION3 = 0;
layout(constant_id = 11) const uint PAIRS = 0;
layout(constant_id = 12) const float LOG_HI = 0.0; // of Base, to 2, times 2/Dims, in two parts: the first has few bits
layout(constant_id = 13) const float LOG_LO = 0.0;
layout(constant_id = 14) const float STRETCH = 1.0;
layout(constant_id = 15) const float EXT = 0.0;
layout(constant_id = 16) const float LOW = 0.0;
layout(constant_id = 17) const float RAMP = 1.0;
layout(constant_id = 18) const float SIZE = 1.0;

// power returns Base^(-2*place/Dims): the exponent is exact to far below a last place.
float power(uint place) {
	precise float p = float(place) * LOG_HI;
	float n = round(p);
	precise float f = p - n;
	f = f + float(place) * LOG_LO;
	precise float y = 1.0 + expm1r(-f * 0.693147181);
	return y * exp2i(-int(n));
}

// axis returns the axis and the place in the series of speeds of a pair.
uvec2 axis(uint i) {
	if (MODE < 2) return uvec2(0, i);
	uint k = i % SECTION3;
	if (MODE == 4) { // in turn, while each has pairs left
		uint a = k % 3, n = a == 0 ? SECTION0 : a == 1 ? SECTION1 - SECTION0 : SECTION2 - SECTION1;
		return uvec2(k < 3 * n ? a : 3, i);
	}
	uint a = k < SECTION0 ? 0 : k < SECTION1 ? 1 : k < SECTION2 ? 2 : 3;
	uint begin = a == 0 ? 0 : a == 1 ? SECTION0 : a == 2 ? SECTION1 : SECTION2;
	return uvec2(a, MODE == 3 ? k - begin : i);
}

// turn returns sine and cosine for pair i of token t, of so many.
vec2 turn(uint i, uint t, uint tokens, uint64_t pos, uint ps, uint64_t freq, uint fs) {
	uvec2 at = axis(i);
	precise float theta = float(I32(pos + uint64_t(at.x * tokens + t) * ps).v);
	if (FREQ) theta = theta / F32(freq + uint64_t(i) * fs).v;
	theta = theta * power(at.y);
	if (YARN) {
		float mix = (1.0 - clamp((float(i) - LOW) / RAMP, 0.0, 1.0)) * EXT;
		theta = theta * STRETCH * (1.0 - mix) + theta * mix;
	} else theta = theta * STRETCH;
	return sincos_(INVERSE ? -theta : theta);
}

// pair returns the two elements of pair i.
uvec2 pair(uint i) { return MODE == 0 ? uvec2(2 * i, 2 * i + 1) : uvec2(i, i + PAIRS); }
