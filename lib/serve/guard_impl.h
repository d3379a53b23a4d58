/*
 * guard_impl - rules as they are kept, and how one is looked for
 */
#ifndef SERVE_GUARD_IMPL_H
#define SERVE_GUARD_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "serve/guard.h"
#include "text/automaton.h"
#include "text/pii.h"

#define GUARD_BEHIND	512	/* bytes before what is looked at that are kept */
#define GUARD_NAME	63	/* bytes of a name */

/* In the order in which they are taken at one place. */
enum guard_action { GUARD_FLAG, GUARD_BLOCK, GUARD_REDACT };

enum guard_kind { GUARD_PATTERN, GUARD_PII_KINDS, GUARD_WORDS, GUARD_PROGRAM };

extern const char *const guard_action_name[];

struct guard_program {
	char		**argv;		/* one allocation */
	double		 timeout;
	bool		 pass;		/* on-error=pass */
	pthread_mutex_t	 lock;		/* who asks */
	pid_t		 pid;		/* 0: none runs */
	int		 fd;		/* its input and output */
	struct buf	 line;
};

struct guard_rule {
	int		 line;		/* in its file */
	unsigned	 sides;		/* bits */
	enum guard_action action;
	enum guard_kind	 kind;
	char		 name[GUARD_NAME + 1];
	pcre2_code	*code;
	struct pii_rules pii;
	char		*file;		/* of words */
	struct automaton *words;
	struct guard_program *program;
};

struct guards {
	struct guard_rule *rule;
	int		 n, cap;
	_Atomic int64_t	 refs;
};

/* A part of the text that a rule found. */
struct guard_found {
	ptrdiff_t	start, end;
	int		rule;
	enum pii_kind	kind;		/* of GUARD_PII_KINDS */
};

/* A rule on its way along a text: no span that it finds later begins before safe. */
struct guard_scan {
	ptrdiff_t	safe;
	struct pii_scan	pii;
	struct automaton_walk walk;
	int		longs;		/* matches that could have been longer than the window */
	bool		failed;		/* too many steps: it looks no more */
};

/* What PCRE2 works with: a thread's. */
struct guard_matcher {
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack	*stack;
};

/* All zero at first, and to be freed when it fails too. */
int guard_matcher_init(struct guard_matcher *m, struct err *err);
void guard_matcher_free(struct guard_matcher *m);

pcre2_code *guard_compile(str regex, uint32_t options, struct err *err);

/*
 * Add what rule number finds in text, whole characters, to found; with more the text goes on.
 * Return 0, or -1 with scan->failed when it takes too long.
 */
int guard_find(const struct guard_rule *rule, int number, struct guard_matcher *m,
    struct guard_scan *scan, str text, bool more, struct buf *found);

/* The first n bytes of the text are gone. */
void guard_forget(const struct guard_rule *rule, struct guard_scan *scan, ptrdiff_t n);

enum guard_answer { GUARD_PASS, GUARD_STOP, GUARD_REPLACE };

/* argv is "name\0...\0" of n words. */
struct guard_program *guard_program_new(const str *word, int n, struct err *err);
int guard_program_start(struct guard_program *p, struct err *err);
void guard_program_free(struct guard_program *p);

/*
 * Ask about a text; when it is to be replaced, the other one is in out.  Return a guard_answer,
 * or -1 when it died, took too long or answered what is no answer.
 */
int guard_program_ask(struct guard_program *p, enum guard_side side, str text, struct buf *out,
    struct err *err);

#endif
