#pragma once
#include "wide.h"
// Products of matrices of 16 by 16 halves, or BF16 where BRAIN is defined as true, with sums in F32, by a wave. Each architecture spreads the elements over threads in a way of its
// own, and nobody outside of this file knows which: a Factor is loaded from shared memory, Sums say where their elements are.
//
//	Factor x, y;             // 16 rows of 16 halves each
//	x.load(at, line);        // from where the first begins, with line words of 32 bits from one to the next
//	sums.add(x, y);          // element row, col: the product of row row of x with row col of y
//
// A thread has elements of ROWS rows, and of each COLS columns, which are the same in all of them; SHARERS threads side by side share a row. So columns
// lie in neighbouring threads, and what is stored along them is stored in whole lines.
// Sources: the ISA guides of RDNA 3, RDNA 4 and CDNA (chapters on WMMA and MFMA) and AMD's matrix instruction calculator.

#ifndef BRAIN
#define BRAIN false
#endif

// The forms of FORM, which is a constant of kernels: see matrix.go, where it is chosen by architecture.
enum : u32 { PLAIN32 = 0, PLAIN64 = 1, WMMA = 2, WMMA12 = 3, MFMA = 4 };

#ifdef MATRIX // a test aid may have one of its own
MATRIX
#else

// SUMS is how many elements of a result a thread has: waves have 32 threads, or 64.
constexpr u32 SUMS = FORM == PLAIN64 || FORM == MFMA ? 4 : 8, ROWS = SUMS, COLS = 1, SHARERS = 16;

// FACTOR is how many words of a factor a thread has. WMMA wants each row in two threads; without instructions for matrices they stay where
// they are.
constexpr u32 FACTOR = FORM == WMMA ? 8 : FORM == WMMA12 ? 4 : 2;

struct Words {
	u32 v[FACTOR];
};

struct Factor {
	Words words;
	const u32* at;
	u32 line;

	FN void load(const u32* first, u32 line_) {
		at = first;
		line = line_;
		if (FORM == PLAIN32 || FORM == PLAIN64) return;
		const u32* from = first + LANE % 16 * line + (FORM == WMMA ? 0 : LANE / 16 * FACTOR);
		UNROLL for (u32 j = 0; j < FACTOR; j++) words.v[j] = from[j];
	}
};

// dot2 adds the products of two elements of each word to c.
FN float dot2(u32 a, u32 b, float c) {
	if (!BRAIN) return dotHalves(a, b, c);
	return fmaf(__uint_as_float(a & 0xffff0000u), __uint_as_float(b & 0xffff0000u), fmaf(__uint_as_float(a << 16), __uint_as_float(b << 16), c));
}

// MULTIPLY is the instruction, whose operands are vectors of Element and of float.
#if FORM == 2 && BRAIN
#define MULTIPLY __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32
#elif FORM == 2
#define MULTIPLY __builtin_amdgcn_wmma_f32_16x16x16_f16_w32
#elif FORM == 3 && BRAIN
#define MULTIPLY __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12
#elif FORM == 3
#define MULTIPLY __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12
#elif FORM == 4 && BRAIN
#define MULTIPLY(a, b, c) __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(a, b, c, 0, 0, 0)
#elif FORM == 4
#define MULTIPLY(a, b, c) __builtin_amdgcn_mfma_f32_16x16x16f16(a, b, c, 0, 0, 0)
#endif

#ifdef MULTIPLY
#if BRAIN
typedef short Element; // which is how the compiler has BF16
#else
typedef _Float16 Element;
#endif
typedef Element Elements __attribute__((vector_size(4 * FACTOR)));
typedef float Results __attribute__((vector_size(4 * SUMS)));
#endif

struct Sums {
	float v[SUMS];

	FN void zero() {
		UNROLL for (u32 i = 0; i < SUMS; i++) v[i] = 0.0f;
	}

	// row and col say where element i is, and element which one is in row r and column c of those that a thread has.
	static FN constexpr u32 element(u32 r, u32) { return r; }
	FN u32 row(u32 i) const { return FORM == WMMA ? 2 * i + LANE / 16 : SUMS * (LANE / 16) + i; }
	FN u32 col(u32) const { return LANE % 16; }

	FN void add(const Factor& x, const Factor& y) {
#ifdef MULTIPLY
		*this = __builtin_bit_cast(Sums, MULTIPLY(__builtin_bit_cast(Elements, x.words), __builtin_bit_cast(Elements, y.words), __builtin_bit_cast(Results, *this)));
#else
		UNROLL for (u32 k = 0; k < 8; k += 4) {
			Words4 b = *(const Words4*)(y.at + LANE % 16 * y.line + k);
			UNROLL for (u32 i = 0; i < SUMS; i++) {
				Words4 a = *(const Words4*)(x.at + row(i) * x.line + k);
				UNROLL for (u32 j = 0; j < 4; j++) v[i] = dot2(a[j], b[j], v[i]);
			}
		}
#endif
	}
};
#endif
