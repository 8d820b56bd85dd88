#include "textflag.h"

// func pairAVX2(acc, a, b *float64, k float64, n int)
// acc[i] += (a[i] + b[i]) * k for n values, a multiple of 4.
TEXT ·pairAVX2(SB), NOSPLIT, $0-40
	MOVQ acc+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	VBROADCASTSD k+24(FP), Y3
	MOVQ n+32(FP), CX
	XORQ AX, AX

loop:
	CMPQ AX, CX
	JGE  done
	VMOVUPD (SI)(AX*8), Y0
	VADDPD (DX)(AX*8), Y0, Y0
	VMULPD Y3, Y0, Y0
	VADDPD (DI)(AX*8), Y0, Y0
	VMOVUPD Y0, (DI)(AX*8)
	ADDQ $4, AX
	JMP  loop

done:
	VZEROUPPER
	RET

// func pairsAVX2(acc *float64, a, b *int32, k float64, n int)
// acc[i] += float64(a[i] + b[i]) * k for n values, a multiple of 4.
TEXT ·pairsAVX2(SB), NOSPLIT, $0-40
	MOVQ acc+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	VBROADCASTSD k+24(FP), Y3
	MOVQ n+32(FP), CX
	XORQ AX, AX

loop2:
	CMPQ AX, CX
	JGE  done2
	VMOVDQU (SI)(AX*4), X0
	VPADDD (DX)(AX*4), X0, X0
	VCVTDQ2PD X0, Y0
	VMULPD Y3, Y0, Y0
	VADDPD (DI)(AX*8), Y0, Y0
	VMOVUPD Y0, (DI)(AX*8)
	ADDQ $4, AX
	JMP  loop2

done2:
	VZEROUPPER
	RET
