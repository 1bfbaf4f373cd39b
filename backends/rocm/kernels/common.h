#pragma once
// What every kernel begins with: numbers by size, small vectors, memory by address, types and their conversions. It is all in
// the language that hiprtc compiles without a header: sources are compiled on machines that have a runtime and no SDK.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char i8;
typedef short i16;
typedef long long i64;

#define FN __device__ inline
#define UNROLL _Pragma("unroll")
#define NO_UNROLL _Pragma("unroll 1")

// LOCAL is defined when a kernel is compiled: how many threads a block has.
#ifndef LOCAL
#define LOCAL 256
#endif

// A wave has 32 or 64 threads, and a block a whole number of waves.
#define WAVE (u32(warpSize))
#define WAVES (LOCAL / WAVE)
#define WAVE_ID (threadIdx.x / WAVE)
#define LANE (threadIdx.x % WAVE)

// A kernel is a struct of its parameters with a method run. Its name is that of its file behind tenon_: a runtime has functions, too.
// One that defines BUSY, before it includes this, wants so many waves to find room in a unit of the card at a time, or one less on cards with half
// the registers.
#if defined(__gfx900__) || defined(__gfx902__) || defined(__gfx904__) || defined(__gfx906__) || defined(__gfx908__) || defined(__gfx909__)
#define FEW_REGISTERS 1
#else
#define FEW_REGISTERS 0
#endif
#ifdef BUSY
#define BOUNDS LOCAL, (BUSY) - FEW_REGISTERS
#else
#define BOUNDS LOCAL
#endif
#define KERNEL(name) \
	extern "C" __global__ void __launch_bounds__(BOUNDS) tenon_##name(Params params) { params.run(); }

template <class T> FN T min_(T a, T b) { return b < a ? b : a; }
template <class T> FN T max_(T a, T b) { return a < b ? b : a; }
template <class T> FN T clamp_(T x, T lo, T hi) { return min_(max_(x, lo), hi); }

FN bool isnan_(float x) { return (__float_as_uint(x) & 0x7fffffffu) > 0x7f800000u; }
FN bool isinf_(float x) { return (__float_as_uint(x) & 0x7fffffffu) == 0x7f800000u; }

struct vec2 {
	float x, y;
	FN vec2() {}
	FN explicit vec2(float v) : x(v), y(v) {}
	FN vec2(float a, float b) : x(a), y(b) {}
};

FN vec2 operator*(float a, vec2 b) { return vec2(a * b.x, a * b.y); }
FN void operator+=(vec2& a, vec2 b) { a = vec2(a.x + b.x, a.y + b.y); }

struct vec3 {
	float x, y, z;
	FN vec3() {}
	FN explicit vec3(float v) : x(v), y(v), z(v) {}
	FN vec3(float a, float b, float c) : x(a), y(b), z(c) {}
};

FN vec3 operator*(float a, vec3 b) { return vec3(a * b.x, a * b.y, a * b.z); }
FN void operator+=(vec3& a, vec3 b) { a = vec3(a.x + b.x, a.y + b.y, a.z + b.z); }

struct uvec2 {
	u32 x, y;
	FN uvec2(u32 a, u32 b) : x(a), y(b) {}
};

struct uvec4 {
	u32 x, y, z, w;
	FN uvec4() {}
	FN uvec4(u32 a, u32 b, u32 c, u32 d) : x(a), y(b), z(c), w(d) {}
};

struct ivec4 {
	int x, y, z, w;
	FN ivec4(int a, int b, int c, int d) : x(a), y(b), z(c), w(d) {}
};

struct vec4 {
	float x, y, z, w;
	FN vec4() {}
	FN explicit vec4(float v) : x(v), y(v), z(v), w(v) {}
	FN explicit vec4(uvec4 v) : x(v.x), y(v.y), z(v.z), w(v.w) {}
	FN explicit vec4(ivec4 v) : x(v.x), y(v.y), z(v.z), w(v.w) {}
	FN vec4(float a, float b, float c, float d) : x(a), y(b), z(c), w(d) {}
	FN float& operator[](u32 i) { return (&x)[i]; }
};

FN vec4 operator*(vec4 a, float b) { return vec4(a.x * b, a.y * b, a.z * b, a.w * b); }
FN vec4 operator*(float a, vec4 b) { return b * a; }
FN vec4 operator+(vec4 a, float b) { return vec4(a.x + b, a.y + b, a.z + b, a.w + b); }
FN vec4 operator-(vec4 a, float b) { return a + -b; }
FN void operator+=(vec4& a, vec4 b) { a = vec4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
FN void operator*=(vec4& a, float b) { a = a * b; }
FN float dot(vec4 a, vec4 b) { return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }

// GLOBAL says of a pointer that it is none to shared memory: of one made of a number the compiler does not know, and it would wait
// for both kinds at each load.
#if defined(__AMDGCN__) && defined(__clang__)
#define GLOBAL __attribute__((address_space(1)))
#else
#define GLOBAL
#endif

#ifndef GLOBAL_AT // a test aid may have some of its own
#define GLOBAL_AT(T, at) ((GLOBAL T*)(at))
#define CLASS_AT(T, at) ((T*)(at))
#endif

// Memory by address: each is one value where an address points. A class has to make do without GLOBAL, because it cannot be copied
// out of it; a vector of the compiler's can.
template <class T, bool isClass = __is_class(T)> struct At {
	GLOBAL T& v;
	FN explicit At(u64 at) : v(*GLOBAL_AT(T, at)) {}
};

template <class T> struct At<T, true> {
	T& v;
	FN explicit At(u64 at) : v(*CLASS_AT(T, at)) {}
};

typedef At<u8> U8;
typedef At<i8> I8;
typedef At<u16> U16;
typedef At<u32> U32;
typedef At<int> I32;
typedef At<u64> U64;
typedef At<float> F32;

// Element types, by the numbers of GGUF, which are those of tensor.DType.
enum : u32 {
	T_F32 = 0, T_F16 = 1, T_Q4_0 = 2, T_Q4_1 = 3, T_Q5_0 = 6, T_Q5_1 = 7, T_Q8_0 = 8, T_Q8_1 = 9,
	T_Q2_K = 10, T_Q3_K = 11, T_Q4_K = 12, T_Q5_K = 13, T_Q6_K = 14, T_Q8_K = 15,
	T_IQ4_NL = 20, T_IQ4_XS = 23, T_I8 = 24, T_I16 = 25, T_I32 = 26, T_I64 = 27, T_F64 = 28, T_BF16 = 30, T_MXFP4 = 39,
};

#define INF __uint_as_float(0x7f800000u)

// linearGroup numbers the blocks of a launch, and linearIndex its threads: recorder.linear has sized it.
FN u32 linearGroup() { return blockIdx.y * gridDim.x + blockIdx.x; }
FN u32 linearIndex() { return linearGroup() * LOCAL + threadIdx.x; }

// rowMove returns what another of the same 16 threads of a wave has: lane ^ 1, ^ 2, ^ 7 or ^ 15. Within rows of 16 registers are moved on
// the way into an instruction (DPP), which takes a tenth of the time of a shuffle.
#ifndef ROW_MOVE // a test aid may have one of its own
#if defined(__AMDGCN__)
#define ROW_MOVE(v, x) __builtin_amdgcn_update_dpp(0, v, x == 1 ? 0xb1 : x == 2 ? 0x4e : x == 7 ? 0x141 : 0x140, 15, 15, true)
#else
#define ROW_MOVE(v, x) __shfl_xor(v, x)
#endif
#endif

// OCTET_MOVE is that among eight threads in a row, 1, 2 or 7 apart by XOR, where whole eights of a wave may be elsewhere.
#ifndef OCTET_MOVE // a test aid may have one of its own
#define OCTET_MOVE(v, x) ROW_MOVE(v, x)
#endif

template <int X> FN float rowMove(float v) { return __uint_as_float(u32(ROW_MOVE(int(__float_as_uint(v)), X))); }

// waveSum adds up over a wave; each thread gets the sum. waveMax takes numbers: NaN must not come here.
FN float waveSum(float v) {
	v += rowMove<1>(v);
	v += rowMove<2>(v);
	v += rowMove<7>(v);
	v += rowMove<15>(v);
	for (u32 d = 16; d < WAVE; d *= 2) v += __shfl_xor(v, int(d));
	return v;
}

FN float waveMax(float v) {
	v = max_(v, rowMove<1>(v));
	v = max_(v, rowMove<2>(v));
	v = max_(v, rowMove<7>(v));
	v = max_(v, rowMove<15>(v));
	for (u32 d = 16; d < WAVE; d *= 2) v = max_(v, __shfl_xor(v, int(d)));
	return v;
}

// Half precision, by integers, so that it is the same everywhere to the bit.f
FN float fromF16(u32 h) {
	u32 s = (h & 0x8000u) << 16;
	u32 e = h & 0x7c00u;
	if (e == 0) return __uint_as_float(__float_as_uint(float(h & 0x3ffu) * 5.9604644775390625e-8f) | s);
	if (e == 0x7c00u) return __uint_as_float(s | 0x7f800000u | (h & 0x3ffu) << 13);
	return __uint_as_float(s | (((h & 0x7fffu) << 13) + 0x38000000u));
}

FN u32 toF16(float x) {
	u32 u = __float_as_uint(x), s = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
	if (a > 0x7f800000u) return s | 0x7e00u;
	if (a >= 0x477ff000u) return s | 0x7c00u;
	if (a >= 0x38800000u) return s | (a - 0x38000000u + 0xfffu + (a >> 13 & 1u)) >> 13;
	u32 e = a >> 23;
	if (e < 102) return s;
	u32 m = a & 0x7fffffu | 0x800000u, shift = 126 - e, n = m >> shift, rest = m & (1u << shift) - 1u, mid = 1u << shift - 1;
	if (rest > mid || rest == mid && (n & 1u) != 0) n++;
	return s | n;
}

FN float fromBF16(u32 h) { return __uint_as_float(h << 16); }

FN u32 toBF16(float x) {
	u32 u = __float_as_uint(x);
	if ((u & 0x7fffffffu) > 0x7f800000u) return u >> 16 | 0x40u;
	return u + 0x7fffu + (u >> 16 & 1u) >> 16;
}

// loadFloat reads a number of a float type.
FN float loadFloat(u32 type, u64 at) {
	if (type == T_F32) return F32(at).v;
	u32 h = u32(U16(at).v);
	return type == T_F16 ? fromF16(h) : fromBF16(h);
}

FN void storeFloat(u32 type, u64 at, float x) {
	if (type == T_F32) F32(at).v = x;
	else if (type == T_F16) U16(at).v = u16(toF16(x));
	else U16(at).v = u16(toBF16(x));
}

// sizeOf returns the bytes of an element, or of a block.
FN u32 sizeOf(u32 type) {
	switch (type) {
	case T_F32: case T_I32: return 4;
	case T_F16: case T_BF16: case T_I16: return 2;
	case T_I8: return 1;
	case T_I64: case T_F64: return 8;
	case T_Q4_0: case T_IQ4_NL: return 18;
	case T_Q4_1: return 20;
	case T_Q5_0: return 22;
	case T_Q5_1: return 24;
	case T_Q8_0: return 34;
	case T_Q8_1: return 36;
	case T_Q2_K: return 84;
	case T_Q3_K: return 110;
	case T_Q4_K: return 144;
	case T_Q5_K: return 176;
	case T_Q6_K: return 210;
	case T_Q8_K: return 292;
	case T_IQ4_XS: return 136;
	case T_MXFP4: return 17;
	}
	return 1;
}

// elemsOf returns the elements of a block.
FN u32 elemsOf(u32 type) {
	switch (type) {
	case T_Q4_0: case T_Q4_1: case T_Q5_0: case T_Q5_1: case T_Q8_0: case T_Q8_1: case T_IQ4_NL: case T_MXFP4: return 32;
	case T_Q2_K: case T_Q3_K: case T_Q4_K: case T_Q5_K: case T_Q6_K: case T_Q8_K: case T_IQ4_XS: return 256;
	}
	return 1;
}

// coords takes a flat index apart.
FN uvec4 coords(u32 i, const u32* ne) {
	uvec4 c;
	c.x = i % ne[0];
	i /= ne[0];
	c.y = i % ne[1];
	i /= ne[1];
	c.z = i % ne[2];
	c.w = i / ne[2];
	return c;
}

// offset returns how many bytes lie before an element.
FN u64 offset(uvec4 c, const u32* st) {
	return u64(c.x) * st[0] + u64(c.y) * st[1] + u64(c.z) * st[2] + u64(c.w) * st[3];
}

// Fault is where an index outside its tensor is told: see faults.go. The first is kept. The gate lies in memory of the device,
// because an atomic over the bus is not to be had everywhere; what the host reads lies in its own.
struct Fault {
	u32 gate, pad;
	u64 host;
};

FN void fault(u64 at, u32 node, i64 index, u32 rows) {
	Fault* f = (Fault*)at;
	if (atomicCAS(&f->gate, 0u, 1u) != 0u) return;
	volatile u32* h = (volatile u32*)f->host;
	h[1] = node;
	h[2] = u32(index);
	h[3] = u32(index >> 32);
	h[4] = rows;
	__threadfence_system();
	h[0] = 1;
}

// loadIndex reads an I32 or I64. To be compared it is taken for unsigned.
FN i64 loadIndex(u32 type, u64 at) {
	if (type == T_I32) return i64(I32(at).v);
	return i64(U64(at).v);
}
