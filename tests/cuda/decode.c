/*
 * decode - one PTX statement becomes one instruction
 *
 * Registers become offsets into a warp's register file, constants and special
 * registers become registers that are set beforehand, and the common operations on
 * the common types get codes of their own, which are executed a warp at a time.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode_impl.h"

static void
add_arg(struct stmt *t, const char *s, const char *e)
{
	while (s < e && isspace((unsigned char)*s))
		s++;
	while (e > s && isspace((unsigned char)e[-1]))
		e--;
	if (s == e || t->n_arg == MAX_ARGS)
		return;
	t->group[t->n_arg] = t->n_group;
	t->arg[t->n_arg++] = (struct slice){ s, (int)(e - s) };
}

/* d|p, {a,b}, [a+4], (r): arguments, those between two commas in one group. */
static void
split_args(struct stmt *t, const char *s)
{
	const char *from = s;
	int braces = 0, brackets = 0;

	for (;; s++) {
		bool end = *s == '\0';

		if (*s == '[')
			brackets++;
		if (*s == ']')
			brackets--;
		if (end || (brackets == 0 && strchr("{},|()", *s) != NULL)) {
			add_arg(t, from, s);
			from = s + 1;
			braces += *s == '{' || *s == '(';
			braces -= *s == '}' || *s == ')';
			if (*s == ',' && braces == 0)
				t->n_group++;
			if (end) {
				t->n_group++;
				return;
			}
		}
	}
}

static void
split(struct stmt *t, const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	for (;;) {
		const char *e = s;

		while (*e != '\0' && *e != '.' && !isspace((unsigned char)*e))
			e++;
		if (t->n_part < MAX_PARTS)
			t->part[t->n_part++] = (struct slice){ s, (int)(e - s) };
		if (*e != '.') {
			split_args(t, e);
			return;
		}
		s = e + 1;
	}
}

bool
has(const struct stmt *t, const char *what)
{
	for (int i = 1; i < t->n_part; i++)
		if (slice_is(t->part[i], what))
			return true;
	return false;
}

int
which(const struct stmt *t, const char *const *names, int n)
{
	for (int i = 1; i < t->n_part; i++)
		for (int j = 0; j < n; j++)
			if (names[j] != NULL && slice_is(t->part[i], names[j]))
				return j;
	return -1;
}

static int
width_of(int type)
{
	return type == PRED ? 0 : type_size(type) == 8 ? 8 : 4;
}

static uint32_t
constant(struct kernel *k, uint64_t v, int width)
{
	int i;

	if (width == 4)
		v = (uint32_t)v;
	for (i = 0; i < k->n_konst; i++)
		if (k->konst[i].value == v && k->konst[i].width == width)
			return k->konst[i].off;
	i = vec_more(&k->konst, &k->n_konst, sizeof(k->konst[0]));
	k->konst[i] = (struct konst){ width == 0 ? k->n_pred++ : slot_new(k, width), (uint8_t)width, v };
	return k->konst[i].off;
}

static uint32_t
special(struct parse *c, struct slice s)
{
	static const char *const names[SPECIALS] = {
		"%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y",
		"%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid", "%warpid", "%nwarpid",
		"%smid", "%nsmid", "%gridid", "%lanemask_eq", "%lanemask_lt", "%lanemask_le",
		"%lanemask_gt", "%lanemask_ge", "%dynamic_smem_size", "%total_smem_size", "WARP_SZ",
	};

	for (int i = 0; i < SPECIALS; i++)
		if (slice_is(s, names[i])) {
			if (c->k->special[i] == 0)
				c->k->special[i] = slot_new(c->k, 4) + 1;
			return c->k->special[i] - 1;
		}
	parse_fail(c, "operand %.*s", s.n, s.s);
}

/* A number as PTX writes it; false if it is none. */
static bool
literal(struct slice s, int type, uint64_t *v)
{
	char buf[64], *end;

	if (s.n == 0 || s.n >= (int)sizeof(buf) ||
	    !(isdigit((unsigned char)s.s[0]) || (s.s[0] == '-' && s.n > 1)))
		return false;
	memcpy(buf, s.s, (size_t)s.n);
	buf[s.n] = '\0';
	if (buf[0] == '0' && strchr("fFdD", buf[1]) != NULL && buf[1] != '\0') {
		*v = strtoull(buf + 2, &end, 16);
	} else if (strchr(buf, '.') != NULL) {
		double d = strtod(buf, &end);
		float f = (float)d;

		*v = 0;
		if (type == F64)
			memcpy(v, &d, 8);
		else
			memcpy(v, &f, 4);
	} else {
		*v = buf[0] == '-' ? (uint64_t)strtoll(buf, &end, 0) : strtoull(buf, &end, 0);
		if (*end == 'U')
			end++;
	}
	return *end == '\0';
}

/* The operand's place, and its width through *width, which says what a constant takes. */
uint32_t
operand(struct parse *c, struct slice s, int type, uint8_t *width)
{
	struct sym *y = sym_find(c, s);
	uint64_t v;

	if (y != NULL && y->kind == SYM_REG) {
		int n = y->name.n;

		*width = y->width;
		if (y->count < 0)
			return (uint32_t)y->at;
		v = strtoull(s.s + n, NULL, 10);
		return (uint32_t)(y->at + v * (y->width == 0 ? 1 : (uint64_t)y->width * LANES));
	}
	*width = (uint8_t)width_of(type);
	if (y != NULL && y->kind == SYM_VAR)
		return constant(c->k, y->at, *width);
	if (literal(s, type, &v))
		return constant(c->k, v, *width);
	if (s.n == 1 && *s.s == '_')
		return constant(c->k, UINT64_C(0x5eed), *width);
	*width = 4;
	return special(c, s);
}

void
add_dst(struct parse *c, struct insn *in, struct slice s, int type)
{
	int i = in->n_dst++;

	if (i >= MAX_DST)
		parse_fail(c, "too many results");
	in->dst[i] = operand(c, s, type, &in->dst_width[i]);
	/* A result that nobody wants goes to a register of its own. */
	if (s.n == 1 && *s.s == '_')
		in->dst[i] = slot_new(c->k, 8);
}

void
add_src(struct parse *c, struct insn *in, struct slice s, int type)
{
	int i = in->n_src++;

	if (i >= MAX_SRC)
		parse_fail(c, "too many operands");
	if (*s.s == '!') {
		in->src_not |= (uint16_t)(1u << i);
		s.s++, s.n--;
		while (s.n > 0 && isspace((unsigned char)*s.s))
			s.s++, s.n--;
	}
	in->src[i] = operand(c, s, type, &in->src_width[i]);
}

/* [reg+4], [var], [reg]: the address, its constant part in imm. */
void
add_address(struct parse *c, struct insn *in, struct slice s)
{
	const char *p, *e;
	struct slice base;
	struct sym *y;
	uint64_t v = 0;

	if (s.n < 2 || *s.s != '[')
		parse_fail(c, "an address is expected: %.*s", s.n, s.s);
	for (p = s.s + 1, e = s.s + s.n - 1; p < e && isspace((unsigned char)*p); p++)
		;
	base.s = p;
	while (p < e && (isalnum((unsigned char)*p) || strchr("_$%", *p) != NULL))
		p++;
	base.n = (int)(p - base.s);
	while (p < e && (isspace((unsigned char)*p) || *p == '+'))
		p++;
	if (p < e)
		v = (uint64_t)strtoll(p, NULL, 0);
	in->imm = (int64_t)v;
	y = sym_find(c, base);
	if (y != NULL && y->kind == SYM_VAR && in->space == PARAM && y->space == LOCAL)
		in->space = LOCAL;
	add_src(c, in, base, B64);
}

static const struct {
	const char *name;
	int	op;
} alu[] = {
	{ "add", ADD }, { "sub", SUB }, { "mul", MUL }, { "mad", MAD }, { "fma", FMA },
	{ "mul24", MUL24 }, { "mad24", MAD24 }, { "sad", SAD }, { "div", DIV }, { "rem", REM },
	{ "abs", ABS }, { "neg", NEG }, { "min", MIN }, { "max", MAX }, { "popc", POPC },
	{ "clz", CLZ }, { "bfind", BFIND }, { "brev", BREV }, { "bfe", BFE }, { "bfi", BFI },
	{ "bmsk", BMSK }, { "szext", SZEXT }, { "dp4a", DP4A }, { "dp2a", DP2A }, { "rcp", RCP },
	{ "sqrt", SQRT }, { "rsqrt", RSQRT }, { "ex2", EX2 }, { "lg2", LG2 }, { "sin", SIN },
	{ "cos", COS }, { "tanh", TANH }, { "copysign", COPYSIGN }, { "testp", TESTP },
	{ "and", AND }, { "or", OR }, { "xor", XOR }, { "not", NOT }, { "cnot", CNOT },
	{ "lop3", LOP3 }, { "shl", SHL }, { "shr", SHR }, { "shf", SHF }, { "setp", SETP },
	{ "set", SET }, { "selp", SELP }, { "slct", SLCT }, { "mov", MOV }, { "prmt", PRMT },
	{ "cvt", CVT },
};

static void
modifiers(struct insn *in, const struct stmt *t)
{
	static const char *const cmps[] = { "eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu",
		"leu", "gtu", "geu", "num", "nan", "lo", "ls", "hi", "hs" };
	static const uint8_t unsigned_cmp[] = { CMP_LT, CMP_LE, CMP_GT, CMP_GE };
	static const char *const rounds[] = { NULL, "rn", "rz", "rm", "rp", "rni", "rzi", "rmi",
		"rpi", "rna" };
	static const char *const bools[] = { NULL, "and", "or", "xor" };
	static const char *const modes[] = { "f4e", "b4e", "rc8", "ecl", "ecr", "rc16" };
	int i;

	for (i = 1; i < t->n_part; i++) {
		int type = type_named(t->part[i]);

		if (type != NOTYPE && in->type == NOTYPE)
			in->type = (uint8_t)type;
		else if (type != NOTYPE && in->from == NOTYPE)
			in->from = (uint8_t)type;
	}
	if (in->op == SETP || in->op == SET) {
		i = which(t, cmps, 18);
		in->cmp = i >= 14 ? unsigned_cmp[i - 14] : (uint8_t)i;
		in->sub = (uint8_t)(i = which(t, bools, 4), i < 0 ? 0 : i);
	} else {
		in->part = has(t, "lo") ? PART_LO : has(t, "hi") ? PART_HI : has(t, "wide") ?
		    PART_WIDE : 0;
	}
	if ((i = which(t, rounds, 10)) > 0)
		in->round = (uint8_t)i;
	if (in->op == PRMT)
		in->sub = (uint8_t)(which(t, modes, 6) + 1);
	if (in->op == SHF)
		in->sub = (uint8_t)((has(t, "l") ? 1 : 0) | (has(t, "clamp") ? 2 : 0));
	if (in->op == BFIND || in->op == BMSK || in->op == SZEXT)
		in->sub = has(t, "shiftamt") || has(t, "clamp");
	in->sat = has(t, "sat") || has(t, "satfinite");
	in->ftz = has(t, "ftz");
	in->relu = has(t, "relu");
	in->trans = has(t, "NaN") || has(t, "nan");
	in->approx = has(t, "approx") || has(t, "full");
}

/* What type each source of an arithmetic instruction has. */
static int
src_type(const struct insn *in, int i)
{
	switch (in->op) {
	case CVT:
	case SET:
		return in->op == SET && i == 2 ? PRED : in->from;
	case SETP:
		return i == 2 ? PRED : in->type;
	case SELP:
		return i == 2 ? PRED : in->type;
	case SLCT:
		return i == 2 ? in->from : in->type;
	case SHL:
	case SHR:
	case SHF:
		return i == 0 || (in->op == SHF && i == 1) ? in->type : U32;
	case BFE:
		return i == 0 ? in->type : U32;
	case BFI:
		return i < 2 ? in->type : U32;
	case LOP3:
	case PRMT:
	case BMSK:
		return B32;
	case MAD:
		if (in->part == PART_WIDE && i == 2)
			return in->type == U32 ? U64 : in->type == S32 ? S64 : U32;
		return in->type;
	case DP4A:
	case DP2A:
		return B32;
	default:
		return in->type;
	}
}

static int
dst_type(const struct insn *in)
{
	if (in->op == SETP || in->op == TESTP)
		return PRED;
	if (in->op == POPC || in->op == CLZ || in->op == BFIND)
		return U32;
	if ((in->op == MUL || in->op == MAD) && in->part == PART_WIDE)
		return in->type == U32 || in->type == S32 ? U64 : U32;
	return in->type;
}

/* mov.b64 d,{a,b} and mov.b64 {a,b},d */
static void
move_pair(struct parse *c, struct insn *in, const struct stmt *t)
{
	int n_dst = 0;

	for (int i = 0; i < t->n_arg; i++)
		n_dst += t->group[i] == 0;
	in->op = n_dst > 1 ? SPLIT : PAIR;
	int many = n_dst > 1 ? n_dst : t->n_arg - n_dst;
	int part = type_size(in->type) / many == 4 ? B32 : B16;

	for (int i = 0; i < t->n_arg; i++)
		if (t->group[i] == 0)
			add_dst(c, in, t->arg[i], n_dst > 1 ? part : in->type);
		else
			add_src(c, in, t->arg[i], n_dst > 1 ? in->type : part);
	in->part = (uint8_t)type_size(part);
}

static void
carry(struct parse *c, struct insn *in, const struct stmt *t, int base)
{
	in->op = CARRY;
	in->sub = (uint8_t)base;
	in->carry_out = has(t, "cc");
	in->carry_in = t->part[0].s[t->part[0].n - 1] == 'c';
	add_dst(c, in, t->arg[0], in->type);
	for (int i = 1; i < t->n_arg; i++)
		add_src(c, in, t->arg[i], in->type);
}

static bool
decode_alu(struct parse *c, struct insn *in, const struct stmt *t)
{
	static const struct { const char *name; int op; } carries[] = {
		{ "addc", ADD }, { "subc", SUB }, { "madc", MAD } };
	int base = 0, i;

	for (i = 0; i < 3; i++)
		if (slice_is(t->part[0], carries[i].name))
			base = carries[i].op;
	for (i = 0; base == 0 && i < (int)(sizeof(alu) / sizeof(alu[0])); i++)
		if (slice_is(t->part[0], alu[i].name))
			in->op = (uint16_t)alu[i].op;
	if (base == 0 && in->op == BAD)
		return false;
	modifiers(in, t);
	if (base != 0 || has(t, "cc")) {
		carry(c, in, t, base != 0 ? base : in->op);
		return true;
	}
	if (in->op == MOV && t->n_arg > 2) {
		move_pair(c, in, t);
		return true;
	}
	if (in->op == MOV && t->n_arg == 2 && t->arg[1].n > 6 &&
	    (strncmp(t->arg[1].s, "%clock", 6) == 0 || strncmp(t->arg[1].s, "%globaltimer", 12) == 0)) {
		in->op = CLOCK;
		add_dst(c, in, t->arg[0], in->type);
		return true;
	}
	for (i = 0; i < t->n_arg; i++) {
		if (t->group[i] == 0)
			add_dst(c, in, t->arg[i], dst_type(in));
		else
			add_src(c, in, t->arg[i], src_type(in, t->group[i] - 1));
	}
	if (in->n_dst == 0 || in->n_src == 0)
		parse_fail(c, "operands of %s", in->text);
	/* cvt and mov alone take registers that are wider than the type. */
	for (i = 0; i < in->n_src && in->op != CVT && in->op != SET; i++)
		if (in->src_width[i] != width_of(src_type(in, i)))
			parse_fail(c, "the size of operand %d: %s", i + 1, in->text);
	return true;
}

static int
hot_float(const struct insn *in)
{
	if (in->type != F32 || in->ftz || in->sat || in->trans || in->relu ||
	    (in->round != ROUND_NONE && in->round != ROUND_N))
		return in->op;
	switch (in->op) {
	case ADD:	return ADDF;
	case SUB:	return SUBF;
	case MUL:	return MULF;
	case MAD:
	case FMA:	return FMAF;
	case NEG:	return NEGF;
	case MIN:	return in->n_src == 2 ? MINF : MIN;
	case MAX:	return in->n_src == 2 ? MAXF : MAX;
	case SETP:	return in->sub == 0 ? SETPF : SETP;
	default:	return in->op;
	}
}

static int
hot_extreme(bool max, bool wide, bool sign)
{
	if (max)
		return wide ? (sign ? MAXS64 : MAXU64) : sign ? MAXS32 : MAXU32;
	return wide ? (sign ? MINS64 : MINU64) : sign ? MINS32 : MINU32;
}

static int
hot_integer(const struct insn *in)
{
	bool wide = type_size(in->type) == 8, sign = type_signed(in->type);

	switch (in->op) {
	case ADD:	return in->sat ? ADD : wide ? ADD64 : ADD32;
	case SUB:	return in->sat ? SUB : wide ? SUB64 : SUB32;
	case MUL:
	case MAD:
		if (!wide && in->part == PART_LO)
			return in->op == MUL ? MUL32 : in->sat ? MAD : MAD32;
		if (!wide && in->part == PART_WIDE)
			return in->op == MUL ? (sign ? WIDES : WIDEU) : sign ? MADWIDES : MADWIDEU;
		return wide && in->part == PART_LO && in->op == MUL ? MUL64 : in->op;
	case MIN:
	case MAX:
		if (in->n_src != 2 || in->relu)
			return in->op;
		return hot_extreme(in->op == MAX, wide, sign);
	case NOT:	return wide ? NOT64 : NOT32;
	case AND:	return wide ? AND64 : AND32;
	case OR:	return wide ? OR64 : OR32;
	case XOR:	return wide ? XOR : XOR32;
	case LOP3:	return LOP32;
	case SHL:	return wide ? SHL64 : SHL32;
	case SHR:	return wide ? (sign ? SAR64 : SHR64) : sign ? SAR32 : SHR32;
	case SETP:
		if (in->sub != 0)
			return SETP;
		return wide ? (sign ? SETPS64 : SETPU64) : sign ? SETPS32 : SETPU32;
	default:	return in->op;
	}
}

/* On predicates. */
static int
hot_predicate(const struct insn *in)
{
	switch (in->op) {
	case MOV:	return MOVP;
	case AND:	return ANDP;
	case OR:	return ORP;
	case XOR:	return XORP;
	case NOT:	return NOTP;
	default:	return in->op;
	}
}

/* The operation's code of its own, if it has one. */
static int
hot(const struct insn *in)
{
	int size = type_size(in->type);

	/* A global address is the generic one. */
	if (in->op == CVTA && in->space == GLOBAL && in->src_width[0] == 8 && in->dst_width[0] == 8)
		return MOV64;
	if (in->op <= EVAL)
		return in->op;
	if (in->type == PRED)
		return hot_predicate(in);
	if (in->dst_width[0] == 0 && in->op != SETP)
		return in->op;
	if (in->op == MOV && in->src_width[0] == in->dst_width[0])
		return size == 8 ? MOV64 : MOV32;
	if (in->op == SELP && size >= 4)
		return size == 8 ? SELP64 : SELP32;
	if (in->op == CVT && in->type == S64 && in->from == S32 && in->src_width[0] == 4)
		return EXTS;
	if (in->op == CVT && (in->type == U64 || in->type == S64) && in->from == U32 &&
	    in->src_width[0] == 4)
		return EXTU;
	if (in->op == CVT && size == 4 && in->dst_width[0] == 4 && !in->sat &&
	    (in->type == U32 || in->type == S32) && (in->from == U64 || in->from == S64))
		return NARROW;
	if (in->op == CVT && in->type == F32 && in->from == F64 && in->round == ROUND_N &&
	    !in->sat && !in->ftz)
		return NARROWF;
	if (in->op == CVT && in->type == F64 && in->from == F32 && !in->sat && !in->ftz &&
	    in->round == ROUND_NONE)
		return WIDENF;
	if (in->op == CVT && in->type == F32 && in->from == BF16)
		return WIDENBF;
	if (in->type == F32)
		return hot_float(in);
	if (in->type >= B32 && in->type <= S64 && size >= 4)
		return hot_integer(in);
	return in->op;
}

static const char *
guard(struct parse *c, struct insn *in, const char *s)
{
	struct slice name;
	uint8_t width;

	while (isspace((unsigned char)*s))
		s++;
	if (*s != '@')
		return s;
	s++;
	while (*s == '!' || isspace((unsigned char)*s))
		in->guard_not |= *s++ == '!';
	name.s = s;
	while (*s != '\0' && !isspace((unsigned char)*s))
		s++;
	name.n = (int)(s - name.s);
	in->guard = true;
	in->guard_pred = (uint16_t)operand(c, name, PRED, &width);
	if (width != 0)
		parse_fail(c, "a guard that is no predicate: %.*s", name.n, name.s);
	return s;
}

void
decode(struct parse *c, const char *text)
{
	struct insn in = { .line = c->line, .loc = c->loc, .text = text };
	struct stmt t = { 0 };
	int i;

	while (isspace((unsigned char)*in.text))
		in.text++;
	split(&t, guard(c, &in, text));
	if (!decode_flow(c, &in, &t) && !decode_memory(c, &in, &t) && !decode_warp(c, &in, &t))
		decode_alu(c, &in, &t);
	in.op = (uint16_t)hot(&in);
	i = vec_more(&c->k->code, &c->k->n_code, sizeof(c->k->code[0]));
	c->k->code[i] = in;
}
