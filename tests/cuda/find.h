/*
 * find - what the stand-in reports, each with kernel, source line, block and thread
 */
#ifndef FIND_H
#define FIND_H

#include "standin.h"

enum finding {
	F_BOUNDS,	/* an address outside of every allocation or variable */
	F_FREED,
	F_ALIGN,
	F_UNINIT,	/* a read of what nothing wrote */
	F_RACE,		/* shared memory, or global memory between blocks */
	F_COPY,		/* cp.async whose end was not waited for */
	F_DIVERGE,	/* a barrier or a warp's instruction that some threads do not reach */
	F_SYNC,		/* streams, or a stream and the host, with nothing between them */
	F_LAUNCH,	/* a shape or an argument that a GPU would refuse */
	F_INSN,		/* an instruction that is not known here */
	F_TRAP,
	F_HANG,
	F_LIBRARY,	/* a call of another library's stand-in, NCCL's or cuBLASLt's */
	F_ORDER,	/* a result that depends on the order of threads */
	FINDINGS
};

/* Where a device thread is.  kernel NULL: the driver was called by the program. */
struct where {
	const struct kernel *kernel;
	const struct insn *insn;
	uint32_t block[3], thread[3];
	bool	threaded;
};

/* Record and print one; the same kind at the same instruction is only counted. */
void find_report(int kind, const struct where *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Number of findings so far, and the text of one. */
int standin_findings(void);
const char *standin_finding(int i);
void standin_forget(void);
/* ORDER_ of standin.h: for launches from now on. */
void standin_order(int order);
/* Instructions that warps have executed. */
uint64_t standin_executed(void);
/* Calls so far: "allocations", "launches", "graphs", "waits" of the host, "events" waited for;
   and "products" that cuBLASLt's stand-in has made. */
uint64_t standin_count(const char *what);
/* The n-th wait for an event from now on is not done, as if it was forgotten; 0: all are. */
void standin_deaf(uint64_t n);
/* "file:line" of an instruction, with where it was inlined: in words, or all after blanks. */
void where_line(char *buf, size_t n, const struct kernel *k, const struct insn *in);
void where_place(char *buf, size_t n, const struct kernel *k, const struct insn *in);

#endif
