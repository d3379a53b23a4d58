/* The same by AMX's tiles, which are spelt out where there are none. */
#define ISA spelt
#define AMX 1
#include "t_matmul_pairs.c"
