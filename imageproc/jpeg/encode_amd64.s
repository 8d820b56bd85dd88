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

// Shuffles that take one colour of four pixels as 32-bit integers, and the third bytes of
// four integers, which are the integers divided by 2^16.
DATA red<>+0(SB)/8, $0x8080800380808000
DATA red<>+8(SB)/8, $0x8080800980808006
GLOBL red<>(SB), RODATA|NOPTR, $16
DATA green<>+0(SB)/8, $0x8080800480808001
DATA green<>+8(SB)/8, $0x8080800a80808007
GLOBL green<>(SB), RODATA|NOPTR, $16
DATA blue<>+0(SB)/8, $0x8080800580808002
DATA blue<>+8(SB)/8, $0x8080800b80808008
GLOBL blue<>(SB), RODATA|NOPTR, $16
DATA third<>+0(SB)/8, $0x808080800e0a0602
DATA third<>+8(SB)/8, $0x8080808080808080
GLOBL third<>(SB), RODATA|NOPTR, $16

// Factors of the colours (encode.go, rgbRowGo).
DATA ycc<>+0(SB)/4, $19595
DATA ycc<>+4(SB)/4, $38470
DATA ycc<>+8(SB)/4, $7471
DATA ycc<>+12(SB)/4, $-11059
DATA ycc<>+16(SB)/4, $-21709
DATA ycc<>+20(SB)/4, $-27439
DATA ycc<>+24(SB)/4, $-5329
DATA ycc<>+28(SB)/4, $32768 // rounding of the luma
DATA ycc<>+32(SB)/4, $8421375 // offset of the chroma
GLOBL ycc<>(SB), RODATA|NOPTR, $36

// THIRD stores the third bytes of the eight integers in Y0; Y4 is lost.
#define THIRD(to) \
	VPSHUFB Y12, Y0, Y0 \
	VEXTRACTI128 $1, Y0, X4 \
	VPUNPCKLDQ X4, X0, X0 \
	VMOVQ X0, (to)

// func rgbRowAVX2(rgb, y, cb, cr *byte, n int)
TEXT ·rgbRowAVX2(SB), NOSPLIT, $0-40
	MOVQ rgb+0(FP), SI
	MOVQ y+8(FP), DI
	MOVQ cb+16(FP), R8
	MOVQ cr+24(FP), R9
	MOVQ n+32(FP), CX
	VBROADCASTI128 red<>(SB), Y15
	VBROADCASTI128 green<>(SB), Y14
	VBROADCASTI128 blue<>(SB), Y13
	VBROADCASTI128 third<>(SB), Y12
	VPBROADCASTD ycc<>+0(SB), Y11
	VPBROADCASTD ycc<>+4(SB), Y10
	VPBROADCASTD ycc<>+8(SB), Y9
	VPBROADCASTD ycc<>+12(SB), Y8
	VPBROADCASTD ycc<>+16(SB), Y7
	VPBROADCASTD ycc<>+20(SB), Y6
	VPBROADCASTD ycc<>+24(SB), Y5

pixels:
	VMOVDQU (SI), X0
	VINSERTI128 $1, 12(SI), Y0, Y0
	VPSHUFB Y15, Y0, Y1
	VPSHUFB Y14, Y0, Y2
	VPSHUFB Y13, Y0, Y3

	VPMULLD Y11, Y1, Y0
	VPMULLD Y10, Y2, Y4
	VPADDD Y4, Y0, Y0
	VPMULLD Y9, Y3, Y4
	VPADDD Y4, Y0, Y0
	VPBROADCASTD ycc<>+28(SB), Y4
	VPADDD Y4, Y0, Y0
	THIRD(DI)

	VPMULLD Y8, Y1, Y0
	VPMULLD Y7, Y2, Y4
	VPADDD Y4, Y0, Y0
	VPSLLD $15, Y3, Y4
	VPADDD Y4, Y0, Y0
	VPBROADCASTD ycc<>+32(SB), Y4
	VPADDD Y4, Y0, Y0
	THIRD(R8)

	VPSLLD $15, Y1, Y0
	VPMULLD Y6, Y2, Y4
	VPADDD Y4, Y0, Y0
	VPMULLD Y5, Y3, Y4
	VPADDD Y4, Y0, Y0
	VPBROADCASTD ycc<>+32(SB), Y4
	VPADDD Y4, Y0, Y0
	THIRD(R9)

	ADDQ $24, SI
	ADDQ $8, DI
	ADDQ $8, R8
	ADDQ $8, R9
	SUBQ $8, CX
	JNZ pixels
	VZEROUPPER
	RET

// Ones, and what is added to sums of four before they are divided.
DATA sums<>+0(SB)/4, $0x01010101
DATA sums<>+4(SB)/4, $0x00020001
GLOBL sums<>(SB), RODATA|NOPTR, $8

// func halveAVX2(above, below, to *byte, n int)
TEXT ·halveAVX2(SB), NOSPLIT, $0-32
	MOVQ above+0(FP), SI
	MOVQ below+8(FP), DX
	MOVQ to+16(FP), DI
	MOVQ n+24(FP), CX
	VPBROADCASTD sums<>+0(SB), Y2
	VPBROADCASTD sums<>+4(SB), Y3

fours:
	VMOVDQU (SI), Y0
	VMOVDQU (DX), Y1
	VPMADDUBSW Y2, Y0, Y0
	VPMADDUBSW Y2, Y1, Y1
	VPADDW Y1, Y0, Y0
	VPADDW Y3, Y0, Y0
	VPSRLW $2, Y0, Y0
	VPACKUSWB Y0, Y0, Y0
	VPERMQ $0x08, Y0, Y0
	VMOVDQU X0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $16, DI
	SUBQ $16, CX
	JNZ fours
	VZEROUPPER
	RET
