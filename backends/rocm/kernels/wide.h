#pragma once
// Memory in words of 16 bytes, and halves two in a word. A thread asks for as much as it can before it uses any of it: what a card's
// memory gives is what is under way at a time.

#if defined(__AMDGCN__)
typedef u32 Words4 __attribute__((vector_size(16)));
typedef float Floats4 __attribute__((vector_size(16)));
#else
template <class T> struct alignas(16) Four {
	T v[4];
	FN T operator[](u32 i) const { return v[i]; }
	FN T& operator[](u32 i) { return v[i]; }
};
typedef Four<u32> Words4;
typedef Four<float> Floats4;
#endif

FN Words4 words4(u32 a, u32 b, u32 c, u32 d) {
	Words4 w;
	w[0] = a;
	w[1] = b;
	w[2] = c;
	w[3] = d;
	return w;
}

FN Floats4 floats4(float a, float b, float c, float d) {
	Floats4 f;
	f[0] = a;
	f[1] = b;
	f[2] = c;
	f[3] = d;
	return f;
}

typedef At<Words4> U32x4;
typedef At<Floats4> F32x4;

// Conversions of halves by instructions. They are those of fromF16 and toF16 but for the bits of a NaN.
#ifndef FROM_HALF // a test aid may have some of its own
#if defined(__AMDGCN__)
#define FROM_HALF(h) float(__builtin_bit_cast(_Float16, u16(h)))
#define TO_HALF(x) u32(__builtin_bit_cast(u16, _Float16(x)))
#else
#define FROM_HALF(h) fromF16(h)
#define TO_HALF(x) toF16(x)
#endif
#endif

FN float lowHalf(u32 w) { return FROM_HALF(w & 0xffffu); }
FN float highHalf(u32 w) { return FROM_HALF(w >> 16); }
FN u32 halves(float lo, float hi) { return TO_HALF(lo) | TO_HALF(hi) << 16; }

// Arithmetic of halves two in a word, rounded once. Its words are values: of an element of a vector clang 14 casts another's bits.
#ifndef FMA_HALVES // a test aid may have some of its own
typedef _Float16 Pair __attribute__((vector_size(4)));
FN Pair asPair(u32 w) { return __builtin_bit_cast(Pair, w); }
#if defined(__AMDGCN__)
FN Pair fmaPairs(Pair a, Pair b, Pair c) {
#pragma clang fp contract(fast)
	return a * b + c;
}
#define ADD_HALVES(a, b) __builtin_bit_cast(u32, asPair(a) + asPair(b))
#define MUL_HALVES(a, b) __builtin_bit_cast(u32, asPair(a) * asPair(b))
#define FMA_HALVES(a, b, c) __builtin_bit_cast(u32, fmaPairs(asPair(a), asPair(b), asPair(c)))
#else
#define ADD_HALVES(a, b) halves(lowHalf(a) + lowHalf(b), highHalf(a) + highHalf(b))
#define MUL_HALVES(a, b) halves(lowHalf(a) * lowHalf(b), highHalf(a) * highHalf(b))
#define FMA_HALVES(a, b, c) halves(fmaf(lowHalf(a), lowHalf(b), lowHalf(c)), fmaf(highHalf(a), highHalf(b), highHalf(c)))
#endif
#endif

FN u32 addHalves(u32 a, u32 b) { return ADD_HALVES(a, b); }
FN u32 mulHalves(u32 a, u32 b) { return MUL_HALVES(a, b); }
FN u32 fmaHalves(u32 a, u32 b, u32 c) { return FMA_HALVES(a, b, c); }

// bothHalves is x as a half, twice.
FN u32 bothHalves(float x) { return TO_HALF(x) * 0x10001u; }

// wordOfBytes puts four bytes together: 0 to 3 are those of w, 4 to 7 those of hi.
#ifndef WORD_OF_BYTES // a test aid may have one of its own
#if defined(__AMDGCN__)
#define WORD_OF_BYTES(hi, w, b0, b1, b2, b3) __builtin_amdgcn_perm(hi, w, b0 | b1 << 8 | b2 << 16 | b3 << 24)
#else
#define WORD_OF_BYTES(hi, w, b0, b1, b2, b3) (byteOf(hi, w, b0) | byteOf(hi, w, b1) << 8 | byteOf(hi, w, b2) << 16 | byteOf(hi, w, b3) << 24)
FN u32 byteOf(u32 hi, u32 w, u32 i) { return (i < 4 ? w : hi) >> (8 * (i & 3u)) & 255u; }
#endif
#endif

// Two of a word's bytes as halves: each is a half's last bits, and so 1024 more than itself.
FN u32 firstBytes(u32 w) { return WORD_OF_BYTES(0x64646464u, w, 0u, 4u, 1u, 4u); }
FN u32 lastBytes(u32 w) { return WORD_OF_BYTES(0x64646464u, w, 2u, 4u, 3u, 4u); }

// dotHalves adds the products of two pairs of halves to c, by an instruction where there is one.
#if defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx942__) || defined(__gfx950__) || defined(__gfx1011__) || \
	defined(__gfx1012__) || defined(__gfx1030__) || defined(__gfx1031__) || defined(__gfx1032__) || defined(__gfx1034__) || defined(__gfx1035__) || \
	defined(__gfx1036__) || defined(__GFX11__) || defined(__GFX12__)
FN float dotHalves(u32 a, u32 b, float c) { return __builtin_amdgcn_fdot2(asPair(a), asPair(b), c, false); }
#else
FN float dotHalves(u32 a, u32 b, float c) { return fmaf(highHalf(a), highHalf(b), fmaf(lowHalf(a), lowHalf(b), c)); }
#endif

// shift2 returns the upper half of lo and the lower of hi if odd, and lo otherwise: words at an even address from aligned ones.
FN u32 shift2(u32 lo, u32 hi, u32 odd) { return u32((u64(hi) << 32 | lo) >> (16 * odd)); }
