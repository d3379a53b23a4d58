/*
 * isa - which of the builds of a simd/ file this machine can run
 *
 * The levels are those of the GNUmakefile: base is x86-64-v2, or whatever the
 * compiler makes for another machine; avx2 is x86-64-v3; avx512 is x86-64-v4;
 * avx512bf16 adds products of pairs of bf16, and of four bytes (VNNI).  Those of AMX
 * are lib/dev/cpu's alone, which asks the kernel for them.
 */
#ifndef BASE_ISA_H
#define BASE_ISA_H

enum isa { ISA_LEVEL_BASE, ISA_LEVEL_AVX2, ISA_LEVEL_AVX512, ISA_LEVEL_AVX512BF16 };

/* The highest; those below it run too. */
static inline enum isa
isa_best(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
	    !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
		return ISA_LEVEL_BASE;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl"))
		return ISA_LEVEL_AVX2;
	return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni") ?
	    ISA_LEVEL_AVX512BF16 : ISA_LEVEL_AVX512;
#else
	return ISA_LEVEL_BASE;
#endif
}

/* The name of what a simd/ file defines, in this build of it. */
#define ISA_JOIN2(a, b) a##_##b
#define ISA_JOIN(a, b) ISA_JOIN2(a, b)
#define OF_ISA(name) ISA_JOIN(name, ISA)

/*
 * For a table of functions, struct name, that a simd/ file defines: declare its builds, and a
 * function name() for the best one here.
 */
#ifdef __x86_64__
#define ISA_TABLE(name)							\
extern const struct name name##_base, name##_avx2, name##_avx512;	\
static inline const struct name *					\
name(void)								\
{									\
	enum isa best = isa_best();					\
									\
	return best >= ISA_LEVEL_AVX512 ? &name##_avx512 :		\
	    best == ISA_LEVEL_AVX2 ? &name##_avx2 : &name##_base;	\
}
#else
#define ISA_TABLE(name)							\
extern const struct name name##_base;					\
static inline const struct name *					\
name(void)								\
{									\
	return &name##_base;						\
}
#endif

#endif
