// Package vulkan computes on any device with a Vulkan 1.2 driver that has buffer device addresses, 64-, 16- and
// 8-bit integers and timeline semaphores: every desktop driver of the last years, and lavapipe in software.
// Importing it registers backend "Vulkan". It needs cgo; without, the backend is there and says so.
//
// # Memory, and what may be called concurrently
//
// A Device has memory of its own, which is the default, and memory of the host that it can address. Kernels get
// addresses, not bindings, so that no limit on bindings counts and any view lies where it lies. Where the host can write to all of the
// device's memory, as it can on most machines, writes are plain copies; reads, and writes elsewhere, pass through two slots of
// staging memory. Buffers belong to whoever allocated them. Everything may be called concurrently, but for what package
// backends excludes. A lost device fails what is under way, and all that was made on it; the Device opens again when
// memory is next asked for.
//
// A Program is command buffers, recorded by Compile and submitted by one call into C. One queue runs all of
// them in order. A long program is submitted in pieces, so that a cancelled context ends it soon and no watchdog does.
//
// # How a kernel is added
//
//  1. shaders/NAME.comp, in GLSL. It includes common.glsl (memory by address, types, conversions, faults), and dequant.glsl if it
//     reads weights, declares its Params as push constants, and takes what is fixed for a node (types, sizes
//     worth unrolling) as specialization constants. Constant 0 is the group's size and 1 the subgroup's; its own
//     begin at 2.
//
//  2. go generate in this folder, with glslc 2025.2 or newer on the path or named by GLSLC. It writes shaders/spv,
//     which is committed. A test fails if it was forgotten.
//
//  3. A function recordNAME in the file of its like. It makes one or more dispatches:
//
//     p := r.push().in(a, b).out(n).i(count).strides(a)
//     return r.run("name", 256, spec{uint32(a.Type)}, p, r.linear(count, 256))
//
//     in and out add addresses in the order of Params, and tell the recorder what is read and written: barriers follow from
//     that alone. area is scratch memory between the dispatches of a node (inArea, outArea). faults adds where an index
//     outside its tensor is told. More than 128 bytes of Params are put into memory, and the shader gets their address: it then
//     declares them as BIG_PARAMS does in delta_net.comp. dst is always packed; sources have any strides, and any
//     alignment that their type allows: look at r.address(t) before loading wider words.
//
//  4. A line in the table of kernels.go. What its types and shapes may be is a line in backends/internal/card, which ROCm's kernels share, and in the
//     table what depends on the device: a reason that people read when they ask why an op runs elsewhere. Numbers of more than 32 bits are
//     refused there.
//
// A kernel for several nodes (see backends.Fuser) has its line in the table of fusion.go.
//
// Then the conformance suite judges: go test -run 'TestConformance/NAME' ./backends/vulkan.
//
// Options.Profile, or a file named by the environment variable TENON_VULKAN_PROFILE, says where the time goes.
//
// Several kernels for one op are chosen in its record function, by shape, alignment and what the device can
// (r.s.dev.phys.Can and .Limits).
package vulkan

//go:generate go run shaders/compile.go
