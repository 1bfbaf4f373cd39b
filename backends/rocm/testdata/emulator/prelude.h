// What hiprtc knows without a header, for a C++ compiler on a processor. WAVE_SIZE and the architecture's macros are given. A wave's
// threads run one after the other, each until it comes to a barrier or a collective.

#define __device__
#define __host__
#define __global__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __shared__ static // "static __shared__" has become "__shared__" before this is seen

#define HIPEMU_STATE __attribute__((section(".data.hipemu"), visibility("hidden")))
HIPEMU_STATE const hipemu::Self* hipemu_self = nullptr;
HIPEMU_STATE hipemu::Block hipemu_block = {};
HIPEMU_STATE hipemu::Api hipemu_api = {};
#define threadIdx (hipemu_self->thread)
#define blockIdx (hipemu_block.block)
#define blockDim (hipemu_block.size)
#define gridDim (hipemu_block.grid)

constexpr int warpSize = WAVE_SIZE;
#define __AMDGCN_WAVEFRONT_SIZE WAVE_SIZE
#define __AMDGCN_WAVEFRONT_SIZE__ WAVE_SIZE

#define HIPEMU_LINE int line = __builtin_LINE()

inline void __syncthreads(HIPEMU_LINE) { hipemu_api.barrier(hipemu_api.worker, line); }
inline void __builtin_amdgcn_s_barrier(HIPEMU_LINE) { hipemu_api.barrier(hipemu_api.worker, line); }

template <class T> inline const hipemu::Snapshot* hipemu_gather(const T& v, int line) {
	static_assert(sizeof(T) <= hipemu::MAX_GIVEN, "a collective of larger values");
	return hipemu_api.gather(hipemu_api.worker, &v, sizeof v, line);
}

// hipemu_of reads what a lane gave. One that is not there gives an error.
template <class T> inline T hipemu_of(const hipemu::Snapshot* s, unsigned lane) {
	if (!(s->mask >> lane & 1)) hipemu_api.fail(hipemu_api.worker, "a value of a thread that is not there");
	T v;
	__builtin_memcpy(&v, s->data + lane * s->stride, sizeof v);
	return v;
}

inline void __builtin_amdgcn_wave_barrier(HIPEMU_LINE) { hipemu_gather(0, line); }
inline void __syncwarp(unsigned long long = ~0ull, HIPEMU_LINE) { hipemu_gather(0, line); }

template <class T> inline T __shfl_xor(T v, int mask, int width = warpSize, HIPEMU_LINE) {
	unsigned own = hipemu_self->lane, from = own ^ unsigned(mask);
	auto s = hipemu_gather(v, line);
	return hipemu_of<T>(s, from >= ((own + unsigned(width)) & ~(unsigned(width) - 1)) ? own : from);
}

template <class T> inline T __shfl(T v, int lane, int width = warpSize, HIPEMU_LINE) {
	unsigned own = hipemu_self->lane;
	auto s = hipemu_gather(v, line);
	return hipemu_of<T>(s, (own & ~(unsigned(width) - 1)) + (unsigned(lane) & (unsigned(width) - 1)));
}

template <class T> inline T __shfl_up(T v, unsigned delta, int width = warpSize, HIPEMU_LINE) {
	unsigned own = hipemu_self->lane, in = own & (unsigned(width) - 1);
	auto s = hipemu_gather(v, line);
	return hipemu_of<T>(s, in < delta ? own : own - delta);
}

template <class T> inline T __shfl_down(T v, unsigned delta, int width = warpSize, HIPEMU_LINE) {
	unsigned own = hipemu_self->lane, in = own & (unsigned(width) - 1);
	auto s = hipemu_gather(v, line);
	return hipemu_of<T>(s, in + delta >= unsigned(width) ? own : own + delta);
}

inline int __builtin_amdgcn_readlane(int v, int lane, HIPEMU_LINE) { return hipemu_of<int>(hipemu_gather(v, line), unsigned(lane) % WAVE_SIZE); }
inline int __builtin_amdgcn_readfirstlane(int v, HIPEMU_LINE) {
	auto s = hipemu_gather(v, line);
	return hipemu_of<int>(s, unsigned(__builtin_ctzll(s->mask)));
}
inline int __builtin_amdgcn_ds_bpermute(int at, int v, HIPEMU_LINE) {
	return hipemu_of<int>(hipemu_gather(v, line), unsigned(at) / 4 % WAVE_SIZE);
}


// Moves within rows of 16 lanes: quad_perm, row_half_mirror and row_mirror, of all lanes.
inline int __builtin_amdgcn_update_dpp(int, int v, int control, int rows, int banks, bool, HIPEMU_LINE) {
	unsigned own = hipemu_self->lane, from = own;
	if (control < 0x100) from = (own & ~3u) + (unsigned(control) >> (2 * (own & 3u)) & 3u);
	else if (control == 0x140) from = own ^ 15u;
	else if (control == 0x141) from = own ^ 7u;
	else hipemu_api.fail(hipemu_api.worker, "a move by DPP that is not emulated");
	if (rows != 15 || banks != 15) hipemu_api.fail(hipemu_api.worker, "a move by DPP of some lanes");
	return hipemu_of<int>(hipemu_gather(v, line), from);
}

inline unsigned long long __ballot(int yes, HIPEMU_LINE) {
	auto s = hipemu_gather(yes, line);
	unsigned long long all = 0;
	for (unsigned l = 0; l < WAVE_SIZE; l++) {
		if (s->mask >> l & 1 && hipemu_of<int>(s, l) != 0) all |= 1ull << l;
	}
	return all;
}
inline int __any(int yes, HIPEMU_LINE) { return __ballot(yes, line) != 0; }
inline int __all(int yes, HIPEMU_LINE) { return __ballot(!yes, line) == 0; }
inline unsigned __lane_id() { return hipemu_self->lane; }
inline unsigned __builtin_amdgcn_mbcnt_lo(unsigned mask, unsigned add) {
	unsigned l = hipemu_self->lane;
	return add + unsigned(__builtin_popcount(l >= 32 ? mask : mask & ((1u << l) - 1)));
}
inline unsigned __builtin_amdgcn_mbcnt_hi(unsigned mask, unsigned add) {
	unsigned l = hipemu_self->lane;
	return add + unsigned(l < 32 ? 0 : __builtin_popcount(mask & ((1u << (l - 32)) - 1)));
}

// Memory: blocks run on several processors.
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
#define __builtin_amdgcn_fence(...) __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __builtin_amdgcn_s_waitcnt(n) ((void)0)
#define __builtin_amdgcn_s_sleep(n) ((void)0)
#define __builtin_amdgcn_sched_barrier(n) ((void)0)
#define __builtin_amdgcn_sched_group_barrier(a, b, c) ((void)0)
#define __builtin_amdgcn_s_setprio(n) ((void)0)
#define __builtin_nontemporal_load(p) (*(p))
#define __builtin_nontemporal_store(v, p) ((void)(*(p) = (v)))

template <class T> inline T hipemu_update(T* at, T (*next)(T, T), T v) {
	T old = *(volatile T*)at, to;
	do to = next(old, v);
	while (!__atomic_compare_exchange(at, &old, &to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return old;
}
template <class T> struct hipemu_same {
	typedef T type;
};
#define HIPEMU_ATOMIC(name, to) \
	template <class T> inline T name(T* at, typename hipemu_same<T>::type v) { \
		return hipemu_update<T>(at, [](T a, T b) -> T { return to; }, v); \
	}
HIPEMU_ATOMIC(atomicAdd, a + b)
HIPEMU_ATOMIC(atomicSub, a - b)
HIPEMU_ATOMIC(atomicMin, b < a ? b : a)
HIPEMU_ATOMIC(atomicMax, a < b ? b : a)
HIPEMU_ATOMIC(atomicOr, a | b)
HIPEMU_ATOMIC(atomicAnd, a & b)
HIPEMU_ATOMIC(atomicXor, a ^ b)
HIPEMU_ATOMIC(atomicExch, ((void)a, b))
template <class T> inline T atomicCAS(T* at, typename hipemu_same<T>::type old, typename hipemu_same<T>::type to) {
	__atomic_compare_exchange(at, &old, &to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return old;
}

template <class To, class From> inline To hipemu_bits(From v) {
	static_assert(sizeof(To) == sizeof(From), "of one size");
	To to;
	__builtin_memcpy(&to, &v, sizeof to);
	return to;
}
inline unsigned __float_as_uint(float v) { return hipemu_bits<unsigned>(v); }
inline int __float_as_int(float v) { return hipemu_bits<int>(v); }
inline float __uint_as_float(unsigned v) { return hipemu_bits<float>(v); }
inline float __int_as_float(int v) { return hipemu_bits<float>(v); }
inline int __clz(int v) { return v == 0 ? 32 : __builtin_clz(unsigned(v)); }
inline int __clzll(long long v) { return v == 0 ? 64 : __builtin_clzll((unsigned long long)v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline unsigned __builtin_amdgcn_perm(unsigned high, unsigned low, unsigned select) {
	unsigned long long both = (unsigned long long)high << 32 | low;
	unsigned to = 0;
	for (int i = 0; i < 4; i++) {
		unsigned s = select >> 8 * i & 255, b = 0;
		if (s < 8) b = unsigned(both >> 8 * s) & 255;
		else if (s >= 13) b = 255;
		else if (s < 12) b = (both >> (16 * (s - 8) + 15) & 1) ? 255 : 0;
		to |= b << 8 * i;
	}
	return to;
}
inline unsigned __builtin_amdgcn_alignbit(unsigned high, unsigned low, unsigned n) {
	return unsigned(((unsigned long long)high << 32 | low) >> (n & 31));
}
inline unsigned __builtin_amdgcn_alignbyte(unsigned high, unsigned low, unsigned n) {
	return unsigned(((unsigned long long)high << 32 | low) >> 8 * (n & 3));
}
inline unsigned __builtin_amdgcn_ubfe(unsigned v, unsigned at, unsigned n) { return n == 0 ? 0 : v << (32 - at % 32 - n % 32) >> (32 - n % 32); }

#define HIPEMU_MATH1(name) inline float name(float x) { return __builtin_##name(x); }
#define HIPEMU_MATH2(name) inline float name(float x, float y) { return __builtin_##name(x, y); }
HIPEMU_MATH1(roundf)
HIPEMU_MATH1(rintf)
HIPEMU_MATH1(floorf)
HIPEMU_MATH1(ceilf)
HIPEMU_MATH1(truncf)
HIPEMU_MATH1(fabsf)
HIPEMU_MATH1(sqrtf)
HIPEMU_MATH1(exp2f)
HIPEMU_MATH1(log2f)
HIPEMU_MATH1(expf)
HIPEMU_MATH1(logf)
HIPEMU_MATH1(sinf)
HIPEMU_MATH1(cosf)
HIPEMU_MATH1(tanhf)
HIPEMU_MATH2(powf)
HIPEMU_MATH2(fminf)
HIPEMU_MATH2(fmaxf)
HIPEMU_MATH2(fmodf)
HIPEMU_MATH2(copysignf)
inline float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float ldexpf(float x, int e) { return __builtin_ldexpf(x, e); }
inline float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
inline float __expf(float x) { return __builtin_expf(x); }
inline float __logf(float x) { return __builtin_logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __builtin_amdgcn_exp2f(float x) { return __builtin_exp2f(x); }
inline float __builtin_amdgcn_rcpf(float x) { return 1.0f / x; }
inline float __builtin_amdgcn_rsqf(float x) { return 1.0f / __builtin_sqrtf(x); }
inline float __builtin_amdgcn_fmed3f(float a, float b, float c) {
	float lo = __builtin_fminf(a, b), hi = __builtin_fmaxf(a, b);
	return __builtin_fmaxf(lo, __builtin_fminf(hi, c));
}

// Products of bytes, where the architecture has them: LLVM's table of features says which.
inline int hipemu_dot4(bool signA, unsigned a, bool signB, unsigned b, int c, bool clamp) {
	long long sum = c;
	for (int i = 0; i < 32; i += 8) {
		int x = int(a >> i & 255), y = int(b >> i & 255);
		if (signA) x = (signed char)x;
		if (signB) y = (signed char)y;
		sum += x * y;
	}
	if (clamp) sum = sum > 0x7fffffff ? 0x7fffffff : sum < -0x80000000ll ? -0x80000000ll : sum;
	return int(unsigned(sum));
}
#ifdef HIPEMU_SDOT4
inline int __builtin_amdgcn_sdot4(int a, int b, int c, bool clamp) { return hipemu_dot4(true, unsigned(a), true, unsigned(b), c, clamp); }
#endif
#if HIPEMU_GFX == 11 || HIPEMU_GFX == 12
inline int __builtin_amdgcn_sudot4(bool signA, int a, bool signB, int b, int c, bool clamp) {
	return hipemu_dot4(signA, unsigned(a), signB, unsigned(b), c, clamp);
}
#endif

// How a kernel is called, and what the module shows.
namespace hipemu {
template <auto F> struct Of;
template <class P, void (*F)(P)> struct Of<F> {
	static void call(const void* p) { F(*(const P*)p); }
	static constexpr Kernel as(const char* name) { return {name, sizeof(P), call}; }
};
} // namespace hipemu
extern "C" __attribute__((visibility("hidden"))) unsigned char __bss_start[], _end[];
#define HIPEMU_MODULE(...) \
	static const hipemu::Kernel hipemu_kernels[] = {__VA_ARGS__ {}}; \
	extern "C" __attribute__((visibility("default"))) hipemu::Module hipemu_module() { \
		return {&hipemu_self, &hipemu_block, &hipemu_api, __bss_start, _end, hipemu_kernels}; \
	}
