/*
 * answer - what OpenAI's interface answered, checked against its rules
 *
 * A stream's text is that of its events one after the other, so it is compared with
 * what the same request gave alone and whole.
 */
#ifndef SERVE_ANSWER_H
#define SERVE_ANSWER_H

#include "client.h"

struct answer {
	struct buf	 text;
	char		 id[64], finish[24];
	int64_t		 prompt, completion;	/* tokens by usage; -1: not told */
	double		 first, last;		/* when text came: seconds from the begin; -1 */
	double		*gap;			/* seconds from one text to the next */
	int64_t		 n_gap, cap_gap;
};

void answer_free(struct answer *a);

/*
 * Read a whole answer with status 200, or, when part is set, the beginning of a stream.
 * usage says whether a stream was asked to tell it.  Return 0, or -1: err says what is
 * wrong with it.
 */
int answer_read(struct answer *a, const struct exchange *e, bool chat, bool stream, bool usage,
    bool part, struct err *err);

/* An error's body has to be OpenAI's error object. */
int answer_error(const struct exchange *e, struct err *err);

#endif
