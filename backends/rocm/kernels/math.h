#pragma once
// Functions whose last places count. A library's differ from one version to the next.
// Each is a reduction whose parts are exact, and a series that ends below a tenth of a last place.

#define LN2_HI 0.693359375f
#define LN2_LO -2.12194440054690583e-4f

// exp2i returns 2^n for n from -126 to 127.f
FN float exp2i(int n) { return __uint_as_float(u32(n + 127) << 23); }

// expm1r returns exp(r) - 1 for |r| up to ln(2)/2.f
FN float expm1r(float r) {
	float p = 1.98412698e-4f;
	p = p * r + 1.38888889e-3f;
	p = p * r + 8.33333333e-3f;
	p = p * r + 4.16666667e-2f;
	p = p * r + 0.166666667f;
	p = p * r + 0.5f;
	p = p * r * r + r;
	return p;
}

FN float exp_(float x) {
	if (isnan_(x)) return x;
	if (x > 88.8f) return INF;
	if (x < -103.9f) return 0.0f;
	float n = roundf(x * 1.44269504f);
	float r = x - n * LN2_HI;
	r = r - n * LN2_LO;
	float y = 1.0f + expm1r(r);
	int half_ = int(n) / 2;
	return y * exp2i(half_) * exp2i(int(n) - half_);
}

FN float expm1_(float x) {
	if (isnan_(x)) return x;
	if (x > 88.8f) return INF;
	if (x < -17.5f) return -1.0f;
	float n = roundf(x * 1.44269504f);
	float r = x - n * LN2_HI;
	r = r - n * LN2_LO;
	float p = expm1r(r);
	if (n == 0.0f) return p;
	if (n > 126.0f) return exp_(x);
	float s = exp2i(int(n));
	float a = s - 1.0f; // exact, or so large that it does not matter
	float y = s * p;
	return a + y;
}

// logm returns log(1+f) for 1+f from sqrtf(1/2) to sqrtf(2), plus k*ln(2).
FN float logm(float f, float k) {
	float s = f / (2.0f + f);
	float z = s * s;
	float r = 0.222222222f;
	r = r * z + 0.285714286f;
	r = r * z + 0.4f;
	r = r * z + 0.666666667f;
	r = r * z;
	float h = 0.5f * f * f;
	float lo = s * (h + r) + k * LN2_LO;
	return k * LN2_HI - ((h - lo) - f);
}

FN float log_(float x) {
	if (isnan_(x) || x < 0.0f) return __uint_as_float(0x7fc00000);
	if (x == 0.0f) return -INF;
	if (isinf_(x)) return x;
	u32 u = __float_as_uint(x);
	int k = int(u >> 23) - 127;
	u32 m = u & 0x7fffffu;
	if (m > 0x3504f3u) { // above sqrtf(2)
		k++;
		return logm(__uint_as_float(m | 0x3f000000u) - 1.0f, float(k));
	}
	return logm(__uint_as_float(m | 0x3f800000u) - 1.0f, float(k));
}

// log1p_ returns log(1+u) for u from 0 to 1.f
FN float log1p_(float u) {
	if (u < 0.414f) return logm(u, 0.0f);
	float w = 1.0f + u;
	float lost = u - (w - 1.0f);
	return log_(w) + lost / w;
}

// sincos_ returns sine and cosine. The angle is reduced by quarter turns in three parts, so that it is good up to 2^17 or so.
FN vec2 sincos_(float x) {
	if (isnan_(x) || isinf_(x)) return vec2(__uint_as_float(0x7fc00000));
	if (fabsf(x) > 131072.0f) { // neighbours are whole radians apart soon: somewhere between them
		x -= roundf(x * 0.159154943f) * 6.28318531f;
		if (fabsf(x) > 131072.0f) x = 0.0f;
	}
	float n = roundf(x * 0.636619772f);
	float r = x - n * 1.5703125f;
	r = r - n * 4.837512969970703e-4f;
	r = r - n * 7.549789948768648e-8f;
	float z = r * r;
	float s = 2.75573192e-6f;
	s = s * z - 1.98412698e-4f;
	s = s * z + 8.33333333e-3f;
	s = s * z - 0.166666667f;
	s = s * z * r + r;
	float c = -2.75573192e-7f;
	c = c * z + 2.48015873e-5f;
	c = c * z - 1.38888889e-3f;
	c = c * z + 4.16666667e-2f;
	c = c * z - 0.5f;
	c = c * z + 1.0f;
	int q = int(n) & 3;
	if ((q & 1) != 0) {
		float t = s;
		s = c;
		c = t;
	}
	return vec2((q & 2) != 0 ? -s : s, q == 1 || q == 2 ? -c : c);
}

FN float tanh_(float x) {
	float a = fabsf(x);
	if (isnan_(x)) return x;
	float y = 1.0f;
	if (a < 9.1f) {
		float t = expm1_(2.0f * a);
		y = t / (t + 2.0f);
	}
	return x < 0.0f ? -y : y;
}

FN float sigmoid_(float x) { return 1.0f / (1.0f + exp_(-x)); }

// erf_ is within 2e-7.f Source: Abramowitz and Stegun, 7.1.26.
FN float erf_(float x) {
	float a = fabsf(x);
	if (isnan_(x)) return x;
	float y = 1.0f;
	if (a < 4.0f) {
		float t = 1.0f / (1.0f + 0.3275911f * a);
		y = 1.0f - ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t * exp_(-a * a);
	}
	return x < 0.0f ? -y : y;
}

// func returns one of tensor.Func, by its number.
FN float func(u32 f, float x) {
	if (isnan_(x)) return f == 1 || f == 3 ? 0.0f : x;
	switch (f) {
	case 0: return fabsf(x);
	case 1: return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f;
	case 2: return -x;
	case 3: return x > 0.0f ? 1.0f : 0.0f;
	case 4: return tanh_(x);
	case 5: return x > 0.0f ? x : expm1_(x);
	case 6: return x > 0.0f ? x : 0.0f;
	case 7: return sigmoid_(x);
	case 8: { // GELU by tanh: x * sigmoid(2u)
		if (isinf_(x)) return x > 0.0f ? x : __uint_as_float(0x7fc00000u);
		float u = 1.59576912f * (x + 0.044715f * x * x * x);
		return x * sigmoid_(u);
	}
	case 9: return x * sigmoid_(1.702f * x);
	case 10:
		if (isinf_(x)) return x > 0.0f ? x : __uint_as_float(0x7fc00000u);
		return 0.5f * x * (1.0f + erf_(x * 0.707106781f));
	case 11: return x * sigmoid_(x);
	case 12: return x * clamp_(x + 3.0f, 0.0f, 6.0f) / 6.0f;
	case 13: return clamp_(x + 3.0f, 0.0f, 6.0f) / 6.0f;
	case 14: return exp_(x);
	case 15: return expm1_(x);
	case 16: return max_(x, 0.0f) + log1p_(exp_(-fabsf(x)));
	case 17: return floorf(x);
	case 18: return ceilf(x);
	case 19: {
		float t = truncf(x);
		if (fabsf(x - t) >= 0.5f) t += x > 0.0f ? 1.0f : -1.0f;
		return t;
	}
	case 20: return truncf(x);
	case 21: return x * x;
	case 22: return sqrtf(x);
	case 23: return log_(x);
	case 24: return sincos_(x).x;
	case 25: return sincos_(x).y;
	}
	return x;
}
