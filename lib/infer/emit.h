/*
 * emit - tokens as text, up to the first of some texts that end it
 *
 * Text is handed on in whole characters as soon as it cannot be the beginning
 * of a stop text.  The struct is the caller's; emit_free() gives memory back.
 */
#ifndef INFER_EMIT_H
#define INFER_EMIT_H

#include "token/tokenizer.h"

struct emit {
	const struct tokenizer *tok;
	const str	*stop;		/* none of them empty */
	int64_t		 n_stop;
	int		(*write)(void *ctx, str text, struct err *err);
	void		*ctx;
	/* zeros at first */
	struct decoder	 decoder;	/* started: a leading space is not stripped */
	struct buf	 text;		/* decoded and not yet written */
	int64_t		 written;	/* bytes before it */
};

/* 1 when a stop text was met: what lay before it is written, and all is over; 0 or -1. */
int emit_token(struct emit *t, int32_t id, struct err *err);

/* No token follows: write what waits.  As emit_token(). */
int emit_end(struct emit *t, struct err *err);
void emit_free(struct emit *t);

#endif
