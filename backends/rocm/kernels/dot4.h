#pragma once
// Products of eight-bit integers, four at a time.

// dot4 adds the products of four signed bytes of each word to c. Not every architecture has it as an instruction.
#ifndef DOT4 // a test aid may have one of its own
#if defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx942__) || defined(__gfx950__) || defined(__gfx1011__) || \
	defined(__gfx1012__) || defined(__gfx1030__) || defined(__gfx1031__) || defined(__gfx1032__) || defined(__gfx1034__) || defined(__gfx1035__) || \
	defined(__gfx1036__)
#define DOT4(a, b, c) __builtin_amdgcn_sdot4(a, b, c, false)
#elif defined(__GFX11__) || defined(__GFX12__)
#define DOT4(a, b, c) __builtin_amdgcn_sudot4(true, a, true, b, c, false)
#else
#define DOT4(a, b, c) dot4ByHand(a, b, c)
#endif
#endif

FN int dot4ByHand(int a, int b, int c) {
	UNROLL for (int i = 0; i < 32; i += 8) c += (a << (24 - i) >> 24) * (b << (24 - i) >> 24);
	return c;
}

FN int dot4(u32 a, u32 b, int c) { return DOT4(int(a), int(b), c); }
