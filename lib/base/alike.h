/*
 * alike - marks arithmetic that a GPU's kernels and the processor's both do
 *
 * It is written once, in C that nvcc takes for both.
 */
#ifndef BASE_ALIKE_H
#define BASE_ALIKE_H

#ifdef __CUDACC__
#define ALIKE static __host__ __device__ inline
#else
#define ALIKE static inline
#endif

#endif
