// Copy, Concat and Repeat: a thread for each element, or for each block of a block format. Equal types are moved as bytes.
#include "common.h"
#include "dequant.h"
#include "quantize.h"

struct Params {
	u64 x, dst;
	u32 n;                // threads
	u32 ne[4];            // what they count: elements, or blocks where either type has them, and rows
	u32 xn[4], xs[4], ds[4];
	u32 FROM, TO, REPEAT;

	FN bool isInteger(u32 type) { return type >= T_I8 && type <= T_I64; }

	FN bool negative(i64 v) { return v < 0; }

	FN i64 loadInteger(u32 type, u64 at) {
		if (type == T_I8) return i64(int(I8(at).v));
		if (type == T_I16) return i64(int(i16(U16(at).v)));
		if (type == T_I32) return i64(I32(at).v);
		return i64(U64(at).v);
	}

	FN void storeInteger(u32 type, u64 at, i64 v) {
		if (type == T_I64) {
			U64(at).v = u64(v);
			return;
		}
		u32 bits = 8 * sizeOf(type);
		u64 most = (u64(1) << (bits - 1)) - 1;
		bool neg = negative(v);
		u64 beyond = neg ? ~u64(v) : u64(v);
		if (beyond > most) v = i64(neg ? ~most : most);
		if (type == T_I8) U8(at).v = u8(u32(v & 255));
		else if (type == T_I16) U16(at).v = u16(u32(v & 65535));
		else U32(at).v = u32(v);
	}

	// nearest rounds to an integer that fits 64 bits, halves to even; NaN is 0.f Beyond 2^24 every float32 is an integer.
	FN i64 nearest(float f) {
		if (isnan_(f)) return i64(0);
		if (f >= 9.2233720368547758e18f) return i64(0x7fffffffffffffffL);
		if (f <= -9.2233720368547758e18f) return -i64(0x7fffffffffffffffL) - 1;
		u32 u = __float_as_uint(f), e = u >> 23 & 255u;
		u64 m = u64(u & 0x7fffffu | 0x800000u), v;
		if (e >= 150) v = m << (e - 150);
		else if (e < 126) v = 0; // below a half
		else {
			u32 shift = 150 - e;
			u64 rest = m & ((u64(1) << shift) - 1), mid = u64(1) << (shift - 1);
			v = m >> shift;
			if (rest > mid || rest == mid && (v & 1) != 0) v++;
		}
		return (u >> 31) != 0 ? -i64(v) : i64(v);
	}

	// toFloat rounds an integer to the nearest float32, halves to even, by its bits.
	FN float toFloat(i64 v) {
		bool neg = negative(v);
		u64 a = neg ? u64(-v) : u64(v);
		u32 shift = 0;
		while ((a >> shift) >= 16777216) shift++;
		u64 q = a >> shift;
		if (shift > 0) {
			u64 rest = a & ((u64(1) << shift) - 1), mid = u64(1) << (shift - 1);
			if (rest > mid || rest == mid && (q & 1) != 0) q++;
		}
		float f = float(u32(q)) * __uint_as_float((shift + 127) << 23);
		return neg ? -f : f;
	}

	// toF64 widens: every float32 is a float64.
	FN u64 toF64(float x) {
		u32 u = __float_as_uint(x), e = u >> 23 & 255u, m = u & 0x7fffffu;
		u64 s = u64(u >> 31) << 63;
		if (e == 255) return s | u64(0x7ff) << 52 | u64(m) << 29;
		if (e == 0) {
			if (m == 0) return s;
			u32 top = u32((31 - __clz(m)));
			return s | u64(top + 874) << 52 | (u64(m) << (52 - top) & 0xfffffffffffffUL);
		}
		return s | u64(e + 896) << 52 | u64(m) << 29;
	}

	// narrow rounds a float64 once, to nearest, to a type with so many bits of mantissa and such a bias.
	FN u32 narrow(u64 u, u32 bits, int bias) {
		u32 s = u32(u >> 63) << (bits == 23 ? 31 : 15), end = u32(2 * bias + 1) << bits;
		int e = int(u32(u >> 52) & 0x7ffu);
		u64 m = u & 0xfffffffffffffUL;
		if (e == 0x7ff) return s | end | (m != 0 ? 1u << (bits - 1) : 0u);
		if (e == 0) return s;
		e += bias - 1023;
		int shift = 52 - int(bits) + (e <= 0 ? 1 - e : 0);
		if (shift > 54) return s;
		m |= u64(1) << 52;
		u64 rest = m & ((u64(1) << shift) - 1), mid = u64(1) << (shift - 1);
		u32 q = u32(m >> shift);
		if (rest > mid || rest == mid && (q & 1u) != 0) q++;
		if (e > 0) {
			if (e >= 2 * bias + 1) return s | end;
			q += u32(e - 1) << bits;
		}
		return s | min_(q, end);
	}

	FN void run() {
		u32 g = linearIndex();
		if (g >= n) return;
		uvec4 c = coords(g, ne), s = c;
		if (REPEAT) s = uvec4(c.x % xn[0], c.y % xn[1], c.z % xn[2], c.w % xn[3]);
		if (FROM == TO) { // bytes
			u64 from = x + offset(s, xs), to = dst + offset(c, ds);
			u32 size = sizeOf(FROM);
			if (size == 8) U64(to).v = U64(from).v;
			else if (size == 4) U32(to).v = U32(from).v;
			else if (size == 2) U16(to).v = U16(from).v;
			else if ((size & 1u) == 0) for (u32 i = 0; i < size; i += 2) U16(to + i).v = U16(from + i).v;
			else for (u32 i = 0; i < size; i++) U8(to + i).v = U8(from + i).v;
			return;
		}
		u64 from = x + u64(s.y) * xs[1] + u64(s.z) * xs[2] + u64(s.w) * xs[3];
		u64 to = dst + u64(c.y) * ds[1] + u64(c.z) * ds[2] + u64(c.w) * ds[3];
		if (isQuantized(TO)) {
			Encoder enc;
			u32 len = 32 * (c.x + 1);
			for (u32 e = 0; e < 32; e += 4) {
				vec4 v = row4(FROM, from, xs[0], 32 * c.x + e, len);
				for (u32 k = 0; k < 4; k++) enc.quantX[e + k] = v[k];
			}
			enc.encode(TO, to + u64(c.x) * ds[0]);
		} else if (isQuantized(FROM)) { // four elements
			vec4 v = row4(FROM, from, xs[0], 4 * c.x, 4 * c.x + 4);
			for (u32 k = 0; k < 4; k++) storeFloat(TO, to + u64(4 * c.x + k) * ds[0], v[k]);
		} else if (isInteger(FROM)) {
			i64 v = loadInteger(FROM, from + u64(s.x) * xs[0]);
			if (isInteger(TO)) storeInteger(TO, to + u64(c.x) * ds[0], v);
			else F32(to + u64(c.x) * ds[0]).v = toFloat(v);
		} else if (FROM == T_F64) {
			u64 u = U64(from + u64(s.x) * xs[0]).v;
			u64 at = to + u64(c.x) * ds[0];
			if (TO == T_F32) U32(at).v = narrow(u, 23, 127);
			else U16(at).v = u16(TO == T_F16 ? narrow(u, 10, 15) : narrow(u, 7, 127));
		} else if (TO == T_F64) {
			U64(to + u64(c.x) * ds[0]).v = toF64(loadFloat(FROM, from + u64(s.x) * xs[0]));
		} else {
			float v = loadFloat(FROM, from + u64(s.x) * xs[0]);
			if (isInteger(TO)) storeInteger(TO, to + u64(c.x) * ds[0], nearest(v));
			else storeFloat(TO, to + u64(c.x) * ds[0], v);
		}
	}
};

KERNEL(copy)
