#include "textflag.h"
#include "transpose_amd64.h"

// Constants of the forward DCT, in the order of the macros below (encode.go).
DATA fdct<>+0(SB)/4, $4433 // f0541
DATA fdct<>+4(SB)/4, $-15137 // n1847
DATA fdct<>+8(SB)/4, $6270 // f0765
DATA fdct<>+12(SB)/4, $9633 // f1175
DATA fdct<>+16(SB)/4, $2446 // f0298
DATA fdct<>+20(SB)/4, $16819 // f2053
DATA fdct<>+24(SB)/4, $25172 // f3072
DATA fdct<>+28(SB)/4, $12299 // f1501
DATA fdct<>+32(SB)/4, $-7373 // n0899
DATA fdct<>+36(SB)/4, $-20995 // n2562
DATA fdct<>+40(SB)/4, $-16069 // n1961
DATA fdct<>+44(SB)/4, $-3196 // n0390
DATA fdct<>+48(SB)/4, $1024 // r1
DATA fdct<>+52(SB)/4, $16384 // r2
DATA fdct<>+56(SB)/4, $2 // low
DATA fdct<>+60(SB)/4, $128 // level
GLOBL fdct<>(SB), RODATA|NOPTR, $64

#define FMUL(at, r) \
	VPBROADCASTD fdct<>+at(SB), Y15 \
	VPMULLD Y15, r, r

// FPASS is one direction of the transform for eight columns at once: Y0 to Y7 in, Y8 to
// Y15 out, of which Y8 and Y12 are not scaled yet. The steps are those of fdctGo.
#define FPASS(round, shift) \
	VPADDD Y7, Y0, Y8 \
	VPSUBD Y7, Y0, Y7 \
	VPADDD Y6, Y1, Y9 \
	VPSUBD Y6, Y1, Y6 \
	VPADDD Y5, Y2, Y10 \
	VPSUBD Y5, Y2, Y5 \
	VPADDD Y4, Y3, Y11 \
	VPSUBD Y4, Y3, Y4 \
	VPADDD Y11, Y8, Y0 \
	VPSUBD Y11, Y8, Y3 \
	VPADDD Y10, Y9, Y1 \
	VPSUBD Y10, Y9, Y2 \
	VPADDD Y1, Y0, Y8 \
	VPSUBD Y1, Y0, Y12 \
	VPADDD Y3, Y2, Y0 \
	FMUL(0, Y0) \
	FMUL(8, Y3) \
	VPADDD Y3, Y0, Y10 \
	FMUL(4, Y2) \
	VPADDD Y2, Y0, Y14 \
	VPADDD Y7, Y4, Y0 \
	VPADDD Y6, Y5, Y1 \
	VPADDD Y6, Y4, Y2 \
	VPADDD Y7, Y5, Y3 \
	VPADDD Y3, Y2, Y9 \
	FMUL(12, Y9) \
	FMUL(16, Y4) \
	FMUL(20, Y5) \
	FMUL(24, Y6) \
	FMUL(28, Y7) \
	FMUL(32, Y0) \
	FMUL(36, Y1) \
	FMUL(40, Y2) \
	FMUL(44, Y3) \
	VPADDD Y9, Y2, Y2 \
	VPADDD Y9, Y3, Y3 \
	VPADDD Y0, Y4, Y4 \
	VPADDD Y2, Y4, Y4 \
	VPADDD Y1, Y5, Y5 \
	VPADDD Y3, Y5, Y13 \
	VPADDD Y1, Y6, Y6 \
	VPADDD Y2, Y6, Y11 \
	VPADDD Y0, Y7, Y7 \
	VPADDD Y3, Y7, Y9 \
	VPBROADCASTD fdct<>+round(SB), Y15 \
	VPADDD Y15, Y9, Y9 \
	VPADDD Y15, Y10, Y10 \
	VPADDD Y15, Y11, Y11 \
	VPADDD Y15, Y13, Y13 \
	VPADDD Y15, Y14, Y14 \
	VPADDD Y15, Y4, Y4 \
	VPSRAD $shift, Y9, Y9 \
	VPSRAD $shift, Y10, Y10 \
	VPSRAD $shift, Y11, Y11 \
	VPSRAD $shift, Y13, Y13 \
	VPSRAD $shift, Y14, Y14 \
	VPSRAD $shift, Y4, Y15

// LOAD reads eight bytes of a row, as 32-bit integers.
#define LOAD(r) \
	VPMOVZXBD (SI), r \
	ADDQ DX, SI

// QUANT divides a row by eight times its quantisation, halves away from 0. Numbers are
// below 2^23, so that quotients of float32 are cut off to the right integers.
#define QUANT(at, r) \
	VPABSD r, Y1 \
	VPADDD at(BX), Y1, Y1 \
	VCVTDQ2PS Y1, Y1 \
	VDIVPS at(CX), Y1, Y1 \
	VCVTTPS2DQ Y1, Y1 \
	VPSIGND r, Y1, r

// func fdctAVX2(src *byte, stride int, half *[64]int32, div *[64]float32, out *[64]int16)
TEXT ·fdctAVX2(SB), NOSPLIT, $0-40
	MOVQ src+0(FP), SI
	MOVQ stride+8(FP), DX
	MOVQ half+16(FP), BX
	MOVQ div+24(FP), CX
	MOVQ out+32(FP), DI
	LOAD(Y8)
	LOAD(Y9)
	LOAD(Y10)
	LOAD(Y11)
	LOAD(Y12)
	LOAD(Y13)
	LOAD(Y14)
	LOAD(Y15)
	VPBROADCASTD fdct<>+60(SB), Y0
	VPSUBD Y0, Y8, Y8
	VPSUBD Y0, Y9, Y9
	VPSUBD Y0, Y10, Y10
	VPSUBD Y0, Y11, Y11
	VPSUBD Y0, Y12, Y12
	VPSUBD Y0, Y13, Y13
	VPSUBD Y0, Y14, Y14
	VPSUBD Y0, Y15, Y15
	TRANSPOSE
	FPASS(48, 11)
	VPSLLD $2, Y8, Y8
	VPSLLD $2, Y12, Y12
	TRANSPOSE
	FPASS(52, 15)
	VPBROADCASTD fdct<>+56(SB), Y0
	VPADDD Y0, Y8, Y8
	VPADDD Y0, Y12, Y12
	VPSRAD $2, Y8, Y8
	VPSRAD $2, Y12, Y12
	QUANT(0, Y8)
	QUANT(32, Y9)
	QUANT(64, Y10)
	QUANT(96, Y11)
	QUANT(128, Y12)
	QUANT(160, Y13)
	QUANT(192, Y14)
	QUANT(224, Y15)
	VPACKSSDW Y9, Y8, Y8
	VPACKSSDW Y11, Y10, Y10
	VPACKSSDW Y13, Y12, Y12
	VPACKSSDW Y15, Y14, Y14
	VPERMQ $0xD8, Y8, Y8
	VPERMQ $0xD8, Y10, Y10
	VPERMQ $0xD8, Y12, Y12
	VPERMQ $0xD8, Y14, Y14
	VMOVDQU Y8, (DI)
	VMOVDQU Y10, 32(DI)
	VMOVDQU Y12, 64(DI)
	VMOVDQU Y14, 96(DI)
	VZEROUPPER
	RET
