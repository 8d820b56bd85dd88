package runtime

import (
	goruntime "runtime"

	"golang.org/x/sys/cpu"
)

// IntegerKernels names the best instructions for products of 8-bit integers that this
// processor has and ONNX Runtime has kernels for: amx_int8, avx512_vnni, avx_vnni, avx512, avx2
// or sse on x86-64; i8mm, dotprod or neon on arm64; elsewhere the architecture. Kernels for
// different ones add, round and saturate differently, so quantised models give other scores.
func IntegerKernels() string {
	type set struct {
		has  bool
		name string
	}
	var sets []set
	switch goruntime.GOARCH {
	case "amd64", "386":
		x := cpu.X86
		wide := x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL
		sets = []set{
			{x.HasAMXTile && x.HasAMXInt8, "amx_int8"}, {wide && x.HasAVX512VNNI, "avx512_vnni"}, {x.HasAVXVNNI, "avx_vnni"},
			{wide, "avx512"}, {x.HasAVX2, "avx2"}, {true, "sse"},
		}
	case "arm64":
		sets = []set{{cpu.ARM64.HasI8MM, "i8mm"}, {cpu.ARM64.HasASIMDDP, "dotprod"}, {true, "neon"}}
	}
	for _, s := range sets {
		if s.has {
			return s.name
		}
	}
	return goruntime.GOARCH
}
