// A TEST AID, not support for NVIDIA cards: the functions of HIP and hiprtc that the backend calls, over the CUDA driver and NVRTC, which
// are opened when the first is called. Needs no header of either. See README.md.
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { NO_DEVICE = 100, UNKNOWN = 999, MAX_DEVICES = 16 };

static void *cuda, *nvrtc;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *contexts[MAX_DEVICES];
static __thread int current;

static void *symbol(void **lib, const char *const *names, const char *fn) {
	pthread_mutex_lock(&lock);
	for (; !*lib && *names; names++) *lib = dlopen(*names, RTLD_NOW | RTLD_GLOBAL);
	pthread_mutex_unlock(&lock);
	return *lib ? dlsym(*lib, fn) : NULL;
}

static const char *const cuda_names[] = {"libcuda.so.1", NULL};
static const char *const nvrtc_names[] = {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", NULL};

// CU calls a function of the driver. Its error codes are those of HIP but for a few that tests do not meet.
#define CU(fn, types, ...)                                         \
	({                                                             \
		static int(*to) types;                                     \
		if (!to) to = (int(*) types)symbol(&cuda, cuda_names, fn);   \
		to ? to(__VA_ARGS__) : NO_DEVICE;                            \
	})

#define RTC(fn, types, ...)                                        \
	({                                                             \
		static int(*to) types;                                     \
		if (!to) to = (int(*) types)symbol(&nvrtc, nvrtc_names, fn); \
		to ? to(__VA_ARGS__) : 11;                                   \
	})

EXPORT int hipInit(unsigned flags) { return CU("cuInit", (unsigned), flags); }

EXPORT int hipRuntimeGetVersion(int *v) {
	*v = 60099999; // which is nobody's: what is compiled here is kept apart
	return 0;
}

EXPORT int hipGetDeviceCount(int *n) { return CU("cuDeviceGetCount", (int *), n); }

static int device(int i) {
	int d = 0;
	CU("cuDeviceGet", (int *, int), &d, i);
	return d;
}

EXPORT int hipSetDevice(int i) {
	if (i < 0 || i >= MAX_DEVICES) return 101;
	int rc = 0;
	pthread_mutex_lock(&lock);
	void *have = contexts[i];
	pthread_mutex_unlock(&lock);
	if (!have) {
		rc = CU("cuDevicePrimaryCtxRetain", (void **, int), &have, device(i));
		if (rc) return rc;
		pthread_mutex_lock(&lock);
		contexts[i] = have;
		pthread_mutex_unlock(&lock);
	}
	current = i;
	return CU("cuCtxSetCurrent", (void *), have);
}

EXPORT int hipDeviceReset(void) { return CU("cuDevicePrimaryCtxReset_v2", (int), device(current)); }

EXPORT int hipDeviceGetName(char *s, int n, int i) {
	char name[200];
	int rc = CU("cuDeviceGetName", (char *, int, int), name, (int)sizeof name, device(i));
	if (!rc) snprintf(s, n, "%s (through tenon's test shim, not AMD)", name);
	return rc;
}

EXPORT int hipDeviceGetPCIBusId(char *s, int n, int i) {
	return CU("cuDeviceGetPCIBusId", (char *, int, int), s, n, device(i));
}

EXPORT int hipDeviceTotalMem(size_t *n, int i) { return CU("cuDeviceTotalMem_v2", (size_t *, int), n, device(i)); }

EXPORT int hipDeviceGetAttribute(int *v, int attr, int i) {
	int cu = attr == 16 ? 18 : attr == 87 ? 10 : -1; // integrated, warp size
	return cu < 0 ? 1 : CU("cuDeviceGetAttribute", (int *, int, int), v, cu, device(i));
}

// The architecture is one with instructions for matrices and waves of 32, so that the kernels for these are chosen. It stands behind the
// device's name, as in the struct.
EXPORT int hipGetDevicePropertiesR0600(char *props, int i) {
	memset(props, 0, 1472);
	strcpy(props + 1160, "gfx1100");
	return hipDeviceGetName(props, 256, i);
}

EXPORT const char *hipGetErrorName(int code) {
	const char *s = NULL;
	CU("cuGetErrorName", (int, const char **), code, &s);
	return s ? s : "unknown";
}

EXPORT int hipMemGetInfo(size_t *f, size_t *t) { return CU("cuMemGetInfo_v2", (size_t *, size_t *), f, t); }
EXPORT int hipMalloc(void **p, size_t n) { return CU("cuMemAlloc_v2", (void **, size_t), p, n); }
EXPORT int hipFree(void *p) { return CU("cuMemFree_v2", (void *), p); }
EXPORT int hipHostMalloc(void **p, size_t n, unsigned flags) {
	return CU("cuMemHostAlloc", (void **, size_t, unsigned), p, n, flags | 1); // portable
}
EXPORT int hipHostFree(void *p) { return CU("cuMemFreeHost", (void *), p); }
EXPORT int hipHostRegister(void *p, size_t n, unsigned flags) {
	return CU("cuMemHostRegister_v2", (void *, size_t, unsigned), p, n, flags | 1);
}
EXPORT int hipHostUnregister(void *p) { return CU("cuMemHostUnregister", (void *), p); }
EXPORT int hipHostGetDevicePointer(void **d, void *p, unsigned flags) {
	return CU("cuMemHostGetDevicePointer_v2", (void **, void *, unsigned), d, p, flags);
}
EXPORT int hipMemcpyAsync(void *d, const void *s, size_t n, int kind, void *stream) {
	(void)kind;
	return CU("cuMemcpyAsync", (void *, const void *, size_t, void *), d, s, n, stream);
}
EXPORT int hipMemsetAsync(void *d, int v, size_t n, void *stream) {
	return CU("cuMemsetD8Async", (void *, unsigned char, size_t, void *), d, (unsigned char)v, n, stream);
}

EXPORT int hipStreamCreateWithFlags(void **s, unsigned flags) { return CU("cuStreamCreate", (void **, unsigned), s, flags); }
EXPORT int hipStreamDestroy(void *s) { return CU("cuStreamDestroy_v2", (void *), s); }
EXPORT int hipStreamSynchronize(void *s) { return CU("cuStreamSynchronize", (void *), s); }
EXPORT int hipEventCreateWithFlags(void **e, unsigned flags) { return CU("cuEventCreate", (void **, unsigned), e, flags); }
EXPORT int hipEventDestroy(void *e) { return CU("cuEventDestroy_v2", (void *), e); }
EXPORT int hipEventRecord(void *e, void *s) { return CU("cuEventRecord", (void *, void *), e, s); }
EXPORT int hipEventElapsedTime(float *ms, void *a, void *b) { return CU("cuEventElapsedTime", (float *, void *, void *), ms, a, b); }
EXPORT int hipEventQuery(void *e) { return CU("cuEventQuery", (void *), e); }

EXPORT int hipModuleLoadData(void **m, const void *code) { return CU("cuModuleLoadData", (void **, const void *), m, code); }
EXPORT int hipModuleUnload(void *m) { return CU("cuModuleUnload", (void *), m); }
EXPORT int hipModuleGetFunction(void **f, void *m, const char *name) {
	return CU("cuModuleGetFunction", (void **, void *, const char *), f, m, name);
}
EXPORT int hipModuleLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                 void *stream, void **params, void **extra) {
	return CU("cuLaunchKernel",
	          (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **), f, gx, gy, gz, bx,
	          by, bz, shared, stream, params, extra);
}

EXPORT int hipStreamBeginCapture(void *s, int mode) { return CU("cuStreamBeginCapture_v2", (void *, int), s, mode); }
EXPORT int hipStreamEndCapture(void *s, void **g) { return CU("cuStreamEndCapture", (void *, void **), s, g); }
EXPORT int hipGraphInstantiateWithFlags(void **e, void *g, unsigned long long flags) {
	return CU("cuGraphInstantiateWithFlags", (void **, void *, unsigned long long), e, g, flags);
}
EXPORT int hipGraphLaunch(void *e, void *s) { return CU("cuGraphLaunch", (void *, void *), e, s); }
EXPORT int hipGraphExecDestroy(void *e) { return CU("cuGraphExecDestroy", (void *), e); }
EXPORT int hipGraphDestroy(void *g) { return CU("cuGraphDestroy", (void *), g); }

// The compiler. What HIP has without a header and NVRTC has otherwise is put before each source, and so are forms of its own of what kernels
// leave to an architecture: they are declared where kernels ask for them, "a test aid may have one of its own".
static const char before[] =
    "#undef __launch_bounds__\n" // whose second number means waves in HIP and blocks in CUDA
    "#define __launch_bounds__(threads, ...) __attribute__((launch_bounds(threads, (threads) >= 256 ? 2 : 1)))\n"
    "#define __shfl_xor(v, m) __shfl_xor_sync(0xffffffffu, v, m)\n"
    "#define __shfl(v, l) __shfl_sync(0xffffffffu, v, l)\n"
    "#define OCTET_MOVE(v, far) __shfl_xor_sync(0xffu << (threadIdx.x & 24u), v, far)\n" // a mask names only who comes
    "#define DOT4(a, b, c) shimDot4(a, b, c)\n"
    "#define FROM_HALF(h) shimFromHalf((unsigned short)(h))\n"
    "#define TO_HALF(x) ((unsigned)shimToHalf(x))\n"
    "#define PICK(hi, lo, w) __byte_perm(lo, hi, ((w) & 7u) | ((w) >> 4 & 0x70u) | ((w) >> 8 & 0x700u) | ((w) >> 12 & 0x7000u))\n"
    "#define ADD_HALVES(a, b) shimFma(a, 0x3c003c00u, b)\n"
    "#define MUL_HALVES(a, b) shimFma(a, b, 0x80008000u)\n" // -0, which leaves a zero its sign
    "#define FMA_HALVES(a, b, c) shimFma(a, b, c)\n"
    "#define WORD_OF_BYTES(hi, w, b0, b1, b2, b3) __byte_perm(w, hi, (b0) | (b1) << 4 | (b2) << 8 | (b3) << 12)\n"
    "static __device__ inline unsigned shimFma(unsigned a, unsigned b, unsigned c) {\n"
    "\tunsigned d;\n"
    "\tasm(\"fma.rn.f16x2 %0, %1, %2, %3;\" : \"=r\"(d) : \"r\"(a), \"r\"(b), \"r\"(c));\n"
    "\treturn d;\n"
    "}\n"
    "static __device__ inline int shimDot4(int a, int b, int c) {\n"
    "\tint d;\n"
    "\tasm(\"dp4a.s32.s32 %0, %1, %2, %3;\" : \"=r\"(d) : \"r\"(a), \"r\"(b), \"r\"(c));\n"
    "\treturn d;\n"
    "}\n"
    "static __device__ inline float shimFromHalf(unsigned short h) {\n"
    "\tfloat x;\n"
    "\tasm(\"cvt.f32.f16 %0, %1;\" : \"=f\"(x) : \"h\"(h));\n"
    "\treturn x;\n"
    "}\n"
    "static __device__ inline unsigned short shimToHalf(float x) {\n"
    "\tunsigned short h;\n"
    "\tasm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(h) : \"f\"(x));\n"
    "\treturn h;\n"
    "}\n"
    "static __device__ inline void shimLoad(unsigned* w, const unsigned* row) {\n" // four matrices of 8 by 8, whose rows the threads name
    "\tasm volatile(\"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\"\n"
    "\t\t: \"=r\"(w[0]), \"=r\"(w[1]), \"=r\"(w[2]), \"=r\"(w[3]) : \"r\"((unsigned)__cvta_generic_to_shared(row)) : \"memory\");\n"
    "}\n"
    "// Element (g, 2t..) of 16 by 16, with g = lane/4 and t = lane%4, is where PTX's mma.m16n8k16 has it.\n"
    "static __device__ inline void shimMultiply(bool brain, float* c, const unsigned* a, unsigned b0, unsigned b1) {\n"
    "\tif (brain) asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\"\n"
    "\t\t: \"+f\"(c[0]), \"+f\"(c[1]), \"+f\"(c[2]), \"+f\"(c[3]) : \"r\"(a[0]), \"r\"(a[1]), \"r\"(a[2]), \"r\"(a[3]), \"r\"(b0), \"r\"(b1));\n"
    "\telse asm volatile(\"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\"\n"
    "\t\t: \"+f\"(c[0]), \"+f\"(c[1]), \"+f\"(c[2]), \"+f\"(c[3]) : \"r\"(a[0]), \"r\"(a[1]), \"r\"(a[2]), \"r\"(a[3]), \"r\"(b0), \"r\"(b1));\n"
    "}\n"
    "// Words of 16 bytes, of which some are not wanted: a load is done for each of the lines that a wave's threads meet, and so fewer loads are sooner done.\n"
    "#define ALIGNED_WORDS\n"
    "template <unsigned n> static __device__ inline void alignedWords(unsigned long long at, unsigned* w) {\n"
    "\tconstexpr unsigned most = (n + 6) / 4;\n"
    "\tunsigned a = (unsigned)at / 4 & 3u, r[4 * most], t[n + 1];\n"
    "\tconst uint4* p = (const uint4*)__cvta_global_to_generic(at & ~15ull);\n"
    "_Pragma(\"unroll\") for (unsigned j = 0; j < most; j++) {\n"
    "\t\tuint4 v = p[j < (n + 3) / 4 ? j : min(j, (a + n - 1) / 4)];\n" // what lies behind the last that is wanted may be nobody's
    "\t\tr[4 * j] = v.x;\n"
    "\t\tr[4 * j + 1] = v.y;\n"
    "\t\tr[4 * j + 2] = v.z;\n"
    "\t\tr[4 * j + 3] = v.w;\n"
    "\t}\n"
    "_Pragma(\"unroll\") for (unsigned j = 0; j <= n; j++) t[j] = a & 2 ? r[j + 2] : r[j];\n"
    "_Pragma(\"unroll\") for (unsigned j = 0; j < n; j++) w[j] = a & 1 ? t[j + 1] : t[j];\n"
    "}\n"
    "#define GLOBAL_AT(T, at) ((T*)__cvta_global_to_generic(at))\n"
    "#define CLASS_AT(T, at) GLOBAL_AT(T, at)\n"
    "#define MATRIX \\\n"
    "\tconstexpr unsigned SUMS = 8, ROWS = 2, COLS = 4, SHARERS = 4; \\\n"
    "\tstruct Factor { \\\n"
    "\t\tunsigned w[4]; \\\n"
    "\t\t__device__ inline void load(const unsigned* at, unsigned line) { \\\n"
    "\t\t\tif (line % 4 == 0) { \\\n" // rows begin at multiples of 16 bytes
    "\t\t\t\tshimLoad(w, at + threadIdx.x % 16 * line + threadIdx.x / 16 % 2 * 4); \\\n"
    "\t\t\t\treturn; \\\n"
    "\t\t\t} \\\n"
    "\t\t\tconst unsigned* p = at + threadIdx.x % 32 / 4 * line + threadIdx.x % 4; \\\n"
    "\t\t\tw[0] = p[0]; \\\n"
    "\t\t\tw[1] = p[8 * line]; \\\n"
    "\t\t\tw[2] = p[4]; \\\n"
    "\t\t\tw[3] = p[8 * line + 4]; \\\n"
    "\t\t} \\\n"
    "\t}; \\\n"
    "\tstruct Sums { \\\n"
    "\t\tfloat v[8]; \\\n"
    "\t\t__device__ inline void zero() { \\\n"
    "\t\t\tfor (int i = 0; i < 8; i++) v[i] = 0.0f; \\\n"
    "\t\t} \\\n"
    "\t\tstatic __device__ inline constexpr unsigned element(unsigned r, unsigned c) { return 2 * r + c % 2 + 4 * (c / 2); } \\\n"
    "\t\t__device__ inline unsigned row(unsigned i) const { return threadIdx.x % 32 / 4 + 8 * (i / 2 % 2); } \\\n"
    "\t\t__device__ inline unsigned col(unsigned i) const { return threadIdx.x % 4 * 2 + i % 2 + 8 * (i / 4); } \\\n"
    "\t\t__device__ inline void add(const Factor& x, const Factor& y) { \\\n"
    "\t\t\tshimMultiply(BRAIN, v, x.w, y.w[0], y.w[2]); \\\n"
    "\t\t\tshimMultiply(BRAIN, v + 4, x.w, y.w[1], y.w[3]); \\\n"
    "\t\t} \\\n"
    "\t};\n"
    "#line 1\n";

EXPORT int hiprtcVersion(int *major, int *minor) { return RTC("nvrtcVersion", (int *, int *), major, minor); }
EXPORT const char *hiprtcGetErrorString(int code) {
	(void)code;
	return "error of NVRTC";
}

EXPORT int hiprtcCreateProgram(void **p, const char *src, const char *name, int n, const char **headers, const char **names) {
	char *all = malloc(sizeof before + strlen(src));
	strcpy(all, before);
	strcat(all, src);
	int rc = RTC("nvrtcCreateProgram", (void **, const char *, const char *, int, const char **, const char **), p, all, name, n, headers, names);
	free(all);
	return rc;
}

EXPORT int hiprtcDestroyProgram(void **p) { return RTC("nvrtcDestroyProgram", (void **), p); }

// Options are those of clang: the architecture becomes this card's, contraction has another name, and lambdas are for the device without a
// word.
EXPORT int hiprtcCompileProgram(void *p, int n, const char **options) {
	const char **own = calloc(n + 2, sizeof *own);
	char arch[40];
	int major = 9, minor = 0, k = 0;
	own[k++] = "-default-device";
	CU("cuDeviceGetAttribute", (int *, int, int), &major, 75, device(0));
	CU("cuDeviceGetAttribute", (int *, int, int), &minor, 76, device(0));
	snprintf(arch, sizeof arch, "--gpu-architecture=sm_%d%d", major, minor);
	for (int i = 0; i < n; i++) {
		if (!strncmp(options[i], "--offload-arch", 14)) own[k++] = arch;
		else if (!strcmp(options[i], "-ffp-contract=off")) own[k++] = "--fmad=false";
		else if (strncmp(options[i], "-O", 2)) own[k++] = options[i];
	}
	int rc = RTC("nvrtcCompileProgram", (void *, int, const char **), p, k, own);
	free(own);
	return rc;
}

EXPORT int hiprtcGetProgramLogSize(void *p, size_t *n) { return RTC("nvrtcGetProgramLogSize", (void *, size_t *), p, n); }
EXPORT int hiprtcGetProgramLog(void *p, char *s) { return RTC("nvrtcGetProgramLog", (void *, char *), p, s); }
EXPORT int hiprtcGetCodeSize(void *p, size_t *n) { return RTC("nvrtcGetCUBINSize", (void *, size_t *), p, n); }
EXPORT int hiprtcGetCode(void *p, char *s) { return RTC("nvrtcGetCUBIN", (void *, char *), p, s); }
