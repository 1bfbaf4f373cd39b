// Functions whose last places count. Vulkan promises little of exp, and nothing of log near 1 or of sine beyond pi.
// Each is a reduction whose parts are exact, and a series that ends below a tenth of a last place.

const float LN2_HI = 0.693359375, LN2_LO = -2.12194440054690583e-4;

// exp2i returns 2^n for n from -126 to 127.
float exp2i(int n) { return uintBitsToFloat(uint(n + 127) << 23); }

// expm1r returns exp(r) - 1 for |r| up to ln(2)/2.
float expm1r(float r) {
	precise float p = 1.98412698e-4;
	p = p * r + 1.38888889e-3;
	p = p * r + 8.33333333e-3;
	p = p * r + 4.16666667e-2;
	p = p * r + 0.166666667;
	p = p * r + 0.5;
	p = p * r * r + r;
	return p;
}

float exp_(float x) {
	if (isNaN(x)) return x;
	if (x > 88.8) return INF;
	if (x < -103.9) return 0.0;
	float n = round(x * 1.44269504);
	precise float r = x - n * LN2_HI;
	r = r - n * LN2_LO;
	precise float y = 1.0 + expm1r(r);
	int half_ = int(n) / 2;
	return y * exp2i(half_) * exp2i(int(n) - half_);
}

float expm1_(float x) {
	if (isNaN(x)) return x;
	if (x > 88.8) return INF;
	if (x < -17.5) return -1.0;
	float n = round(x * 1.44269504);
	precise float r = x - n * LN2_HI;
	r = r - n * LN2_LO;
	precise float p = expm1r(r);
	if (n == 0.0) return p;
	if (n > 126.0) return exp_(x);
	float s = exp2i(int(n));
	precise float a = s - 1.0; // exact, or so large that it does not matter
	precise float y = s * p;
	return a + y;
}

// logm returns log(1+f) for 1+f from sqrt(1/2) to sqrt(2), plus k*ln(2).
float logm(float f, float k) {
	precise float s = f / (2.0 + f);
	precise float z = s * s;
	precise float r = 0.222222222;
	r = r * z + 0.285714286;
	r = r * z + 0.4;
	r = r * z + 0.666666667;
	r = r * z;
	precise float h = 0.5 * f * f;
	precise float lo = s * (h + r) + k * LN2_LO;
	return k * LN2_HI - ((h - lo) - f);
}

float log_(float x) {
	if (isNaN(x) || x < 0.0) return uintBitsToFloat(0x7fc00000);
	if (x == 0.0) return -INF;
	if (isinf(x)) return x;
	uint u = floatBitsToUint(x);
	int k = int(u >> 23) - 127;
	uint m = u & 0x7fffffu;
	if (m > 0x3504f3u) { // above sqrt(2)
		k++;
		return logm(uintBitsToFloat(m | 0x3f000000u) - 1.0, float(k));
	}
	return logm(uintBitsToFloat(m | 0x3f800000u) - 1.0, float(k));
}

// log1p_ returns log(1+u) for u from 0 to 1.
float log1p_(float u) {
	if (u < 0.414) return logm(u, 0.0);
	precise float w = 1.0 + u;
	precise float lost = u - (w - 1.0);
	return log_(w) + lost / w;
}

// sincos_ returns sine and cosine. The angle is reduced by quarter turns in three parts, so that it is good up to 2^17 or so.
vec2 sincos_(float x) {
	if (isNaN(x) || isinf(x)) return vec2(uintBitsToFloat(0x7fc00000));
	if (abs(x) > 131072.0) { // neighbours are whole radians apart soon: somewhere between them
		x -= round(x * 0.159154943) * 6.28318531;
		if (abs(x) > 131072.0) x = 0.0;
	}
	float n = round(x * 0.636619772);
	precise float r = x - n * 1.5703125;
	r = r - n * 4.837512969970703e-4;
	r = r - n * 7.549789948768648e-8;
	precise float z = r * r;
	precise float s = 2.75573192e-6;
	s = s * z - 1.98412698e-4;
	s = s * z + 8.33333333e-3;
	s = s * z - 0.166666667;
	s = s * z * r + r;
	precise float c = -2.75573192e-7;
	c = c * z + 2.48015873e-5;
	c = c * z - 1.38888889e-3;
	c = c * z + 4.16666667e-2;
	c = c * z - 0.5;
	c = c * z + 1.0;
	int q = int(n) & 3;
	if ((q & 1) != 0) {
		float t = s;
		s = c;
		c = t;
	}
	return vec2((q & 2) != 0 ? -s : s, q == 1 || q == 2 ? -c : c);
}

float tanh_(float x) {
	float a = abs(x);
	if (isNaN(x)) return x;
	float y = 1.0;
	if (a < 9.1) {
		precise float t = expm1_(2.0 * a);
		y = t / (t + 2.0);
	}
	return x < 0.0 ? -y : y;
}

float sigmoid_(float x) { return 1.0 / (1.0 + exp_(-x)); }

// erf_ is within 6e-8: a series near 0, and the complement's fit by Press et al., Numerical Recipes, elsewhere.
float erf_(float x) {
	float a = abs(x);
	if (isNaN(x)) return x;
	if (a < 0.75) {
		float z = x * x, p = 1.64621144e-06;
		p = p * z - 1.49256504e-05;
		p = p * z + 0.00012055333;
		p = p * z - 0.000854832702;
		p = p * z + 0.00522397763;
		p = p * z - 0.0268661706;
		p = p * z + 0.112837917;
		p = p * z - 0.376126389;
		p = p * z + 1.12837917;
		return p * x;
	}
	float t = 1.0 / (1.0 + 0.5 * a), q = 0.17087277;
	q = q * t - 0.82215223;
	q = q * t + 1.48851587;
	q = q * t - 1.13520398;
	q = q * t + 0.27886807;
	q = q * t - 0.18628806;
	q = q * t + 0.09678418;
	q = q * t + 0.37409196;
	q = q * t + 1.00002368;
	float y = a > 6.0 ? 1.0 : 1.0 - t * exp_(-a * a - 1.26551223 + t * q);
	return x < 0.0 ? -y : y;
}

// func returns one of tensor.Func, by its number.
float func(uint f, float x) {
	if (isNaN(x)) return f == 1 || f == 3 ? 0.0 : x;
	switch (f) {
	case 0: return abs(x);
	case 1: return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0;
	case 2: return -x;
	case 3: return x > 0.0 ? 1.0 : 0.0;
	case 4: return tanh_(x);
	case 5: return x > 0.0 ? x : expm1_(x);
	case 6: return x > 0.0 ? x : 0.0;
	case 7: return sigmoid_(x);
	case 8: { // GELU by tanh: x * sigmoid(2u)
		if (isinf(x)) return x > 0.0 ? x : uintBitsToFloat(0x7fc00000u);
		precise float u = 1.59576912 * (x + 0.044715 * x * x * x);
		return x * sigmoid_(u);
	}
	case 9: return x * sigmoid_(1.702 * x);
	case 10:
		if (isinf(x)) return x > 0.0 ? x : uintBitsToFloat(0x7fc00000u);
		return 0.5 * x * (1.0 + erf_(x * 0.707106781));
	case 11: return x * sigmoid_(x);
	case 12: return x * clamp(x + 3.0, 0.0, 6.0) / 6.0;
	case 13: return clamp(x + 3.0, 0.0, 6.0) / 6.0;
	case 14: return exp_(x);
	case 15: return expm1_(x);
	case 16: return max(x, 0.0) + log1p_(exp_(-abs(x)));
	case 17: return floor(x);
	case 18: return ceil(x);
	case 19: {
		float t = trunc(x);
		if (abs(x - t) >= 0.5) t += x > 0.0 ? 1.0 : -1.0;
		return t;
	}
	case 20: return trunc(x);
	case 21: return x * x;
	case 22: return sqrt(x);
	case 23: return log_(x);
	case 24: return sincos_(x).x;
	case 25: return sincos_(x).y;
	}
	return x;
}
