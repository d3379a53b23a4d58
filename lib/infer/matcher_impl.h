/*
 * matcher_impl - states and masks of a constraint
 *
 * A stack is a chain of frames, and frames are shared: one for each (parent,
 * instruction, count).  A configuration is an instruction that awaits a byte
 * and a stack.  A state of the text is a set of configurations.  Sets are
 * unique too, so a state is a number, and what a class of bytes makes of it is
 * found once: a deterministic automaton, built as texts ask for it.
 */
#ifndef INFER_MATCHER_IMPL_H
#define INFER_MATCHER_IMPL_H

#include "infer/grammar_impl.h"
#include "infer/matcher.h"

enum {
	FRAMES_MAX = 1 << 20,
	SETS_MAX = 1 << 18,
	TRANS_MAX = 1 << 24,		/* transitions: sets times classes */
	CONFIGS_MAX = 1 << 22,
	CLOSURE_MAX = 1 << 16,		/* configurations of one set, and on the way to it */
	WORK_MAX = 1 << 24		/* configurations looked at by one call */
};

/* Frames that are always there. */
enum { FRAME_BOTTOM, FRAME_FLOOR, FRAMES_FIXED };
enum { SET_DEAD = 0 };

struct frame {
	int32_t	parent;
	int32_t	code;		/* the OP_CALL or OP_REPEAT that pushed it */
	int32_t	count;		/* of REPEAT: rounds that ended */
	int32_t	depth;
};

/* Ordered by frame, then by code. */
typedef uint64_t place;

static inline place
place_of(int32_t code, int32_t frame)
{
	return (uint64_t)(uint32_t)frame << 32 | (uint32_t)code;
}

static inline int32_t
place_frame(place c)
{
	return (int32_t)(c >> 32);
}

static inline int32_t
place_code(place c)
{
	return (int32_t)(uint32_t)c;
}

struct set {
	int32_t	first, n;	/* configurations */
	int32_t	depth;		/* of its deepest stack */
	int32_t	base;		/* its mask in constraint.base, + 1; 0: none yet */
	bool	done;		/* the text may end here */
	bool	open;		/* something came to the floor: what lies below it decides */
};

/* An index of unique things: slots of number + 1, a power of two of them. */
struct index {
	int32_t	*slot;
	int64_t	 cap;
};

struct states {
	struct arena	 arena;
	struct frame	*frame;
	int32_t		 n_frames;
	place		*config;
	int32_t		 n_configs;
	struct set	*set;
	int32_t		 n_sets, sets_max;
	int32_t		*trans;		/* set * classes + class: set + 1; 0: not known yet */
	struct index	 frames, sets;
};

/* What follows an instruction without a byte: a worklist, and who was in it. */
struct item {
	int32_t	code, frame;
	int32_t	fresh;		/* frames on top that were pushed since the last byte */
};
struct closure {
	struct item	*item;
	int32_t		 n;
	struct index	 seen;
	place		*out;
	int32_t		 n_out;
	bool		 done, open;
};

/* A mask of what one group of configurations allows, whatever lies below it. */
struct base {
	uint64_t	*bits;
	int32_t		*open;		/* nodes below those where it came to the floor */
	int32_t		*first;		/* of each byte; first[256] is their number */
	int32_t		 depth;		/* that a token came to above the floor */
};

struct constraint {
	const struct grammar *g;
	const struct token_trie *trie;
	struct states	 s;
	struct arena	 scratch;	/* of the closure and of walks */
	struct closure	 closure;
	int64_t		 work;		/* of this call */
	struct arena	 masks;
	struct base	*base;
	int32_t		 n_bases;
	int32_t		*stack;		/* of a walk: a set for each depth */
	int32_t		*open;		/* nodes of a walk */
	int32_t		 start;
	struct matcher	 list;		/* head of the matchers there are */
};

/* states.c */
int states_init(struct states *s, const struct grammar *g, struct err *err);
int closure_init(struct constraint *c, struct err *err);
int32_t frame_of(struct constraint *c, int32_t parent, int32_t code, int32_t count,
    struct err *err);

/* The set of n configurations, which are reordered; -1: a limit. */
int32_t set_of(struct constraint *c, place *config, int32_t n, bool done, bool open,
    struct err *err);

/* Where one instruction on one stack leads without a byte. */
int32_t set_at(struct constraint *c, int32_t code, int32_t frame, struct err *err);

/* Where a set goes by a class of bytes that is not known yet. */
int32_t set_step(struct constraint *c, int32_t set, int32_t class, struct err *err);

static inline int32_t
set_next(struct constraint *c, int32_t set, uint8_t byte, struct err *err)
{
	int32_t class = c->g->class_of[byte];
	int32_t known = c->s.trans[(int64_t)set * c->g->n_classes + class];

	return known > 0 ? known - 1 : set_step(c, set, class, err);
}

/* Empty what no matcher stands on, when it is time. */
int constraint_collect(struct constraint *c, struct err *err);

/* mask.c */
int mask_init(struct constraint *c, struct err *err);

#endif
