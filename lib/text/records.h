/*
 * records - the document stream: JSON lines in, one function each, JSON lines out
 *
 * This is the only place that reads and writes records (and reads texts that are
 * none, for jobs with a sink).  A job is a function
 * of one record that returns a verdict.  Here the rest is done once: opening
 * and decompressing, splitting into batches, running the function on the
 * team's threads, writing in input order, counting, bad records, output files.
 * Memory is bounded (batches of about 1 MiB; one record at most
 * RECORDS_MAX bytes), and the output is the same bytes for every team size.
 */
#ifndef TEXT_RECORDS_H
#define TEXT_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/stream.h"
#include "base/team.h"

#define RECORDS_MAX	((ptrdiff_t)256 << 20)	/* bytes of one record */
#define RECORD_SETS	16			/* values one job may set */

enum verdict { RECORD_BAD = -1, RECORD_DROP = 0, RECORD_KEEP = 1 };

/* One record, as a job sees it.  Slices are good until the job returns. */
struct record {
	str		 line;		/* the JSON object, no newline */
	str		 text;		/* value of the job's field, unescaped; p NULL without */
	const struct json_member *member;	/* of the job's extra keys */
	const char	*file;		/* input name, for messages */
	int64_t		 number;	/* line in its file, from 1 */
	int64_t		 index;		/* record in the whole input, from 0; order() only */
	uint64_t	 tag[2];	/* the job's own: map() sets, order() reads */
	/* What map() allocates here lives until order() and sink() saw the batch. */
	struct arena	*scratch;	/* NULL in order() */
	/* what record_set_*() gathered: theirs alone */
	str		 field;
	int64_t		 text_out;
	struct record_edit {
		str		key;
		ptrdiff_t	at, n;	/* in edits */
	}		 set[RECORD_SETS];
	int		 nset;
	struct buf	*edits;
};

/*
 * Replace or add a key: with text (quoted here), or with raw JSON; p == NULL
 * removes it.  key must outlive the job's function.  What is set is written
 * wherever the verdict sends the record, to the rest too.  In order() line is
 * what map() made of it, text and member are what map() saw.
 */
int record_set_text(struct record *r, str key, str text, struct err *err);
int record_set_raw(struct record *r, str key, str json, struct err *err);

/*
 * Append llm, the raw value of the key llm (p NULL: it is not there), with key set
 * to json; what is no object counts as an empty one.
 */
int record_llm(struct buf *b, str llm, str key, str json, struct err *err);

/* Write into the record what record_llm() makes of it. */
int record_note(struct record *r, str llm, str key, str json, struct err *err);

struct records_job {
	void	*ctx;
	str	 field;		/* the text; p NULL: the job wants no text, so no check for it */
	bool	 optional;	/* a record without the field is not bad: text.p is NULL */
	const str *keys;	/* other keys wanted, in member[] */
	int	 nkeys;
	/*
	 * map() runs on any thread and may set values; it sees ctx as const.
	 * state is this member's own: state_size zeroed bytes, freed by state_free.
	 * order() runs in input order on one thread at a time, after map() kept
	 * the record.  Either may be NULL.  Both return a verdict; RECORD_BAD
	 * fills err (ERR_FORMAT for the record's fault; others end the run).
	 */
	int	(*map)(const void *ctx, void *state, struct record *r, struct err *err);
	int	(*order)(void *ctx, struct record *r, struct err *err);
	int64_t	 state_size;
	void	(*state_free)(void *state);
	/*
	 * Instead of writing kept records as lines: give them here, in order
	 * (for tools whose product is not records).  NULL: write them.
	 */
	int	(*sink)(void *ctx, struct record *r, struct err *err);
	/*
	 * What was read so far is with the sink, and goes now; more may be long in
	 * coming.  For sinks that gather; NULL: none.
	 */
	int	(*settle)(void *ctx, struct err *err);
};

struct records_io {
	struct codec_spec codec;	/* of all outputs */
	bool	 keep_going;		/* pass over bad records */
	double	 max_bad;		/* with keep_going: highest good rate of bad ones */
	struct out *rest;		/* records that were dropped, or NULL */
	struct out *bad;		/* bad lines, or NULL */
	int64_t	 first_index;		/* records in earlier runs of the same job */
	/*
	 * Inputs are no records but texts, for jobs with a sink: a file is one,
	 * or several, each up to a separator (n 0: none).  What is empty is none.
	 */
	bool	 text;
	str	 separator;
	int64_t	 split;			/* start a new output file after so many bytes; 0: never */
	/* Called now and then on the writing thread. */
	void	(*progress)(void *ctx, int64_t records, int64_t done, int64_t total);
	/* Called once for each bad record, on the writing thread, with a whole message. */
	void	(*complain)(void *ctx, const char *message);
	/*
	 * Called when all is written and before the output appears under its
	 * name: to commit other files, so that it is the last.
	 */
	int	(*finish)(void *ctx, struct err *err);
	void	*ctx;
};

struct records_count {
	int64_t	read, kept, changed, dropped, bad;
	int64_t	bytes_in, bytes_out;		/* decompressed, newlines included */
	int64_t	text_in, text_out;		/* UTF-8 bytes of the field */
};

/*
 * Run the job over files (n of them; "-" or none: standard input) and write
 * what is kept to path out ("-" or NULL: standard output).  With split, out is
 * a directory or prefix and files are out/00000.jsonl[.zst|.gz] and on.
 * Return 0 or -1; counts are valid in both cases.  More bad records than
 * max_bad is the caller's to judge.
 */
int records_run(struct team *team, const struct records_job *job,
    const struct records_io *io, char *const *files, int n, const char *out,
    struct records_count *count, struct err *err);

#endif
