/*
 * standin - a libcuda.so.1 whose device executes PTX, for machines without a GPU
 *
 * A program that uses the CUDA driver API runs unchanged with LD_LIBRARY_PATH
 * set to where this library is.  Kernels are taken from the program's own
 * fatbin, decoded when they are first asked for and executed a warp at a time.  It is strict where a
 * GPU is lenient: see find.h for what it reports.  Streams do nothing until
 * something waits for them.
 *
 * The environment:  CUDA_STANDIN_ORDER   forward, reverse or shuffle, each launch in another way:
 *                                        blocks, warps, lanes;
 *                                        each: every launch in all three, which must agree
 *                   CUDA_STANDIN_THREADS host threads that run blocks
 *                   CUDA_STANDIN_SM      compute capability, as 80 (the default) or 120
 *                   CUDA_STANDIN_DEVICES number of devices, of which a process uses one
 *                   CUDA_STANDIN_MEMORY  bytes of device memory, 16 GiB by default
 *                   CUDA_STANDIN_LINT    file that a table of memory accesses is appended to
 *                   CUDA_STANDIN_COUNTS  a file for the numbers of launches, graphs, waits, products
 */
#ifndef STANDIN_H
#define STANDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 32
#define MAX_WARPS 32
#define MAX_STREAMS 64
#define SHARED_ANYWAY (48u << 10)	/* of a block: static, or both without asking */

enum { ORDER_FORWARD, ORDER_REVERSE, ORDER_SHUFFLE, ORDER_EACH };

enum type {
	NOTYPE, PRED, B8, B16, B32, B64, U8, U16, U32, U64, S8, S16, S32, S64,
	F16, F16X2, BF16, BF16X2, F32, F64, TF32, E4M3, E5M2, E4M3X2, E5M2X2, B128,
	TYPES
};

enum space { GENERIC, GLOBAL, SHARED, LOCAL, PARAM, CONST };

/* Operations: those before EVAL are done a warp at a time, or have effects. */
enum {
	BAD, NOP, BRA, BRX, RET, TRAP, BAR, BARWARP, LD, ST, ATOM, VOTE, MATCH, ACTIVE, SHFL, REDUX,
	MMA, LDMATRIX, STMATRIX, MOVMATRIX, CPASYNC, CPCOMMIT, CPWAIT, FENCE, CLOCK,
	CALL, CARRY, PAIR, SPLIT, CVTA, ISSPACE,
	MOV32, MOV64, ADD32, ADD64, SUB32, SUB64, MUL32, MAD32, WIDES, WIDEU, MADWIDES, MADWIDEU,
	AND32, OR32, XOR32, SHL32, SHR32, SAR32, SHL64, SHR64, AND64, OR64,
	MUL64, NARROW, ADDF, SUBF, MULF, FMAF, MAXF, MINF, NEGF, NARROWF, WIDENF,
	MINS32, MAXS32, MINU32, MAXU32, MINS64, MAXS64, MINU64, MAXU64, NOT32, NOT64, SAR64,
	SELP32, SELP64, SETPS32, SETPU32, SETPS64, SETPU64, SETPF, EXTS, EXTU, WIDENBF, LOP32,
	MOVP, ANDP, ORP, XORP, NOTP,
	EVAL,
	ADD, SUB, MUL, MAD, FMA, MUL24, MAD24, SAD, DIV, REM, ABS, NEG, MIN, MAX, POPC, CLZ, BFIND,
	BREV, BFE, BFI, BMSK, SZEXT, DP4A, DP2A, RCP, SQRT, RSQRT, EX2, LG2, SIN, COS, TANH,
	COPYSIGN, TESTP, AND, OR, XOR, NOT, CNOT, LOP3, SHL, SHR, SHF, SETP, SET, SELP, SLCT, MOV,
	PRMT, CVT,
	OPS
};

enum { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE, CMP_EQU, CMP_NEU, CMP_LTU, CMP_LEU,
	CMP_GTU, CMP_GEU, CMP_NUM, CMP_NAN };
enum { PART_LO = 1, PART_HI, PART_WIDE };
enum { ROUND_NONE, ROUND_N, ROUND_Z, ROUND_M, ROUND_P, ROUND_NI, ROUND_ZI, ROUND_MI, ROUND_PI,
	ROUND_NA };
enum { ATOM_ADD = 1, ATOM_MIN, ATOM_MAX, ATOM_AND, ATOM_OR, ATOM_XOR, ATOM_EXCH, ATOM_CAS,
	ATOM_INC, ATOM_DEC };
enum { SHFL_IDX, SHFL_UP, SHFL_DOWN, SHFL_BFLY };
enum { VOTE_ALL, VOTE_ANY, VOTE_UNI, VOTE_BALLOT };
/* What a memory instruction is besides: an access that synchronises is no race. */
enum { MEM_SYNC = 1, MEM_ACQUIRE = 2, MEM_RELEASE = 4 };

#define MAX_DST 8
#define MAX_SRC 16

struct insn {
	uint16_t op;
	uint8_t	type, from;		/* of the result, of the operand of cvt */
	uint8_t	space, part, cmp, round;
	uint8_t	sub;			/* atomic, vote, shuffle, boolean of setp, lut of lop3 */
	uint8_t	flags;			/* of memory */
	uint8_t	n_dst, n_src;
	bool	sat, ftz, neg, trans, relu, approx, carry_out, carry_in;
	bool	guard, guard_not;
	uint8_t	shape[3];		/* m, n, k of mma; x, and bits of ldmatrix */
	uint8_t	dst_width[MAX_DST], src_width[MAX_SRC];	/* 0 for a predicate */
	uint16_t guard_pred;
	uint16_t src_not;		/* predicates that are taken negated, one bit each */
	uint32_t dst[MAX_DST], src[MAX_SRC];	/* bytes into the registers; predicates by number */
	int64_t	imm;			/* offset of an address */
	uint32_t target;		/* of a branch; of brx and call, an index */
	uint32_t line;			/* of the PTX */
	uint32_t loc;			/* in the module's table */
	const char *text;
};

/* A place in a source file, where it was inlined into, and that as one of these; 0: none. */
struct loc {
	uint32_t file, line, at_file, at_line, outer;
};

struct konst {
	uint32_t off;
	uint8_t	width;
	uint64_t value;
};

struct param {
	uint32_t off, size;
};

struct range {
	int	space;
	uint32_t lo, hi;
};

enum special { TID_X, TID_Y, TID_Z, NTID_X, NTID_Y, NTID_Z, CTAID_X, CTAID_Y, CTAID_Z, NCTAID_X,
	NCTAID_Y, NCTAID_Z, LANEID, WARPID, NWARPID, SMID, NSMID, GRIDID, LANEMASK_EQ, LANEMASK_LT,
	LANEMASK_LE, LANEMASK_GT, LANEMASK_GE, DYNAMIC_SMEM, TOTAL_SMEM, WARP_SIZE, SPECIALS };

struct module;

struct kernel {
	char	*name;
	struct module *mod;
	struct insn *code;
	struct konst *konst;
	struct param *param;
	struct range *var;		/* static shared and local ones, with gaps between */
	uint32_t *target;		/* tables of brx */
	int	n_code, n_konst, n_param, n_var, n_target;
	uint32_t reg_bytes, n_pred, param_bytes, local;
	uint32_t shared;		/* bytes as a GPU would count them */
	uint32_t dynamic_at;		/* where dynamic shared memory begins */
	uint32_t special[SPECIALS];	/* slot + 1, or 0 */
	uint32_t max_threads, need[3];
	uint32_t dynamic_most;		/* set by an attribute */
	bool	fences, reads_dynamic;
	char	*text;			/* behind its name, until it is decoded; then NULL */
	uint32_t line;
	struct account *account;	/* lint.h; NULL: nothing is counted */
};

struct var {
	char	*name;
	int	space;
	uint64_t addr, size;
};

struct module {
	char	*text;
	struct kernel **kernel;
	struct loc *loc;
	char	**file;
	struct var *var;
	int	n_kernel, n_loc, n_file, n_var;
	int	sm;
	struct parse *parse;		/* ptx_impl.h: what kernels see of the module */
};

/* Growing arrays: vec_more() makes room for one more and returns its index. */
int vec_more(void *array, int *n, size_t size);

/* ptx.c: text is kept and changed.  NULL, and why in msg. */
struct module *ptx_load(char *text, char *msg, size_t n);
void module_free(struct module *m);
/* Decoded when it is first asked for.  NULL: none, or one that msg tells what is wrong with. */
struct kernel *module_kernel(struct module *m, const char *name, char *msg, size_t n);
/* fatbin.c: the best PTX for this compute capability, to be freed. */
char *fatbin_ptx(const void *image, int sm, char *msg, size_t n);

/* A register's bits as a number, and back. */
static inline float
f32(uint64_t v)
{
	uint32_t u = (uint32_t)v;
	float f;

	memcpy(&f, &u, 4);
	return f;
}

static inline uint64_t
of_f32(float f)
{
	uint32_t u;

	memcpy(&u, &f, 4);
	return u;
}

static inline double
f64(uint64_t v)
{
	double d;

	memcpy(&d, &v, 8);
	return d;
}

static inline uint64_t
of_f64(double d)
{
	uint64_t v;

	memcpy(&v, &d, 8);
	return v;
}

/* numbers.c */
float half_to_float(uint16_t h);
uint16_t float_to_half(float f, int round);
float bf16_to_float(uint16_t h);
uint16_t float_to_bf16(float f, int round);
float fp8_to_float(uint8_t b, bool e5m2);
uint8_t float_to_fp8(float f, bool e5m2);
float float_to_tf32(float f);

extern const struct type_info {
	uint8_t	size;
	bool	is_signed;
} type_info[TYPES];

static inline int
type_size(int t)
{
	return type_info[t].size;
}

static inline bool
type_signed(int t)
{
	return type_info[t].is_signed;
}

#endif
