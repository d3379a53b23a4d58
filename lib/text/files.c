#include "text/files.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fts.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text/files_impl.h"

#define FREE_BYTES	((int64_t)256 << 20)	/* below this no ratio is a bomb */
#define BLOCK		65536

/* An archive that is being read; what feeds it is the level below, or the operand. */
struct level {
	struct files	*f;
	struct archive	*a;		/* one of these two */
	struct warc	*w;
	struct warc_record record;
	int		 index;
	ptrdiff_t	 label_n;	/* of the archive's own label */
	bool		 deb;
	bool		 broken;	/* nothing more can be read from it */
	char		*held;
	char		 head[FILES_HEAD], block[BLOCK];
	ptrdiff_t	 head_n, head_at;
};

struct files {
	struct files_opts opt;
	struct files_count count;
	char *const	*path;
	char		 dash[2], *standard;	/* the operand when there is none */
	int		 npath, next;
	FTS		*fts;
	int		 fd;			/* of the operand, or -1 */
	bool		 seekable, borrowed;
	int64_t		 in_start;		/* count.bytes_in when it was opened */
	int64_t		 grown;			/* bytes its archives gave */
	bool		 bomb;			/* the operand grew too large */
	int		 depth;
	struct level	*level[FILES_DEPTH];
	struct buf	 label, name;
	char		 head[FILES_HEAD];	/* of the file at hand */
	ptrdiff_t	 head_n, head_at;
	bool		 open;			/* there is one */
	locale_t	 utf8;
};

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* An error of libarchive, in our manner: lower case, one line. */
static int
set_archive(struct err *err, struct archive *a)
{
	const char *why = archive_error_string(a);
	bool memory = archive_errno(a) == ENOMEM;

	if (why == NULL)
		why = "damaged archive";
	else if (strstr(why, "No progress is possible") != NULL)
		why = "truncated xz input";	/* liblzma's way to say it */
	err_set(err, memory ? ERR_NOMEM : ERR_FORMAT, "%s", why);
	if (err->msg[0] != '\0' && islower((unsigned char)err->msg[1]))
		err->msg[0] = (char)tolower((unsigned char)err->msg[0]);
	for (size_t n = strlen(err->msg); n > 0 && (err->msg[n - 1] == '\n' ||
	    err->msg[n - 1] == '.'); n--)
		err->msg[n - 1] = '\0';
	return -1;
}

/* n more bytes came out of the operand's archives.  Return 0, or -1 when it is a bomb. */
static int
grow(struct files *f, int64_t n, struct err *err)
{
	f->grown += n;
	f->bomb |= f->grown > FREE_BYTES &&
	    f->grown / f->opt.ratio > f->count.bytes_in - f->in_start;
	return f->bomb ? err_set(err, ERR_LIMIT, "content grows over %lld times (--max-ratio)",
	    (long long)f->opt.ratio) : 0;
}

/* Read from the operand (from < 0) or from the entry at hand of a level. */
static ptrdiff_t
pull(struct files *f, int from, void *p, ptrdiff_t n, struct err *err)
{
	ptrdiff_t got;

	if (f->bomb)
		return grow(f, 0, err);
	if (from < 0) {
		do {
			got = read(f->fd, p, (size_t)n);
		} while (got < 0 && errno == EINTR);
		if (got < 0)
			return err_sys(err, "read");
		f->count.bytes_in += got;
		return got;
	}
	if (f->level[from]->w != NULL)
		return warc_read(f->level[from]->w, p, n, err);
	do {
		got = archive_read_data(f->level[from]->a, p, (size_t)n);
	} while (got == ARCHIVE_RETRY);
	if (got < 0) {
		f->level[from]->broken = got == ARCHIVE_FATAL;
		return set_archive(err, f->level[from]->a);
	}
	return grow(f, got, err) < 0 ? -1 : got;
}

/* As pull(), until n bytes or the end. */
static ptrdiff_t
pull_all(struct files *f, int from, char *p, ptrdiff_t n, struct err *err)
{
	ptrdiff_t all = 0, got;

	while (all < n) {
		if ((got = pull(f, from, p + all, n - all, err)) < 0)
			return -1;
		if (got == 0)
			break;
		all += got;
	}
	return all;
}

/* What a level reads: the first bytes that were looked at, and what follows. */
static ptrdiff_t
pull_below(void *ctx, void *p, ptrdiff_t n, struct err *err)
{
	struct level *l = ctx;
	ptrdiff_t left = l->head_n - l->head_at;

	if (left == 0)
		return pull(l->f, l->index - 1, p, n, err);
	if (n > left)
		n = left;
	memcpy(p, l->head + l->head_at, (size_t)n);
	l->head_at += n;
	return n;
}

static int
inflated(void *ctx, int64_t n, struct err *err)
{
	return grow(((struct level *)ctx)->f, n, err);
}

static la_ssize_t
feed(struct archive *a, void *ctx, const void **block)
{
	struct level *l = ctx;
	struct err err = { 0 };
	ptrdiff_t got;

	*block = l->block;
	if ((got = pull_below(l, l->block, BLOCK, &err)) < 0)
		archive_set_error(a, err.code == ERR_NOMEM ? ENOMEM : EIO, "%s", err.msg);
	return got;
}

static la_int64_t
feed_seek(struct archive *a, void *ctx, la_int64_t to, int whence)
{
	struct level *l = ctx;
	off_t at = lseek(l->f->fd, to, whence);

	if (at < 0) {
		archive_set_error(a, errno, "cannot seek");
		return ARCHIVE_FATAL;
	}
	l->head_at = l->head_n;
	return at;
}

static void
leave(struct files *f)
{
	struct level *l = f->level[--f->depth];

	archive_read_free(l->a);
	warc_close(l->w);
	free(l->held);
	free(l);
	f->level[f->depth] = NULL;
}

/* A 7z has its table at the end: hold it all. */
static int
hold(struct level *l, struct err *err)
{
	struct files *f = l->f;
	ptrdiff_t n = 0, got, cap = l->head_n;
	char *p = malloc((size_t)(cap > 0 ? cap : 1)), *more;

	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->held = p;
	memcpy(p, l->head, (size_t)l->head_n);
	for (n = l->head_n; ; n += got) {
		if (n == cap) {
			cap = cap > f->opt.hold / 2 ? f->opt.hold + 1 : cap * 2;
			if (cap < 65536)
				cap = 65536;
			if ((more = realloc(p, (size_t)cap)) == NULL)
				return err_set(err, ERR_NOMEM, "out of memory");
			l->held = p = more;
		}
		if ((got = pull(f, l->index - 1, p + n, cap - n, err)) < 0)
			return -1;
		if (n + got > f->opt.hold)
			return err_set(err, ERR_LIMIT,
			    "a 7z inside an archive of more than %lld bytes (--max-size)",
			    (long long)f->opt.hold);
		if (got == 0)
			break;
	}
	if (archive_read_open_memory(l->a, p, (size_t)n) != ARCHIVE_OK)
		return set_archive(err, l->a);
	return 0;
}

static void
support(struct archive *a, bool packed)
{
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_lzma(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_lz4(a);
	archive_read_support_filter_lzip(a);
	archive_read_support_filter_compress(a);
	archive_read_support_format_tar(a);
	archive_read_support_format_zip(a);
	archive_read_support_format_7zip(a);
	archive_read_support_format_cpio(a);
	archive_read_support_format_ar(a);
	if (packed) {
		archive_read_support_format_empty(a);
		archive_read_support_format_raw(a);
	}
}

static int
open_archive(struct level *l, enum container kind, struct err *err)
{
	const struct warc_source from = { pull_below, inflated, l };

	if (kind == CONTAINER_WARC)
		return (l->w = warc_open(&from, err)) == NULL ? -1 : 0;
	if ((l->a = archive_read_new()) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	support(l->a, kind == CONTAINER_PACKED);
	if (kind == CONTAINER_7Z && l->index > 0)
		return hold(l, err);
	archive_read_set_callback_data(l->a, l);
	archive_read_set_read_callback(l->a, feed);
	if (l->index == 0 && l->f->seekable)
		archive_read_set_seek_callback(l->a, feed_seek);
	return archive_read_open1(l->a) == ARCHIVE_OK ? 0 : set_archive(err, l->a);
}

/* Enter the archive that the file at hand is. */
static int
enter(struct files *f, enum container kind, bool data, struct err *err)
{
	struct level *l;
	int ret;

	if (f->depth >= f->opt.depth)
		return err_set(err, ERR_LIMIT, "archives in archives beyond %lld levels (--depth)",
		    (long long)f->opt.depth);
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->f = f;
	l->index = f->depth;
	l->label_n = f->label.n;
	memcpy(l->head, f->head, (size_t)f->head_n);
	l->head_n = f->head_n;
	f->level[f->depth++] = l;
	f->open = false;
	if ((ret = open_archive(l, kind, err)) < 0)
		leave(f);
	else
		f->count.archives += !data;
	return ret;
}

static bool
one_matches(const char *const *pattern, const char *s)
{
	for (int i = 0; i < FILES_PATTERNS && pattern[i] != NULL; i++)
		if (fnmatch(pattern[i], s, 0) == 0)
			return true;
	return false;
}

/* Does a pattern name what the buf holds from a byte on, or one of the names in it? */
static bool
matches(const char *const *pattern, struct buf *b, ptrdiff_t from)
{
	const char *path, *at;
	char name[256];

	buf_byte(b, '\0');
	b->n--;
	if (b->failed || pattern[0] == NULL)
		return false;
	path = b->p + from;
	if (one_matches(pattern, path))
		return true;
	for (at = path; *at != '\0'; at += *at == '/') {
		size_t n = strcspn(at, "/");

		if (n > 0 && n < sizeof(name)) {
			memcpy(name, at, n);
			name[n] = '\0';
			if (one_matches(pattern, name))
				return true;
		}
		at += n;
	}
	return false;
}

/* Where the path inside the innermost archive begins. */
static ptrdiff_t
inner(const struct buf *label)
{
	const char *mark = label->n > 0 ? memrchr(label->p, '!', (size_t)label->n) : NULL;

	return mark == NULL ? 0 : mark + 1 - label->p;
}

static bool
excluded(struct files *f, struct buf *b, ptrdiff_t from)
{
	if (!matches(f->opt.exclude, b, from))
		return false;
	f->count.excluded++;
	return true;
}

static bool
included(struct files *f, struct buf *b, ptrdiff_t from)
{
	if (f->opt.include[0] == NULL || matches(f->opt.include, b, from))
		return true;
	f->count.excluded++;
	return false;
}

/* Look at the file that was just opened: 1 a file, 0 passed over or entered, -1. */
static int
look(struct files *f, int from, struct file *file, struct err *err)
{
	enum container kind;
	bool data = from >= 0 && f->level[from]->deb;

	f->head_at = 0;
	f->head_n = pull_all(f, from, f->head, FILES_HEAD, err);
	if (f->head_n < 0) {
		f->head_n = 0;
		return -1;
	}
	f->open = true;
	kind = container_of((str){ f->head, f->head_n });
	if (kind != CONTAINER_NONE)
		return enter(f, kind, data, err);
	if (!included(f, &f->label, inner(&f->label)))
		return 0;
	f->count.files++;
	file->record = NULL;
	file->label = buf_str(&f->label);
	file->head = (str){ f->head, f->head_n };
	label_name(&f->name, file->label);
	file->name = buf_str(&f->name);
	if (buf_ok(&f->label, err) < 0 || buf_ok(&f->name, err) < 0)
		return -1;
	file->listed = matches(f->opt.include, &f->name, 0);
	return 1;
}

/* What becomes of an entry: 1 look at it, 0 pass it over. */
static int
wanted(struct files *f, struct level *l, struct archive_entry *e)
{
	const char *name = archive_entry_pathname_utf8(e);

	if (name == NULL)
		name = archive_entry_pathname(e);
	f->label.n = l->label_n;
	if (archive_format(l->a) == ARCHIVE_FORMAT_RAW)
		return !excluded(f, &f->label, inner(&f->label));
	if ((archive_format(l->a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_AR &&
	    name != NULL && strcmp(name, "debian-binary") == 0)
		l->deb = true;
	if (l->deb)
		return name != NULL && strncmp(name, "data.tar", 8) == 0;
	label_add(&f->label, str_of(name == NULL ? "?" : name));
	if (archive_entry_hardlink(e) != NULL || archive_entry_symlink(e) != NULL) {
		f->count.links++;
		return 0;
	}
	if (archive_entry_filetype(e) == AE_IFDIR)
		return 0;
	if (archive_entry_filetype(e) != AE_IFREG && archive_entry_filetype(e) != 0) {
		f->count.special++;
		return 0;
	}
	return !excluded(f, &f->label, inner(&f->label));
}

/* The next record of a web archive; patterns are those of its address. */
static int
next_record(struct files *f, struct level *l, struct file *file, struct err *err)
{
	const struct warc_record *r = &l->record;
	int64_t at, inside;
	int got = warc_next(l->w, &l->record, err);

	f->label.n = l->label_n;
	if (got == 0) {
		leave(f);
		return 0;
	}
	at = warc_offset(l->w, &inside);
	buf_fmt(&f->label, "!%lld", (long long)at);
	if (inside > 0)
		buf_fmt(&f->label, "+%lld", (long long)inside);
	if (got < 0)
		return -1;
	if (r->kind == WARC_OTHER || r->size > f->opt.record) {
		f->count.other += r->kind == WARC_OTHER;
		f->count.large += r->kind != WARC_OTHER;
		return 0;
	}
	buf_reset(&f->name);
	buf_add(&f->name, r->url);
	if (excluded(f, &f->name, 0) || !included(f, &f->name, 0))
		return 0;
	f->head_at = f->head_n = 0;
	f->open = true;
	f->count.files++;
	*file = (struct file){ .label = buf_str(&f->label), .record = r };
	return buf_ok(&f->label, err) < 0 || buf_ok(&f->name, err) < 0 ? -1 : 1;
}

/* The next entry of the innermost archive: 1 a file, 0 look again, -1. */
static int
next_entry(struct files *f, struct file *file, struct err *err)
{
	struct level *l = f->level[f->depth - 1];
	struct archive_entry *e;
	locale_t was;
	int got = ARCHIVE_EOF;

	if (l->w != NULL)
		return next_record(f, l, file, err);
	if (!l->broken) {
		was = f->utf8 != (locale_t)0 ? uselocale(f->utf8) : (locale_t)0;
		got = archive_read_next_header(l->a, &e);
		if (was != (locale_t)0)
			uselocale(was);
	}
	if (got == ARCHIVE_EOF) {
		leave(f);
		return 0;
	}
	if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
		f->label.n = l->label_n;
		l->broken = got != ARCHIVE_RETRY;
		return set_archive(err, l->a);
	}
	if (!wanted(f, l, e))
		return 0;
	if (archive_entry_is_encrypted(e))
		return err_set(err, ERR_FORMAT, "encrypted");
	return look(f, f->depth - 1, file, err);
}

static void
end_operand(struct files *f)
{
	while (f->depth > 0)
		leave(f);
	if (f->fd >= 0 && !f->borrowed)
		close(f->fd);
	f->fd = -1;
	f->bomb = false;
	f->open = false;
}

static int
begin_file(struct files *f, const char *path, int flags, struct file *file, struct err *err)
{
	struct stat st;

	buf_reset(&f->label);
	buf_add(&f->label, str_of(path));
	if (excluded(f, &f->label, inner(&f->label)))
		return 0;
	f->borrowed = strcmp(path, "-") == 0;
	f->fd = f->borrowed ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | flags);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return err_sys(err, "open");
	f->seekable = S_ISREG(st.st_mode) && !f->borrowed;
	f->in_start = f->count.bytes_in;
	f->grown = 0;
	return look(f, -1, file, err);
}

static int
next_in_directory(struct files *f, struct file *file, struct err *err)
{
	FTSENT *e = fts_read(f->fts);

	if (e == NULL) {
		fts_close(f->fts);
		f->fts = NULL;
		return 0;
	}
	buf_reset(&f->label);
	buf_add(&f->label, (str){ e->fts_path, e->fts_pathlen });
	switch (e->fts_info) {
	case FTS_F:
		return begin_file(f, e->fts_path, O_NOFOLLOW | O_NONBLOCK, file, err);
	case FTS_D:
		if (e->fts_level > 0 && excluded(f, &f->label, inner(&f->label)))
			fts_set(f->fts, e, FTS_SKIP);
		return 0;
	case FTS_SL:
	case FTS_SLNONE:
		f->count.links++;
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		errno = e->fts_errno;
		return err_sys(err, "read");
	case FTS_DC:
		return err_set(err, ERR_FORMAT, "directory that contains itself");
	case FTS_DEFAULT:
		f->count.special++;
		return 0;
	default:
		return 0;
	}
}

static int
next_operand(struct files *f, struct file *file, struct err *err)
{
	const char *path = f->path[f->next++];
	char *paths[2] = { (char *)(uintptr_t)path, NULL };
	struct stat st;

	buf_reset(&f->label);
	buf_add(&f->label, str_of(path));
	if (strcmp(path, "-") != 0 && stat(path, &st) < 0)
		return err_sys(err, "open");
	if (strcmp(path, "-") == 0 || !S_ISDIR(st.st_mode))
		return begin_file(f, path, 0, file, err);
	f->fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	return f->fts == NULL ? err_sys(err, "open") : 0;
}

int
files_next(struct files *f, struct file *file, struct err *err)
{
	int got = 0;

	f->open = false;
	f->head_at = f->head_n = 0;
	while (got == 0) {
		if (f->depth > 0 && !f->bomb)
			got = next_entry(f, file, err);
		else if (f->fd >= 0)
			end_operand(f);
		else if (f->fts != NULL)
			got = next_in_directory(f, file, err);
		else if (f->next < f->npath)
			got = next_operand(f, file, err);
		else
			return 0;
	}
	return got;
}

ptrdiff_t
files_read(struct files *f, void *p, ptrdiff_t n, struct err *err)
{
	ptrdiff_t left = f->head_n - f->head_at;

	if (!f->open)
		return 0;
	if (left > 0) {
		if (n > left)
			n = left;
		memcpy(p, f->head + f->head_at, (size_t)n);
		f->head_at += n;
		return n;
	}
	return pull(f, f->depth - 1, p, n, err);
}

struct files *
files_open(char *const *paths, int n, const struct files_opts *o, struct err *err)
{
	struct files *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	f->opt = *o;
	f->fd = -1;
	f->dash[0] = '-';
	f->standard = f->dash;
	f->path = n > 0 ? paths : &f->standard;
	f->npath = n > 0 ? n : 1;
	f->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return f;
}

str
files_label(const struct files *f)
{
	return buf_str(&f->label);
}

const struct files_count *
files_counts(const struct files *f)
{
	return &f->count;
}

int64_t
files_total(const struct files *f)
{
	int64_t total = 0;
	struct stat st;

	for (int i = 0; i < f->npath; i++) {
		if (stat(f->path[i], &st) < 0 || !S_ISREG(st.st_mode))
			return -1;
		total += st.st_size;
	}
	return total;
}

void
files_close(struct files *f)
{
	if (f == NULL)
		return;
	end_operand(f);
	if (f->fts != NULL)
		fts_close(f->fts);
	if (f->utf8 != (locale_t)0)
		freelocale(f->utf8);
	buf_free(&f->label);
	buf_free(&f->name);
	free(f);
}
