/*
 * ptx_impl - what the parser of modules and the decoder of instructions share
 */
#ifndef PTX_IMPL_H
#define PTX_IMPL_H

#include <setjmp.h>

#include "standin.h"

/* Addresses in the spaces that are not global; generic ones add the window. */
#define SHARED_BASE 0x400u
#define DYNAMIC_BASE 0x80000u
#define LOCAL_BASE 0x100u
#define SHARED_WINDOW UINT64_C(0x1000000000)
#define LOCAL_WINDOW UINT64_C(0x1100000000)
#define PARAM_WINDOW UINT64_C(0x1200000000)
#define WINDOW_SIZE UINT64_C(0x100000000)
#define GAP 64			/* between variables, so that one past the end is nobody's */

struct slice {
	const char *s;
	int	n;
};

enum sym_kind { SYM_REG, SYM_VAR, SYM_LABEL, SYM_TABLE };

struct sym {
	struct slice name;
	int	kind, depth;
	int	before;			/* the one before of its kind of names, as below */
	int	count;			/* of registers name<count>, -1 for a single one */
	uint8_t	width;
	int	space;
	uint64_t at;			/* slot, address or pc */
};

struct jump {
	struct slice label;
	int	insn, depth;		/* insn -1: entry `target' of the kernel's tables */
	int	target;
};

/* Shared variables of the module are every kernel's. */
struct late {
	char	*p;
	uint32_t line;
};

struct parse {
	struct module *m;
	struct kernel *k;
	char	*p;
	uint32_t line, loc;
	int	depth;
	struct sym *sym;
	struct jump *jump;
	struct late *shared;
	int	n_sym, n_jump, n_shared;
	int	last[256];		/* symbols by name_key(): index + 1 of the last one */
	char	*msg;
	size_t	msg_size;
	jmp_buf	fail;
};

#define MAX_PARTS 16
#define MAX_ARGS 32

/* A statement taken apart: add.s32 has two parts; {a,b} are two arguments of one group. */
struct stmt {
	struct slice part[MAX_PARTS], arg[MAX_ARGS];
	int	group[MAX_ARGS];
	int	n_part, n_arg, n_group;
};

bool slice_is(struct slice a, const char *s);
struct sym *sym_find(struct parse *c, struct slice name);
void parse_fail(struct parse *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));
int type_named(struct slice s);
uint32_t slot_new(struct kernel *k, int width);

/* Append what a statement says to the kernel's code. */
void decode(struct parse *c, const char *text);

#endif
