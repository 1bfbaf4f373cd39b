// What every kernel begins with: extensions, the group's size, memory by address, types and their conversions.
// A kernel includes this first, declares its Params and then its main.

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 1) const uint SUBGROUP = 32;

// Memory by address. Each holds one value where an address points; buffer_reference_align is what the value itself asks for.
layout(buffer_reference, scalar, buffer_reference_align = 1) buffer U8 { uint8_t v; };
layout(buffer_reference, scalar, buffer_reference_align = 2) buffer U16 { uint16_t v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer U32 { uint v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer F32 { float v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer I32 { int v; };
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer U64 { uint64_t v; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer U32x4 { uvec4 v; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer F32x4 { vec4 v; };

// Element types, by the numbers of GGUF, which are those of tensor.DType.
const uint T_F32 = 0, T_F16 = 1, T_Q4_0 = 2, T_Q4_1 = 3, T_Q5_0 = 6, T_Q5_1 = 7, T_Q8_0 = 8, T_Q8_1 = 9;
const uint T_Q2_K = 10, T_Q3_K = 11, T_Q4_K = 12, T_Q5_K = 13, T_Q6_K = 14, T_Q8_K = 15;
const uint T_IQ4_NL = 20, T_IQ4_XS = 23, T_I8 = 24, T_I16 = 25, T_I32 = 26, T_I64 = 27, T_F64 = 28, T_BF16 = 30, T_MXFP4 = 39;

#define INF uintBitsToFloat(0x7f800000u)

// isNaN asks the bits: a compiler may take it that there are no NaNs.
bool isNaN(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

// linearIndex numbers the invocations of a dispatch that recorder.linear has sized.
uint linearIndex() {
	return (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

// linearGroup numbers its groups.
uint linearGroup() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

// Half precision, by integers: a driver may round otherwise, or take the smallest numbers for 0.
float fromF16(uint h) {
	uint s = (h & 0x8000u) << 16;
	uint e = h & 0x7c00u;
	if (e == 0) return uintBitsToFloat(floatBitsToUint(float(h & 0x3ffu) * 5.9604644775390625e-8) | s);
	if (e == 0x7c00u) return uintBitsToFloat(s | 0x7f800000u | (h & 0x3ffu) << 13);
	return uintBitsToFloat(s | (((h & 0x7fffu) << 13) + 0x38000000u));
}

uint toF16(float x) {
	uint u = floatBitsToUint(x), s = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
	if (a > 0x7f800000u) return s | 0x7e00u;
	if (a >= 0x477ff000u) return s | 0x7c00u;
	if (a >= 0x38800000u) return s | (a - 0x38000000u + 0xfffu + (a >> 13 & 1u)) >> 13;
	uint e = a >> 23;
	if (e < 102) return s;
	uint m = a & 0x7fffffu | 0x800000u, shift = 126 - e, n = m >> shift, rest = m & (1u << shift) - 1u, mid = 1u << shift - 1;
	if (rest > mid || rest == mid && (n & 1u) != 0) n++;
	return s | n;
}

float fromBF16(uint h) { return uintBitsToFloat(h << 16); }

uint toBF16(float x) {
	uint u = floatBitsToUint(x);
	if ((u & 0x7fffffffu) > 0x7f800000u) return u >> 16 | 0x40u;
	return u + 0x7fffu + (u >> 16 & 1u) >> 16;
}

// loadFloat reads a number of a float type.
float loadFloat(uint type, uint64_t at) {
	if (type == T_F32) return F32(at).v;
	uint h = uint(U16(at).v);
	return type == T_F16 ? fromF16(h) : fromBF16(h);
}

void storeFloat(uint type, uint64_t at, float x) {
	if (type == T_F32) F32(at).v = x;
	else if (type == T_F16) U16(at).v = uint16_t(toF16(x));
	else U16(at).v = uint16_t(toBF16(x));
}

// sizeOf returns the bytes of an element, or of a block.
uint sizeOf(uint type) {
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
uint elemsOf(uint type) {
	switch (type) {
	case T_Q4_0: case T_Q4_1: case T_Q5_0: case T_Q5_1: case T_Q8_0: case T_Q8_1: case T_IQ4_NL: case T_MXFP4: return 32;
	case T_Q2_K: case T_Q3_K: case T_Q4_K: case T_Q5_K: case T_Q6_K: case T_Q8_K: case T_IQ4_XS: return 256;
	}
	return 1;
}

// coords takes a flat index apart.
uvec4 coords(uint i, uint ne[4]) {
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
uint64_t offset(uvec4 c, uint st[4]) {
	return uint64_t(c.x) * st[0] + uint64_t(c.y) * st[1] + uint64_t(c.z) * st[2] + uint64_t(c.w) * st[3];
}

// Fault is where an index outside its tensor is told: see faults.go. The first is kept.
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Fault { uint state, node, lo, hi, rows; };

void fault(uint64_t at, uint node, int64_t index, uint rows) {
	Fault f = Fault(at);
	if (atomicCompSwap(f.state, 0u, 1u) == 0u) {
		f.node = node;
		f.lo = uint(index);
		f.hi = uint(index >> 32);
		f.rows = rows;
	}
}

// wide makes 64 bits of 32, by halves: a driver in wide use (Mesa 22 in software) loses the sign of a conversion.
int64_t wide(int v) { return int64_t(packUint2x32(uvec2(uint(v), uint(v >> 31)))); }

// loadIndex reads an I32 or I64. To be compared it is taken for unsigned: see negative in copy.comp.
int64_t loadIndex(uint type, uint64_t at) {
	if (type == T_I32) return wide(I32(at).v);
	return int64_t(U64(at).v);
}
