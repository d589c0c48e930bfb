// Highway for the one target that a source file is compiled for, NPU_SIMD_TARGET, which that file defines first.
//
// Highway's own dispatch would need its library, which Debian has as a shared one only. So each target is a source file
// of its own, and sets.cpp asks the processor. What is between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE may use the
// target's instructions; what a header defines before may not, so no inline function of them gets into a program that
// another processor runs.
#pragma once

#define HWY_IS_DEBUG_BUILD 0  // its assertions call the library
#include <hwy/detect_targets.h>
#undef HWY_TARGET
#define HWY_TARGET NPU_SIMD_TARGET
#if defined(__aarch64__)
// Every AArch64 processor has NEON. Highway would ask for the AES instructions, too.
#undef HWY_HAVE_RUNTIME_DISPATCH
#define HWY_HAVE_RUNTIME_DISPATCH 0
#endif
#include <hwy/highway.h>
#if defined(NPU_SIMD_DOT_PRODUCTS)
// Arm's dot products of i8, for which Highway 1.0.3 has no target.
#undef HWY_BEFORE_NAMESPACE
#undef HWY_AFTER_NAMESPACE
#define HWY_BEFORE_NAMESPACE() HWY_PUSH_ATTRIBUTES("arch=armv8.2-a+dotprod") static_assert(true)
#define HWY_AFTER_NAMESPACE() HWY_POP_ATTRIBUTES static_assert(true)
#endif
#if HWY_TARGET == HWY_AVX3
// Dot products of i8, which Highway has no operation for. Its next target, AVX3_DL, would take VNNI's other encoding,
// which the first processors with this one lack.
#undef HWY_TARGET_STR
#define HWY_TARGET_STR HWY_TARGET_STR_AVX3 ",avx512vnni"
#endif
