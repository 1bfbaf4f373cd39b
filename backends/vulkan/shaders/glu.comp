#version 450
// GLU: Act(gate) * up.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint FUNC = 0;
layout(constant_id = 3) const uint TYPE = 0;
layout(constant_id = 4) const bool OAI = false;
layout(constant_id = 5) const bool FLAT = true;

layout(push_constant, scalar) uniform Params {
	uint64_t gate, up, dst;
	uint n;
	uint ne[4], gs[4], us[4];
	float alpha, limit;
};

void main() {
	uint i = linearIndex();
	if (i >= n) return;
	uint64_t pg = gate, pu = up;
	if (FLAT) {
		pg += uint64_t(i) * sizeOf(TYPE);
		pu += uint64_t(i) * sizeOf(TYPE);
	} else {
		uvec4 c = coords(i, ne);
		pg += offset(c, gs);
		pu += offset(c, us);
	}
	float g = loadFloat(TYPE, pg), u = loadFloat(TYPE, pu), y;
	if (OAI) {
		float nan = isNaN(g) ? g : u;
		if (g > limit) g = limit;
		if (u > limit) u = limit;
		if (u < -limit) u = -limit;
		y = isNaN(nan) ? nan : g * sigmoid_(alpha * g) * (u + 1.0);
	} else y = func(FUNC, g) * u;
	storeFloat(TYPE, dst + uint64_t(i) * sizeOf(TYPE), y);
}
