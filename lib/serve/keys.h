/*
 * keys - who may use a server, and how much
 *
 * A file has a key a line:
 *
 *	name hash [requests=60/m] [tokens=100k/m] [context=4096] [parallel=4]
 *	    [class=interactive|batch] [priority=N] [models=a,b]
 *
 * The hash is the BLAKE2b-256 of the key, in hex.  A slow hash is for passwords, which people
 * choose and others guess; a key is 256 random bits that keys_new_line() drew, so there is
 * nothing to guess, and a request is not made to wait.  A fast hash that is not made against
 * adversaries would let one be found for the hash.  The hash that is presented is compared with
 * every line's, all bytes of it, so that time tells nothing of the file.
 *
 * Buckets hold what a key may use at once and fill again evenly: 60/m are 60 at first, and one
 * more each second.  Tokens are taken for a prompt and the longest answer that was asked for,
 * and what was not used is given back at its end.
 *
 * Any thread may call any function.  A struct key is shared and does not change; a reload makes
 * new ones, and the old ones live until they are put back.  Buckets and running requests belong
 * to the name, and stay with it.
 */
#ifndef SERVE_KEYS_H
#define SERVE_KEYS_H

#include <stdint.h>

#include "base/buf.h"

#define KEYS_MAX	10000			/* lines of a file */
#define KEYS_BYTES	((ptrdiff_t)4 << 20)	/* of a file */
#define KEY_NAME_MAX	63			/* letters, digits and . _ - */
#define KEY_HASH	32			/* bytes */

enum key_class { KEY_INTERACTIVE, KEY_BATCH };

struct key_rate {
	int64_t	n;		/* 0: no limit */
	double	seconds;	/* in which they come back */
};

struct key {
	char		 name[KEY_NAME_MAX + 1];
	unsigned char	 hash[KEY_HASH];
	struct key_rate	 requests, tokens;
	int64_t		 context;	/* tokens of prompt and answer; 0: no limit */
	int64_t		 parallel;	/* requests at once; 0: no limit */
	enum key_class	 class;
	int64_t		 priority;
	const char	*models;	/* "a,b"; NULL: all */
	uint64_t	 salt;		/* of its own part of the prefix cache; never 0 */
	struct key_usage *usage;	/* private */
	int64_t		 line, refs;	/* private */
};

struct keys;

/*
 * Read a file.  One that others than its owner may read is refused, as is one that has a name
 * or a hash twice.  NULL with the file's name, the line and the cause.
 */
struct keys *keys_load(const char *path, struct err *err);

/* Read it again.  Return 0; or -1, and all is as before. */
int keys_reload(struct keys *k, struct err *err);

/* No request may be running. */
void keys_free(struct keys *k);

/* How many there are. */
int64_t keys_count(struct keys *k);

/* The key that a client presented, to be given to key_put(); NULL when there is no such. */
struct key *keys_find(struct keys *k, str bearer);
void key_put(struct keys *k, struct key *key);

/* May it use the model?  A name before ":" in its list stands for its adapters ("a:x") too. */
bool key_may_use(const struct key *key, str model);

enum key_refusal {
	KEY_ADMITTED,
	KEY_REQUESTS,		/* too many requests: 429 */
	KEY_TOKENS,		/* too many tokens: 429 */
	KEY_PARALLEL,		/* too many at once: 429 */
	KEY_CONTEXT,		/* longer than the key may ask for: 400 */
	KEY_PROMPT,		/* a prompt that its bucket can never hold: 400 */
	KEY_REFUSALS
};

/* One word, for counting, and what a client is told. */
const char *key_refusal_name(enum key_refusal r);
const char *key_refusal_text(enum key_refusal r);

/*
 * Begin a request of so many tokens at the time now, in seconds of any clock that never goes
 * back (progress_now()).  When it is refused and may be tried again, *retry_after is in how many
 * seconds, else 0.  A request that asks for more tokens than the bucket holds needs a full one,
 * which it overdraws.  Each that was admitted is ended by key_release().
 */
enum key_refusal key_admit(struct keys *k, struct key *key, int64_t prompt_tokens,
    int64_t max_tokens, double now, double *retry_after);

/* End a request: unused is what it left of max_tokens. */
void key_release(struct keys *k, struct key *key, int64_t unused, double now);

/*
 * Draw a key for name and append it to secret, and its line, with a newline, to line; settings
 * are words as in a file.  Return 0 or -1.
 */
int keys_new_line(str name, str settings, struct buf *secret, struct buf *line, struct err *err);

/*
 * The same for "NAME" or "NAME SETTING ...", and add its line to a file, which need not
 * exist: it is its owner's.  What would
 * make the file wrong, such as a name that it has, is not added.
 */
int keys_add(const char *path, str settings, struct buf *secret, struct err *err);

/* The words of a file, whose name is for messages: for tests.  As keys_load(). */
struct keys *keys_parse(str file, const char *name, struct err *err);

#endif
