// Matrix instructions, as collectives of a wave: each lane gives its parts of A, B and C, and takes its part of D = A*B + C.
//
// Which element lies in which lane is that of AMD's documents: "AMD Instinct MI100/MI200/MI300 Instruction Set Architecture", chapter
// on matrix arithmetic instructions, with the tables that ROCm's amd_matrix_instruction_calculator prints from them; "RDNA3 Instruction
// Set Architecture", section on wave matrix multiply accumulate; "RDNA4 Instruction Set Architecture", the same section. Numbers i are
// rows of A and D, j columns of B and D, k what is summed over; l is the lane, e the element in its registers.
//
//	CDNA, 16x16xK (64 lanes, E elements of A each, K = 4*E):  A[l%16][E*(l/16)+e], B[E*(l/16)+e][l%16], D[4*(l/16)+e][l%16]
//	CDNA, 32x32xK (64 lanes, E elements of A each, K = 2*E):  A[l%32][E*(l/32)+e], B likewise, D[8*(e/4)+4*(l/32)+e%4][l%32]
//	RDNA3, 16x16x16 (32 lanes): A[l%16][e], B[e][l%16], where lanes 16 to 31 must hold what lanes 0 to 15 do; D[2*e+l/16][l%16]
//	RDNA4, 16x16x16 (32 lanes): A[l%16][8*(l/16)+e], B[8*(l/16)+e][l%16], D[8*(l/16)+e][l%16]
//
// Products are summed in float or int, in the order of k, from C on: the order of the hardware is not documented.

typedef _Float16 hipemu_h4 __attribute__((vector_size(8)));
typedef _Float16 hipemu_h8 __attribute__((vector_size(16)));
typedef _Float16 hipemu_h16 __attribute__((vector_size(32)));
typedef float hipemu_f4 __attribute__((vector_size(16)));
typedef float hipemu_f8 __attribute__((vector_size(32)));
typedef float hipemu_f16 __attribute__((vector_size(64)));
typedef int hipemu_i2 __attribute__((vector_size(8)));
typedef int hipemu_i4 __attribute__((vector_size(16)));
typedef int hipemu_i8 __attribute__((vector_size(32)));
typedef int hipemu_i16 __attribute__((vector_size(64)));
typedef _Float16 hipemu_h2 __attribute__((vector_size(4)));
typedef short hipemu_s4 __attribute__((vector_size(8)));
typedef short hipemu_s8 __attribute__((vector_size(16)));
typedef short hipemu_s16 __attribute__((vector_size(32)));

// Products of two halves of each word: those of floats are exact.
#ifdef HIPEMU_FDOT2
inline float __builtin_amdgcn_fdot2(hipemu_h2 a, hipemu_h2 b, float c, bool) { return float(a[1]) * float(b[1]) + (float(a[0]) * float(b[0]) + c); }
#endif

namespace hipemu {

template <class A, class B> struct Given {
	A a;
	B b;
};

// Brain is a BF16, of which the compiler's vectors are short.
struct Brain {
	unsigned short bits;
};

inline float number(_Float16 v, bool) { return float(v); }
inline float number(Brain v, bool) { return hipemu_bits<float>(unsigned(v.bits) << 16); }
inline int number(signed char v, bool sign) { return sign ? int(v) : int((unsigned char)v); }

// whole fails unless all lanes of the wave are there: a matrix instruction does not heed which are switched off.
inline const Snapshot* whole(const Snapshot* s) {
	if (s->mask != (WAVE_SIZE == 64 ? ~0ull : 0xffffffffull)) hipemu_api.fail(hipemu_api.worker, "a matrix instruction in part of a wave");
	return s;
}

// element returns element e of what lane l gave at an offset.
template <class E> inline E element(const Snapshot* s, unsigned l, unsigned offset, unsigned e) {
	E v;
	__builtin_memcpy(&v, s->data + l * s->stride + offset + e * sizeof v, sizeof v);
	return v;
}

// multiply returns a lane's part of D. at says where element k of row i of A lies, as a lane and an element, and so for B; row
// which row of D element e is.
template <class E, class Sum, class C, class A, class B, class At, class Row>
inline C multiply(A a, B b, C c, unsigned side, unsigned depth, bool signA, bool signB, At at, Row row, int line) {
	Given<A, B> given = {a, b};
	auto s = whole(hipemu_gather(given, line));
	unsigned j = hipemu_self->lane % side, offset = __builtin_offsetof(decltype(given), b);
	for (unsigned e = 0; e < sizeof(C) / sizeof(Sum); e++) {
		unsigned i = row(e);
		Sum sum = c[e];
		for (unsigned k = 0; k < depth; k++) {
			unsigned lane, place;
			at(k, lane, place);
			sum += Sum(number(element<E>(s, lane + i, 0, place), signA)) * Sum(number(element<E>(s, lane + j, offset, place), signB));
		}
		c[e] = sum;
	}
	return c;
}

// cdna16 and cdna32 are those of 64 lanes with each elements of A in a lane.
template <class E, class Sum, class C, class A> inline C cdna16(A a, A b, C c, unsigned each, int line) {
	auto at = [=](unsigned k, unsigned& lane, unsigned& place) { lane = 16 * (k / each), place = k % each; };
	auto row = [](unsigned e) { return 4 * (hipemu_self->lane / 16) + e; };
	return multiply<E, Sum>(a, b, c, 16, 4 * each, true, true, at, row, line);
}

template <class E, class Sum, class C, class A> inline C cdna32(A a, A b, C c, unsigned each, int line) {
	auto at = [=](unsigned k, unsigned& lane, unsigned& place) { lane = 32 * (k / each), place = k % each; };
	auto row = [](unsigned e) { return 8 * (e / 4) + 4 * (hipemu_self->lane / 32) + e % 4; };
	return multiply<E, Sum>(a, b, c, 32, 2 * each, true, true, at, row, line);
}

template <class E, class Sum, class C, class A> inline C rdna3(bool signA, A a, bool signB, A b, C c, int line) {
	Given<A, A> given = {a, b};
	auto s = whole(hipemu_gather(given, line));
	unsigned l = hipemu_self->lane;
	if (l >= 16 && __builtin_memcmp(s->data + l * s->stride, s->data + (l - 16) * s->stride, sizeof given) != 0)
		hipemu_api.fail(hipemu_api.worker, "the halves of a wave give different operands to a matrix instruction");
	auto at = [](unsigned k, unsigned& lane, unsigned& place) { lane = 0, place = k; };
	auto row = [](unsigned e) { return 2 * e + hipemu_self->lane / 16; };
	return multiply<E, Sum>(a, b, c, 16, 16, signA, signB, at, row, line);
}

template <class E, class Sum, class C, class A> inline C rdna4(bool signA, A a, bool signB, A b, C c, int line) {
	auto at = [](unsigned k, unsigned& lane, unsigned& place) { lane = 16 * (k / 8), place = k % 8; };
	auto row = [](unsigned e) { return 8 * (hipemu_self->lane / 16) + e; };
	return multiply<E, Sum>(a, b, c, 16, 16, signA, signB, at, row, line);
}

} // namespace hipemu

// The last three numbers of an MFMA rearrange operands: kernels give 0.
#define HIPEMU_MFMA(name, C, A, how, E, Sum, each) \
	inline C name(A a, A b, C c, int cbsz, int abid, int blgp, HIPEMU_LINE) { \
		if (cbsz | abid | blgp) hipemu_api.fail(hipemu_api.worker, #name " with rearranged operands"); \
		return hipemu::how<E, Sum>(a, b, c, each, line); \
	}

#ifdef HIPEMU_MFMA_INSTS
HIPEMU_MFMA(__builtin_amdgcn_mfma_f32_16x16x16f16, hipemu_f4, hipemu_h4, cdna16, _Float16, float, 4)
HIPEMU_MFMA(__builtin_amdgcn_mfma_f32_32x32x8f16, hipemu_f16, hipemu_h4, cdna32, _Float16, float, 4)
#ifndef __gfx908__
HIPEMU_MFMA(__builtin_amdgcn_mfma_f32_16x16x16bf16_1k, hipemu_f4, hipemu_s4, cdna16, hipemu::Brain, float, 4)
#endif
#ifdef HIPEMU_GFX940_INSTS
HIPEMU_MFMA(__builtin_amdgcn_mfma_i32_16x16x32_i8, hipemu_i4, long, cdna16, signed char, int, 8)
HIPEMU_MFMA(__builtin_amdgcn_mfma_i32_32x32x16_i8, hipemu_i16, long, cdna32, signed char, int, 8)
#else
HIPEMU_MFMA(__builtin_amdgcn_mfma_i32_16x16x16i8, hipemu_i4, int, cdna16, signed char, int, 4)
HIPEMU_MFMA(__builtin_amdgcn_mfma_i32_32x32x8i8, hipemu_i16, int, cdna32, signed char, int, 4)
#endif
#endif

#if HIPEMU_GFX == 11
inline hipemu_f8 __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(hipemu_h16 a, hipemu_h16 b, hipemu_f8 c, HIPEMU_LINE) {
	return hipemu::rdna3<_Float16, float>(true, a, true, b, c, line);
}
inline hipemu_f8 __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(hipemu_s16 a, hipemu_s16 b, hipemu_f8 c, HIPEMU_LINE) {
	return hipemu::rdna3<hipemu::Brain, float>(true, a, true, b, c, line);
}
inline hipemu_i8 __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(bool signA, hipemu_i4 a, bool signB, hipemu_i4 b, hipemu_i8 c, bool clamp, HIPEMU_LINE) {
	if (clamp) hipemu_api.fail(hipemu_api.worker, "a matrix instruction that clamps is not emulated");
	return hipemu::rdna3<signed char, int>(signA, a, signB, b, c, line);
}
#elif HIPEMU_GFX == 12
inline hipemu_f8 __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(hipemu_h8 a, hipemu_h8 b, hipemu_f8 c, HIPEMU_LINE) {
	return hipemu::rdna4<_Float16, float>(true, a, true, b, c, line);
}
inline hipemu_f8 __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12(hipemu_s8 a, hipemu_s8 b, hipemu_f8 c, HIPEMU_LINE) {
	return hipemu::rdna4<hipemu::Brain, float>(true, a, true, b, c, line);
}
inline hipemu_i8 __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(bool signA, hipemu_i2 a, bool signB, hipemu_i2 b, hipemu_i8 c, bool clamp, HIPEMU_LINE) {
	if (clamp) hipemu_api.fail(hipemu_api.worker, "a matrix instruction that clamps is not emulated");
	return hipemu::rdna4<signed char, int>(signA, a, signB, b, c, line);
}
#endif
