/*
 * decode_more - branches, barriers, memory and what a whole warp does together
 */
#include <stdlib.h>
#include <string.h>

#include "decode_impl.h"

static void
jump_to(struct parse *c, struct slice label)
{
	int j = vec_more(&c->jump, &c->n_jump, sizeof(c->jump[0]));

	c->jump[j] = (struct jump){ label, c->k->n_code, c->depth, 0 };
}

/* bar.sync a{,b}; bar.arrive a,b; bar.red.popc.u32 d,a{,b},{!}p */
static void
barrier(struct parse *c, struct insn *in, const struct stmt *t)
{
	static const char *const reds[] = { NULL, "popc", "and", "or" };
	bool red = has(t, "red");

	if (has(t, "warp")) {
		in->op = BARWARP;
		add_src(c, in, t->arg[0], B32);
		return;
	}
	in->op = BAR;
	in->sub = has(t, "arrive") ? 1 : 0;
	if (red) {
		in->sub = 2;
		in->part = (uint8_t)which(t, reds, 4);
		add_dst(c, in, t->arg[0], in->part == 1 ? U32 : PRED);
	}
	/* src: the barrier, the predicate if any, the number of threads if any */
	add_src(c, in, t->arg[red], U32);
	if (red)
		add_src(c, in, t->arg[t->n_arg - 1], PRED);
	if (t->n_arg > (red ? 3 : 1))
		add_src(c, in, t->arg[red + 1], U32);
}

bool
decode_flow(struct parse *c, struct insn *in, const struct stmt *t)
{
	struct slice op = t->part[0];

	if (slice_is(op, "bra")) {
		in->op = BRA;
		jump_to(c, t->arg[0]);
	} else if (slice_is(op, "brx")) {
		struct sym *s = sym_find(c, t->arg[1]);

		if (s == NULL || s->kind != SYM_TABLE)
			parse_fail(c, "no table %.*s", t->arg[1].n, t->arg[1].s);
		in->op = BRX;
		add_src(c, in, t->arg[0], U32);
		in->target = (uint32_t)s->at;
	} else if (slice_is(op, "ret") || slice_is(op, "exit")) {
		in->op = RET;
	} else if (slice_is(op, "trap")) {
		in->op = TRAP;
	} else if (slice_is(op, "call")) {
		in->op = CALL;
		for (int i = 0; i < t->n_arg; i++)
			if (slice_is(t->arg[i], "__assertfail"))
				in->op = TRAP;
	} else if (slice_is(op, "bar") || slice_is(op, "barrier")) {
		barrier(c, in, t);
	} else if (slice_is(op, "membar") || slice_is(op, "fence")) {
		in->op = FENCE;
		in->sub = !has(t, "cta");
		c->k->fences |= in->sub != 0;
	} else if (slice_is(op, "nanosleep") || slice_is(op, "prefetch") || slice_is(op, "prefetchu") ||
	    slice_is(op, "discard") || slice_is(op, "applypriority")) {
		in->op = NOP;
	} else {
		return false;
	}
	return true;
}

static void
memory_space(struct insn *in, const struct stmt *t)
{
	static const char *const spaces[] = { NULL, "global", "shared", "local", "param", "const" };
	int i = which(t, spaces, 6);

	in->space = (uint8_t)(i < 0 ? GENERIC : i);
	for (i = 1; i < t->n_part; i++)		/* shared::cta */
		if (t->part[i].n > 7 && strncmp(t->part[i].s, "shared::", 8) == 0)
			in->space = SHARED;
	for (i = 1; i < t->n_part; i++)		/* param::entry */
		if (t->part[i].n > 6 && strncmp(t->part[i].s, "param::", 7) == 0)
			in->space = PARAM;
	if (has(t, "volatile") || has(t, "relaxed"))
		in->flags |= MEM_SYNC;
	if (has(t, "acquire") || has(t, "acq_rel"))
		in->flags |= MEM_SYNC | MEM_ACQUIRE;
	if (has(t, "release") || has(t, "acq_rel"))
		in->flags |= MEM_SYNC | MEM_RELEASE;
	for (i = 1; i < t->n_part && in->type == NOTYPE; i++)
		in->type = (uint8_t)type_named(t->part[i]);
}

static void
load_store(struct parse *c, struct insn *in, const struct stmt *t)
{
	bool load = in->op == LD;

	memory_space(in, t);
	in->part = has(t, "v2") ? 2 : has(t, "v4") ? 4 : has(t, "v8") ? 8 : 1;
	if (in->type == NOTYPE || in->type == B128 || in->part * type_size(in->type) > 32)
		parse_fail(c, "type of %s", in->text);
	add_address(c, in, t->arg[load ? in->part : 0]);
	for (int i = 0; i < in->part; i++) {
		if (load)
			add_dst(c, in, t->arg[i], in->type);
		else
			add_src(c, in, t->arg[i + 1], in->type);
	}
}

static bool
atomic(struct parse *c, struct insn *in, const struct stmt *t)
{
	static const char *const ops[] = { NULL, "add", "min", "max", "and", "or", "xor", "exch",
		"cas", "inc", "dec" };
	bool red = slice_is(t->part[0], "red");
	int i = which(t, ops, 11), first = red ? 0 : 1;

	in->op = ATOM;
	memory_space(in, t);
	if (i < 0 || has(t, "v2") || has(t, "v4") || has(t, "v8") || type_size(in->type) < 2) {
		in->op = BAD;
		return true;
	}
	in->sub = (uint8_t)i;
	in->flags |= MEM_SYNC;
	if (!red)
		add_dst(c, in, t->arg[0], in->type);
	add_address(c, in, t->arg[first]);
	for (i = first + 1; i < t->n_arg && in->n_src < (in->sub == ATOM_CAS ? 3 : 2); i++)
		add_src(c, in, t->arg[i], in->type);
	return true;
}

/* cp.async.cg.shared.global{.L2::128B} [d],[s],16{,size}; commit_group; wait_group n */
static bool
async_copy(struct parse *c, struct insn *in, const struct stmt *t)
{
	if (!has(t, "async") || has(t, "bulk") || has(t, "mbarrier"))
		return true;
	if (has(t, "commit_group")) {
		in->op = CPCOMMIT;
	} else if (has(t, "wait_group")) {
		in->op = CPWAIT;
		in->imm = strtoll(t->arg[0].s, NULL, 10);
	} else if (has(t, "wait_all")) {
		in->op = CPWAIT;
		in->sub = 1;
	} else {
		int64_t global;

		in->op = CPASYNC;
		in->type = B8;
		in->part = (uint8_t)strtol(t->arg[2].s, NULL, 10);
		in->space = GLOBAL;
		add_address(c, in, t->arg[1]);
		global = in->imm;
		in->space = SHARED;
		add_address(c, in, t->arg[0]);
		in->target = (uint32_t)in->imm;		/* offset of the destination */
		in->imm = global;
		if (t->n_arg > 3 && t->arg[3].n > 1 && sym_find(c, t->arg[3]) != NULL &&
		    sym_find(c, t->arg[3])->width == 8)
			return true;			/* a cache policy */
		if (t->n_arg > 3)
			add_src(c, in, t->arg[3], U32);
	}
	return true;
}

static void
convert_address(struct parse *c, struct insn *in, const struct stmt *t)
{
	memory_space(in, t);
	in->sub = has(t, "to");
	if (slice_is(t->part[0], "isspacep")) {
		in->op = ISSPACE;
		add_dst(c, in, t->arg[0], PRED);
		add_src(c, in, t->arg[1], B64);
		return;
	}
	in->op = CVTA;
	add_dst(c, in, t->arg[0], in->type);
	add_src(c, in, t->arg[1], in->type);
}

bool
decode_memory(struct parse *c, struct insn *in, const struct stmt *t)
{
	struct slice op = t->part[0];

	if (slice_is(op, "ld") || slice_is(op, "ldu") || slice_is(op, "st")) {
		in->op = slice_is(op, "st") ? ST : LD;
		load_store(c, in, t);
	} else if (slice_is(op, "atom") || slice_is(op, "red")) {
		return atomic(c, in, t);
	} else if (slice_is(op, "cp")) {
		return async_copy(c, in, t);
	} else if (slice_is(op, "cvta") || slice_is(op, "isspacep")) {
		convert_address(c, in, t);
	} else {
		return false;
	}
	return true;
}

/* m16n8k16 to three numbers */
static bool
shape_of(struct slice s, uint8_t shape[3])
{
	static const char letters[] = "mnk";
	const char *p = s.s, *end = s.s + s.n;

	memset(shape, 0, 3);
	for (int i = 0; i < 3 && p < end; i++) {
		if (*p++ != letters[i])
			return false;
		while (p < end && *p >= '0' && *p <= '9')
			shape[i] = (uint8_t)(shape[i] * 10 + *p++ - '0');
	}
	return p == end && shape[0] != 0 && shape[1] != 0;
}

static bool
known_mma(const struct insn *in)
{
	static const struct { uint8_t from, k, type; } known[] = {
		{ F16, 16, F32 }, { F16, 16, F16 }, { BF16, 16, F32 }, { F16, 8, F32 }, { F16, 8, F16 },
		{ BF16, 8, F32 }, { TF32, 8, F32 }, { TF32, 4, F32 }, { S8, 32, S32 }, { U8, 32, S32 },
		{ S8, 16, S32 }, { U8, 16, S32 }, { E4M3, 32, F32 }, { E5M2, 32, F32 },
	};

	if (in->shape[0] != 16 || in->shape[1] != 8)
		return false;
	for (int i = 0; i < (int)(sizeof(known) / sizeof(known[0])); i++)
		if (known[i].from == in->from && known[i].k == in->shape[2] &&
		    known[i].type == in->type)
			return true;
	return false;
}

/* mma.sync.aligned.SHAPE.row.col.D.A.B.C */
static bool
matrix(struct parse *c, struct insn *in, const struct stmt *t)
{
	int types[4], n = 0;

	for (int i = 1; i < t->n_part; i++) {
		int type = type_named(t->part[i]);

		if (type != NOTYPE && n < 4)
			types[n++] = type;
		shape_of(t->part[i], in->shape[0] != 0 ? (uint8_t[3]){ 0 } : in->shape);
	}
	if (n != 4 || has(t, "sp") || !has(t, "row") || !has(t, "col") || types[0] != types[3])
		return true;
	in->type = (uint8_t)types[0];
	in->from = (uint8_t)types[1];
	in->space = (uint8_t)types[2];	/* of B */
	in->sat = has(t, "satfinite");
	if (!known_mma(in))
		return true;
	in->op = MMA;
	for (int i = 0; i < t->n_arg; i++)
		if (t->group[i] == 0)
			add_dst(c, in, t->arg[i], B32);
		else
			add_src(c, in, t->arg[i], B32);
	return true;
}

static bool
load_matrix(struct parse *c, struct insn *in, const struct stmt *t)
{
	bool load = slice_is(t->part[0], "ldmatrix");
	int n = has(t, "x4") ? 4 : has(t, "x2") ? 2 : 1;

	memory_space(in, t);
	if (!has(t, "m8n8") || in->type != B16)
		return true;
	in->op = load ? LDMATRIX : STMATRIX;
	in->part = (uint8_t)n;
	in->trans = has(t, "trans");
	add_address(c, in, t->arg[load ? n : 0]);
	for (int i = 0; i < n; i++) {
		if (load)
			add_dst(c, in, t->arg[i], B32);
		else
			add_src(c, in, t->arg[i + 1], B32);
	}
	return true;
}

static bool
shuffle(struct parse *c, struct insn *in, const struct stmt *t)
{
	static const char *const modes[] = { "idx", "up", "down", "bfly" };
	int n = 0;

	if (!has(t, "sync"))
		return true;
	in->op = SHFL;
	in->sub = (uint8_t)which(t, modes, 4);
	for (; n < t->n_arg && t->group[n] == 0; n++)
		add_dst(c, in, t->arg[n], n == 0 ? B32 : PRED);
	for (; n < t->n_arg; n++)
		add_src(c, in, t->arg[n], B32);
	return true;
}

static bool
collective(struct parse *c, struct insn *in, const struct stmt *t)
{
	static const char *const votes[] = { "all", "any", "uni", "ballot" };
	static const char *const reds[] = { NULL, "add", "min", "max", "and", "or", "xor" };
	struct slice op = t->part[0];
	int n = 0;

	if (!has(t, "sync"))
		return true;
	for (int i = 1; i < t->n_part && in->type == NOTYPE; i++)
		in->type = (uint8_t)type_named(t->part[i]);
	in->op = slice_is(op, "vote") ? VOTE : slice_is(op, "match") ? MATCH : REDUX;
	in->sub = (uint8_t)which(t, in->op == REDUX ? reds : votes, in->op == REDUX ? 7 : 4);
	for (; n < t->n_arg && t->group[n] == 0; n++)
		add_dst(c, in, t->arg[n], n == 1 || (in->op == VOTE && in->sub != VOTE_BALLOT) ?
		    PRED : B32);
	add_src(c, in, t->arg[n], in->op == VOTE ? PRED : in->type);
	add_src(c, in, t->arg[n + 1], B32);
	return true;
}

bool
decode_warp(struct parse *c, struct insn *in, const struct stmt *t)
{
	struct slice op = t->part[0];

	if (slice_is(op, "mma"))
		return matrix(c, in, t);
	if (slice_is(op, "ldmatrix") || slice_is(op, "stmatrix"))
		return load_matrix(c, in, t);
	if (slice_is(op, "shfl"))
		return shuffle(c, in, t);
	if (slice_is(op, "vote") || slice_is(op, "match") || slice_is(op, "redux"))
		return collective(c, in, t);
	if (slice_is(op, "activemask")) {
		in->op = ACTIVE;
		add_dst(c, in, t->arg[0], B32);
		return true;
	}
	if (slice_is(op, "movmatrix")) {
		in->op = MOVMATRIX;
		add_dst(c, in, t->arg[0], B32);
		add_src(c, in, t->arg[1], B32);
		return true;
	}
	return false;
}
