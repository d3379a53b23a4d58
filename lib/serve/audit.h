/*
 * audit - what a server was asked and what it answered, a line of JSON each
 *
 * Two files: the log has every request, the feedback file what people should look at: answers
 * that the model was not sure of, and what users say of answers.  Each is appended to, created
 * with mode 0600, and refused when others than its owner may use it, when it is no plain file,
 * or when another process has it (flock).  Personal data and secrets in texts become <KIND>
 * before anything is written (text/pii.h).
 *
 * A line is written whole, by one write(), and what a full disk took of one is cut off again.
 * Nothing here fails towards the server: a line that cannot be written is counted, and told
 * through warn once a minute.  Any thread may call; each file has a lock that is held for the
 * write alone.
 */
#ifndef SERVE_AUDIT_H
#define SERVE_AUDIT_H

#include "serve/metrics.h"
#include "text/pii.h"

#define AUDIT_TEXT	((ptrdiff_t)4 << 20)	/* bytes of a text; the rest of it is cut off */

struct audit_options {
	const char	*log, *feedback;	/* paths; NULL: no such file */
	struct pii_rules pii;		/* what is hidden; no kinds: nothing */
	double		 unsure;	/* mean log-probability below which an answer is so */
	void		(*warn)(void *ctx, const char *message);	/* or NULL */
	void		*ctx;
	struct metrics	*metrics;	/* or NULL */
};

/* p NULL, a number below 0 and NAN: not known, and the line has no such key. */
struct audit_entry {
	str	id, key, peer, route, model, adapter;
	str	prompt, answer;
	int	status;			/* of HTTP */
	int64_t	prompt_tokens, cached_tokens, tokens;
	double	first, seconds;		/* to the first token, and in all */
	str	end;			/* why it ended: "stop", "length", ... */
	double	logp;			/* mean log-probability of a token */
	str	guard;			/* guard_stream_verdict()'s, raw */
};

/* What a user says of an answer. */
struct audit_rating {
	str	id;			/* the answer's */
	str	key, peer;
	double	rating;			/* above 0: good; below: bad */
	str	comment, better;	/* free text, and a better answer */
};

struct audit;

/* The options are copied, but for what they point to.  NULL when a file cannot be had. */
struct audit *audit_open(const struct audit_options *o, struct err *err);

/* Open the files anew, by their names.  Return 0; or -1, and goes on with the old ones. */
int audit_reopen(struct audit *a, struct err *err);

void audit_write(struct audit *a, const struct audit_entry *e);

/* Return false when there is no feedback file. */
bool audit_rate(struct audit *a, const struct audit_rating *r);

/* Lines that were lost. */
int64_t audit_lost(struct audit *a);
void audit_close(struct audit *a);

#endif
