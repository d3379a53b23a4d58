/*
 * records_impl - what the reader of records shares with the rest
 */
#ifndef TEXT_RECORDS_IMPL_H
#define TEXT_RECORDS_IMPL_H

#include "text/records.h"

#define BATCH	((ptrdiff_t)256 << 10)		/* fits a core's own cache */
#define NKEYS	64
#define TOO_LONG "a record of more than %td bytes"

/* What became of one line, or of one text. */
struct entry {
	str		 raw;		/* in the batch, with its newline or separator if any */
	str		 line;		/* the object in it, or the text */
	str		 text;
	ptrdiff_t	 made;		/* where the changed line is in batch.made */
	ptrdiff_t	 made_n;	/* 0: unchanged */
	ptrdiff_t	 member;	/* first of its members in batch.member */
	int64_t		 row;		/* line in the batch, from 0 */
	int64_t		 text_out;	/* bytes of its text as written */
	uint64_t	 tag[2];
	int		 verdict;
	enum err_code	 code;		/* of a bad one, and its message in batch.why */
	ptrdiff_t	 why;
};

/* A piece of one file, whole lines: what goes through the pipeline. */
struct batch {
	struct buf	 in;
	struct buf	 text;		/* unescaped texts that order() and sink() see */
	struct buf	 made;		/* changed lines */
	struct buf	 why;		/* messages, each with its NUL */
	struct entry	*entry;
	ptrdiff_t	 n, cap;
	struct buf	 member;	/* struct json_member of all entries */
	struct arena	 scratch;
	const char	*file;
	int64_t		 line;		/* number of its first line */
	int64_t		 done;		/* bytes of input up to its end, for progress */
	bool		 too_long;	/* stands for one line that was passed over */
};

/* What a thread has for itself. */
struct member {
	_Alignas(64) struct buf text;
	struct buf	 edits;
	struct json_member found[NKEYS];
	void		*state;
};

struct run {
	const struct records_job *job;
	const struct records_io *io;
	struct records_count *count;
	char *const	*file;
	int		 nfiles, at;
	str		 key[NKEYS];	/* the field first when there is one */
	int		 nkeys;
	bool		 later;		/* order() or sink() will look at records */
	struct member	*member;
	int		 nmembers;

	struct in	*in;		/* the reader's */
	const char	*name;
	int64_t		 line;
	int64_t		 before;	/* bytes of the files before this one */
	int64_t		 total;
	struct buf	 carry;		/* the start of a line whose end was not read */

	struct out	*out;		/* the writer's */
	const char	*path;
	int		 part;
	int64_t		 part_bytes;
	struct buf	 edits, spliced;
};

/* records_read.c: fill with whole lines or texts.  Return 1, 0 at the end of all files, -1. */
int records_read(struct run *run, struct batch *b, struct err *err);

/* What is to be cut of a batch: all but a byte order mark. */
str records_first(const struct batch *b);

/* What comes first of the rest of a batch, with its end; *line: without. */
str records_cut(const struct run *run, str rest, str *line);

/* Where the first separator of texts is in s, or NULL; there is none without one. */
const char *records_separator(const struct run *run, str s);

#endif
