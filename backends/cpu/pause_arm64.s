//go:build !purego

#include "textflag.h"

// func pause(n uint32)
// YIELD is a no-op on many cores; ISB holds the pipeline up for some tens of cycles on all.
TEXT ·pause(SB), NOSPLIT, $0-4
	MOVWU n+0(FP), R0

loop:
	ISB  $15
	SUBW $1, R0
	CBNZW R0, loop
	RET
