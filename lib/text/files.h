/*
 * files - what is in files, directories and archives, one file after another
 *
 * Operands are read in the order given, a directory in byte order of its
 * names, an archive in its own order.  Archives (tar, zip, 7z, cpio, ar, deb)
 * and compressed files (gzip, bzip2, xz, lzma, zstd, lz4, lzip, compress) are
 * told by their content and streamed; an archive inside one is entered too.
 * Of a deb only the files to install are given, of a web archive (WARC, ARC)
 * the responses and their conversions, each as the block that was stored.
 *
 * Nothing is ever written.  Names in archives are labels: "a.zip!dir/page.html",
 * without leading "/" and "..".  Symbolic links in directories and archives
 * are not followed.  Limits hold against archives made to hurt: nesting, and
 * how much larger than its operand the content may grow.
 */
#ifndef TEXT_FILES_H
#define TEXT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "text/warc.h"

#define FILES_HEAD	4096	/* bytes that files_next() looks at */
#define FILES_PATTERNS	64
#define FILES_DEPTH	32	/* most levels of archives in archives */

struct files_opts {
	int64_t	 depth;		/* levels of archives in archives, at most FILES_DEPTH */
	int64_t	 ratio;		/* content to operand, beyond the first 256 MiB */
	int64_t	 hold;		/* bytes of a 7z inside another archive, held in memory */
	int64_t	 record;	/* bytes of a web archive's record; larger ones are passed over */
	/* fnmatch() patterns of a path or of a name in it; '*' matches '/' as well. */
	const char *include[FILES_PATTERNS], *exclude[FILES_PATTERNS];
};

struct files_count {
	int64_t	files, archives;	/* given; entered */
	int64_t	links, special, excluded;	/* passed over */
	int64_t	other, large;	/* records of web archives: no response; larger than wanted */
	int64_t	bytes_in;		/* read from operands */
};

struct file {
	str	label;		/* where it came from, for people and records */
	str	name;		/* last part, compression suffix removed */
	str	head;		/* its first FILES_HEAD bytes, less at its end */
	bool	listed;		/* an --include pattern names it */
	const struct warc_record *record;	/* of a web archive, or NULL; head is empty */
};

struct files;

/* The operands stay the caller's.  "-" or none: the standard input. */
struct files *files_open(char *const *paths, int n, const struct files_opts *o,
    struct err *err);

/*
 * Go on to the next file; its slices are good until the next call.  Return 1,
 * 0 at the end, -1.  After a failure other than ERR_NOMEM the next call goes
 * on behind what failed, and files_label() names that.
 */
int files_next(struct files *f, struct file *file, struct err *err);
str files_label(const struct files *f);

/* Up to n bytes of the file, from its start on.  Return how many, 0 at the end, -1. */
ptrdiff_t files_read(struct files *f, void *p, ptrdiff_t n, struct err *err);

const struct files_count *files_counts(const struct files *f);

/* Size of the operands that are plain files, for progress. */
int64_t files_total(const struct files *f);
void files_close(struct files *f);

#endif
