/*
 * mix - what the clients of a server under load ask for
 *
 * A fixed number of distinct requests, each first asked alone; then any number of
 * exchanges, each one of them in one of several ways, or a bad one.  Exchange i is a
 * function of the seed and i.
 */
#ifndef SERVE_MIX_H
#define SERVE_MIX_H

#include "answer.h"

enum kind {
	KIND_COMPLETION, KIND_COMPLETION_STREAM, KIND_CHAT, KIND_CHAT_STREAM, KIND_CANCELLED,
	KIND_SLOW, KIND_HALF, KIND_SHUT, KIND_BAD, KINDS
};

extern const char *const kind_name[KINDS];

struct ask {
	bool		 chat;
	int		 most;		/* tokens */
	struct buf	 fields;	/* of its object, but for what streams */
	/* What it gives, alone. */
	struct buf	 text;
	char		 finish[24];
	int64_t		 prompt, completion;
};

struct mix {
	uint64_t	 seed;
	const char	*host, *model;
	int64_t		 tokens;	/* most of an answer */
	double		 chats, cancelled, bad, slow, half;	/* parts of all */
	double		 patience;
	struct ask	*ask;
	int64_t		 n;
};

struct task {
	struct exchange	 e;
	enum kind	 kind;
	int		 which;		/* of the bad ones */
	const struct ask *ask;
	bool		 stream, usage;
};

/* Return 0 or -1. */
int mix_make(struct mix *m, struct err *err);
void mix_free(struct mix *m);

/* The plain request, for its answer as a whole, or as a stream. */
void mix_plain(const struct mix *m, const struct ask *a, struct task *t);
void mix_stream(const struct mix *m, const struct ask *a, struct task *t);
void mix_bad(const struct mix *m, int which, struct task *t);
void mix_task(const struct mix *m, int64_t i, struct task *t);

/* Keep what it gave alone.  Return 0 or -1. */
int mix_learn(struct ask *a, const struct task *t, struct answer *scratch, struct err *err);

enum outcome { RIGHT, REFUSED, CUT, CANCELLED, WRONG, OUTCOMES };

/* a is filled with the answer, where there is one. */
enum outcome mix_check(const struct task *t, struct answer *a, struct err *err);

#endif
