// Sums and greatest values over a group: subgroups first, then shared memory.
shared float reduceParts[128];

float reduceSum(float v) {
	v = subgroupAdd(v);
	if (gl_NumSubgroups == 1) return v;
	barrier();
	if (gl_SubgroupInvocationID == 0) reduceParts[gl_SubgroupID] = v;
	barrier();
	float s = 0.0;
	for (uint i = 0; i < gl_NumSubgroups; i++) s += reduceParts[i];
	return s;
}

// reduceMax takes numbers: NaN must not come here.
float reduceMax(float v) {
	v = subgroupMax(v);
	if (gl_NumSubgroups == 1) return v;
	barrier();
	if (gl_SubgroupInvocationID == 0) reduceParts[gl_SubgroupID] = v;
	barrier();
	float s = reduceParts[0];
	for (uint i = 1; i < gl_NumSubgroups; i++) s = max(s, reduceParts[i]);
	return s;
}
