#include "textflag.h"

// func outb(port uint16, value uint8)
TEXT ·outb(SB), NOSPLIT, $0-3
	MOVW port+0(FP), DX
	MOVB value+2(FP), AX
	OUTB
	RET

// func outw(port uint16, value uint16)
TEXT ·outw(SB), NOSPLIT, $0-4
	MOVW port+0(FP), DX
	MOVW value+2(FP), AX
	OUTW
	RET

// func insb(port uint16, p []byte)
TEXT ·insb(SB), NOSPLIT, $0-32
	MOVW port+0(FP), DX
	MOVQ p_base+8(FP), DI
	MOVQ p_len+16(FP), CX
	CLD
	REP
	INSB
	RET
