/*
 * guard - what may go into a model and come out of it: llm-guard(5)
 *
 * A file of rules, a line each:
 *
 *	request|response|both block|redact|flag pattern /regex/[imsx] [name]
 *	... pii [kinds]				kinds as -r of llm-redact(1)
 *	... words FILE				words or phrases, a line each
 *	... program [timeout=10s] [on-error=block|pass] PATH [argument ...]
 *
 * Rules look at the text as it came, all at once, so their order makes no difference.  What is
 * found is taken in the order of the text: a redacted part is replaced by <NAME>, those that
 * overlap by that of the first; a part that blocks ends the text before it, and what comes
 * later counts no more.  Programs get what the other rules left, once it is whole, one after
 * the other.
 *
 * A text may come in pieces.  What comes out is the same however it is cut, and is handed on as
 * soon as no rule's match can begin in it any more: at once where nothing looks like the
 * beginning of one.  No match is longer than GUARD_WINDOW bytes (of pii GUARD_PII), so no more
 * is held back: a pattern sees no farther than that from where its match begins.  Only a program
 * holds back all.
 *
 * Patterns are PCRE2's, of characters (UTF), with \G, \K and (*VERBS) refused, for with them a
 * match would depend on where one began to look; they look behind at most 64 characters.  One
 * that takes too many steps blocks (or is noted, when its action is flag).
 *
 * Rules are shared by any number of threads and texts; a stream is one thread's at a time, and
 * keeps its rules alive.
 */
#ifndef SERVE_GUARD_H
#define SERVE_GUARD_H

#include "base/buf.h"

#define GUARD_WINDOW	4096			/* bytes of a match of a pattern or words */
#define GUARD_PII	32768			/* bytes of personal data or a secret */
#define GUARD_RULES	1000			/* of a file */
#define GUARD_BYTES	((ptrdiff_t)1 << 20)	/* of a file of rules; of words 16 MiB */
#define GUARD_TEXT	((ptrdiff_t)16 << 20)	/* of a text that a program gets or gives */

enum guard_side { GUARD_REQUEST, GUARD_RESPONSE };

struct guards;

/*
 * Read a file of rules and the words that it names, and start its programs.  NULL with the
 * file's name, the line and the cause.  The caller's part is given back by guards_free().
 */
struct guards *guards_load(const char *path, struct err *err);
struct guards *guards_share(struct guards *g);	/* another part; NULL: NULL */
void guards_free(struct guards *g);		/* NULL: nothing */

/* Of bytes; words are not read and programs not started, so these rules find nothing. */
struct guards *guards_parse(str file, const char *name, struct err *err);

/* Is there a rule for this side?  Does one hold back the whole text? */
bool guards_any(const struct guards *g, enum guard_side side);
bool guards_hold(const struct guards *g, enum guard_side side);

struct guard_stream;

struct guard_stream *guard_stream_new(struct guards *g, enum guard_side side, struct err *err);

/*
 * More of the text, in pieces of any bytes; broken UTF-8 becomes U+FFFD.  What may be handed on
 * is appended to out.  Return 0; 1 when it is blocked: then out has what lay before, and no more
 * will come; -1 when memory fails.
 */
int guard_stream_write(struct guard_stream *s, str piece, struct buf *out, struct err *err);

/* The text is whole.  As guard_stream_write(). */
int guard_stream_end(struct guard_stream *s, struct buf *out, struct err *err);

/* The name of the rule that blocked it, or NULL. */
const char *guard_stream_blocked(const struct guard_stream *s);

/* Append [{"rule":"name","action":"redact","count":2},...] of what was found, for the audit. */
void guard_stream_verdict(const struct guard_stream *s, struct buf *b);
void guard_stream_free(struct guard_stream *s);

/* A whole text: as guard_stream_end(), and the verdict when it is not NULL. */
int guard_text(struct guards *g, enum guard_side side, str text, struct buf *out,
    struct buf *verdict, struct err *err);

#endif
