// What kernels of attention share.

// slopeOf returns what a head's mask is multiplied by.
float slopeOf(uint head, uint pow2, float bias) {
	float e = head < pow2 ? float(head + 1) / float(pow2) : float(2 * (head - pow2) + 1) / float(2 * pow2);
	return exp2(-bias * e);
}

// sink adds a score without a value to a sum whose greatest score is most; results are multiplied by keep.
void sink(float score, float most, inout float sum, inout float keep) {
	float top = max(most, score);
	if (top == -INF) return;
	keep = most == -INF ? (sum == 0.0 ? 1.0 : sum) : exp_(most - top);
	sum = sum * keep + exp_(score - top);
}
