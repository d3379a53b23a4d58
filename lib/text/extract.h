/*
 * extract - files of every kind to records
 *
 * One record for each document: {"id","text","source"} and "title", "url",
 * "language" and "date" where it tells them.  JSON lines give a record for each line.
 * Reading is one stream, conversion runs on the team, records are written in
 * order: the output is the same for every team, and memory is bounded by
 * max_size times the documents in flight.
 */
#ifndef TEXT_EXTRACT_H
#define TEXT_EXTRACT_H

#include "base/stream.h"
#include "base/team.h"
#include "text/files.h"
#include "text/html.h"

struct extract_opts {
	struct files_opts files;
	str	 field;			/* of JSON lines: the key of the text */
	enum html_form form;
	int64_t	 max_size;		/* of one document, as it is stored */
	int64_t	 min_bytes;		/* of the text of one; shorter ones are dropped */
	double	 timeout;		/* seconds of processor time for one */
	bool	 keep_going;
	/* Called for each failure that is passed over, with a whole message. */
	void	(*complain)(void *ctx, const char *message);
	void	(*progress)(void *ctx, int64_t records, int64_t done, int64_t total);
	void	*ctx;
};

struct extract_count {
	struct files_count files;
	int64_t	html, xml, pdf, man, lines, text;	/* files by kind */
	int64_t	binary, assets, empty;		/* passed over */
	int64_t	status, types;			/* responses of failure; that hold no page */
	int64_t	unread;				/* PDF, for there is no pdftotext */
	int64_t	records, bad;
	int64_t	text_bytes, bytes_out;
};

/*
 * Write the records of all paths to out, and {"source","error"} for each
 * failure to bad unless that is NULL.  Return 0 or -1; without keep_going the
 * first failure ends it, after the records before it were written.
 */
int extract_run(struct team *team, const struct extract_opts *o, char *const *paths,
    int n, struct out *out, struct out *bad, struct extract_count *count, struct err *err);

#endif
