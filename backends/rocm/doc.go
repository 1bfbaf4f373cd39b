// Package rocm computes on AMD GPUs through HIP. Importing it registers backend "ROCm". The runtime (libamdhip64, with the compiler
// hiprtc) is opened when devices are first asked for; versions 5, 6 and 7 are known.
//
// Nothing is linked and no C compiler is needed, but who opens libraries depends on the system's C library. So a build without
// cgo, which is static otherwise, has this backend only with the tag rocm; without, the backend is there and says so.
//
// # Memory, and what may be called concurrently
//
// A Device has memory of its own, which is the default, and pinned memory of the host. Copies pass through two slots of pinned
// memory. Buffers belong to whoever allocated them. Everything may be called concurrently, but for what package backends excludes. A
// lost device fails what is under way, and all that was made on it; the Device opens again when memory is next asked for.
//
// A Program is launches on the device's one stream, which runs everything in order, so that there are no barriers. They are
// captured as graphs where the runtime has them, and are submitted in pieces, so that a cancelled context ends a long run soon. What
// changes from run to run lies in memory that launches read, so that a program is captured once.
//
// AMD's management library is asked for power, temperature, clocks and memory in use where it is there (backends.Meter).
//
// # Products
//
// Up to 8 rows of b are for matvec, by integers, or matvec_f, in F32: weights are read as they lie in the file, and what limits is memory
// (matvec.h). More are for matmul_halves, by tiles and the architecture's instructions for matrices (matrix.h has their forms,
// matrix.go which architecture has which), or matmul_tile in F32, which is Exact's; rows of a MatMulID are grouped by expert before.
// matmul and matmul_id take whatever is left: any strides and alignment.
//
// What a kernel makes of b first is kept for other products of it (kept.go). Nodes are fused as fusion.go says, and besides products of one b,
// and rows that turn by the same angles, are parts of one launch (joined.go, turned in rope.go): one launch after the other
// leaves a card idle, for a token of a small model longer than it computes.
//
// # How a kernel is added
//
//  1. kernels/NAME.hip: a struct Params with a method run, and KERNEL(NAME). The fields are what the record function pushes, in
//     order, addresses first. What has to be known when it is compiled is named in a line "// constants: A B" and pushed
//     apart. Threads of a wave are 32 or 64: WAVE, LANE, waveSum. There are no headers but those in kernels.
//
//  2. A function recordNAME in the file of its like:
//
//     p := r.push().in(a, b).out(n).i(count).strides(a)
//     return r.run("name", 256, nil, p, r.linear(count, 256))
//
//     Every address that is written goes through out or outArea: what was made of it before is forgotten then.
//
//  3. A line in the table of kernels.go, with what it supports beyond what backends/internal/card says for Vulkan's, too, or in that of fusion.go for
//     several nodes (see backends.Fuser), and one in compiledKernels if it has constants, so that CI compiles it.
//
// What an instruction of some architectures does has a macro with a form by hand, as DOT4 in dot4.h: an architecture that lacks it, and
// test aids, then compute the same.
//
// Kernels are compiled for the device when a program needs them, and kept in the user's cache folder (OnCompile tells how far that is),
// or come with the program (AddKernels). Options.Profile, or a file named by the environment variable TENON_ROCM_PROFILE, says where the time goes.
//
// Then the conformance suite judges: go test -run 'TestConformance/NAME' ./backends/rocm, on a machine with a card, or anywhere in the
// emulator of testdata/emulator.
package rocm
