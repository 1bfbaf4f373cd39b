// What RoPE kernels share: the angle of each pair. It is included behind the Params.

// power returns Base^(-2*place/Dims): the exponent is exact to far below a last place.
float power(uint place) {
	precise float p = float(place) * logHi;
	float n = round(p);
	precise float f = p - n;
	f = f + float(place) * logLo;
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

// turn returns sine and cosine for pair i of a token; ne2 is how many tokens there are.
vec2 turn(uint i, uint t, uint ne2) {
	uvec2 at = axis(i);
	precise float theta = float(I32(pos + uint64_t(at.x * ne2 + t) * ps).v);
	if (FREQ) theta = theta / F32(freq + uint64_t(i) * fs).v;
	theta = theta * power(at.y);
	if (YARN) {
		float mix = (1.0 - clamp((float(i) - low) / ramp, 0.0, 1.0)) * ext;
		theta = theta * stretch * (1.0 - mix) + theta * mix;
	} else theta = theta * stretch;
	return sincos_(INVERSE ? -theta : theta);
}
