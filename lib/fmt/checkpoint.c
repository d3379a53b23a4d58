#include "fmt/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/stream.h"

#define SUMS		"checksums.json"
#define SUMS_MAX	((ptrdiff_t)16 << 20)
#define VERSION_SUMS	1
#define TREE_DEPTH	8

struct checkpoint {
	int64_t	step;
	char	run[CHECKPOINT_PATH - 300];
	char	dir[CHECKPOINT_PATH];		/* where it is written */
};

static int
join(char path[CHECKPOINT_PATH], const char *dir, const char *name, struct err *err)
{
	if (snprintf(path, CHECKPOINT_PATH, "%s/%s", dir, name) < CHECKPOINT_PATH)
		return 0;
	return err_set(err, ERR_LIMIT, "%.200s...: the name is too long", dir);
}

static void
step_name(char name[40], int64_t step)
{
	snprintf(name, 40, "step-%08" PRId64, step);
}

/* The step of "step-00000100", or -1. */
static int64_t
step_of(const char *name)
{
	int64_t step = 0;
	int n = 0;

	if (strncmp(name, "step-", 5) != 0)
		return -1;
	for (name += 5; *name >= '0' && *name <= '9' && n < 18; name++, n++)
		step = step * 10 + (*name - '0');
	return *name == '\0' && n >= 8 ? step : -1;
}

int
run_lock(const char *run, struct err *err)
{
	char path[CHECKPOINT_PATH], who[300] = "", host[200] = "";
	int fd;
	ssize_t n;

	if (join(path, run, "lock", err) != 0)
		return -1;
	if (mkdir(run, 0777) != 0 && errno != EEXIST)
		return err_sys(err, "%s: cannot create", run);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd == -1)
		return err_sys(err, "%s: cannot open", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		bool taken = errno == EWOULDBLOCK;

		if (!taken)
			err_sys(err, "%s: cannot lock", path);
		else if ((n = read(fd, who, sizeof(who) - 1)) > 0)
			err_set(err, ERR_ARG, "%s: in use by process %.*s", run,
			    (int)strcspn(who, "\n"), who);
		else
			err_set(err, ERR_ARG, "%s: in use by another process", run);
		close(fd);
		return -1;
	}
	/* Who holds it is for people; the lock is the kernel's. */
	gethostname(host, sizeof(host) - 1);
	n = snprintf(who, sizeof(who), "%ld on %s\n", (long)getpid(), host);
	if (ftruncate(fd, 0) != 0 || pwrite(fd, who, (size_t)n, 0) != n) {
		err_sys(err, "%s: cannot write", path);
		close(fd);
		return -1;
	}
	return fd;
}

/* Remove name and all in it.  Links are removed, never followed. */
static int
remove_tree(int at, const char *name, int depth, struct err *err)
{
	struct dirent *d;
	DIR *dir;
	int fd, rc = 0;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, "%s: cannot remove", name);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_sys(err, "%s: cannot remove", name);
	if (depth == 0 || (dir = fdopendir(fd)) == NULL) {
		close(fd);
		return err_set(err, ERR_LIMIT, "%s: cannot remove: too deep", name);
	}
	while (rc == 0 && (d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = remove_tree(fd, d->d_name, depth - 1, err);
	closedir(dir);
	if (rc == 0 && unlinkat(at, name, AT_REMOVEDIR) != 0)
		rc = err_sys(err, "%s: cannot remove", name);
	return rc;
}

/* Call fn for each name in a directory until it fails. */
static int
each(const char *path, int (*fn)(void *ctx, int fd, const char *name, struct err *err),
    void *ctx, struct err *err)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	int rc = 0;

	if (dir == NULL)
		return err_sys(err, "%s: cannot open", path);
	errno = 0;
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = fn(ctx, dirfd(dir), d->d_name, err);
		errno = 0;
	}
	if (rc == 0 && errno != 0)
		rc = err_sys(err, "%s: cannot read", path);
	closedir(dir);
	return rc;
}

static int
remove_half(void *ctx, int fd, const char *name, struct err *err)
{
	(void)ctx;
	return strncmp(name, ".tmp-", 5) == 0 ? remove_tree(fd, name, TREE_DEPTH, err) : 0;
}

struct checkpoint *
checkpoint_begin(const char *run, int64_t step, struct err *err)
{
	struct checkpoint *c = calloc(1, sizeof(*c));
	char name[40];

	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	c->step = step;
	step_name(name, step);
	if (step < 0 || snprintf(c->run, sizeof(c->run), "%s", run) >= (int)sizeof(c->run)) {
		err_set(err, ERR_ARG, "%.200s: the name is too long, or step %lld below 0", run,
		    (long long)step);
		free(c);
		return NULL;
	}
	snprintf(c->dir, sizeof(c->dir), "%s/.tmp-%s", run, name);
	if (each(run, remove_half, NULL, err) != 0) {
		free(c);
		return NULL;
	}
	if (mkdir(c->dir, 0777) != 0) {
		err_sys(err, "%s: cannot create", c->dir);
		free(c);
		return NULL;
	}
	return c;
}

const char *
checkpoint_dir(const struct checkpoint *c)
{
	return c->dir;
}

void
checkpoint_abort(struct checkpoint *c)
{
	struct err ignored;

	if (c == NULL)
		return;
	remove_tree(AT_FDCWD, c->dir, TREE_DEPTH, &ignored);
	free(c);
}

static int
sync_path(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd == -1)
		return err_sys(err, "%s: cannot open", path);
	rc = fsync(fd);
	/* Some file systems cannot sync a directory, and need not. */
	if (rc != 0 && errno != EINVAL) {
		err_sys(err, "%s: cannot sync", path);
		close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static int
hash_file(const char *path, int64_t *bytes, char hex[33], struct err *err)
{
	str map;

	if (file_map(path, &map, err) != 0)
		return -1;
	*bytes = map.n;
	hash128_hex(hash128_of(map), hex);
	file_unmap(map);
	return 0;
}

struct summing {
	const char	*dir;
	const char	*within;	/* "ema": the directory in it, or NULL: itself */
	json_t		*files;
};

static int
sum_file(void *ctx, int fd, const char *name, struct err *err)
{
	struct summing *s = ctx, sub = { s->dir, name, s->files };
	char path[CHECKPOINT_PATH], key[CHECKPOINT_PATH], hex[33];
	struct stat st;
	int64_t bytes;

	if (join(path, s->dir, name, err) != 0)
		return -1;
	memcpy(key, name, strlen(name) + 1);
	if (s->within != NULL && (join(key, s->within, name, err) != 0 ||
	    join(path, s->dir, key, err) != 0))
		return -1;
	if (sync_path(path, err) != 0)
		return -1;
	if (s->within == NULL && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		return each(path, sum_file, &sub, err);
	if (hash_file(path, &bytes, hex, err) != 0)
		return -1;
	if (json_object_set_new(s->files, key, json_pack("{s:I, s:s}", "bytes",
	    (json_int_t)bytes, "xxh3", hex)) != 0)
		return err_set(err, ERR_ARG, "%s: not a name in UTF-8", path);
	return 0;
}

/* Write checksums.json over all files of dir, in the order of names. */
static int
write_sums(const char *dir, struct err *err)
{
	struct summing s = { dir, NULL, json_object() };
	char path[CHECKPOINT_PATH], *text = NULL;
	json_t *doc = NULL;
	int rc = -1;

	if (join(path, dir, SUMS, err) == 0 && each(dir, sum_file, &s, err) == 0) {
		doc = json_pack("{s:i, s:O}", "version", VERSION_SUMS, "files", s.files);
		text = doc == NULL ? NULL : json_dumps(doc, JSON_INDENT(2) | JSON_SORT_KEYS);
		rc = text == NULL ? err_set(err, ERR_NOMEM, "out of memory") :
		    file_write(path, str_of(text), err);
	}
	free(text);
	json_decref(doc);
	json_decref(s.files);
	return rc;
}

/* Give the finished directory its name, in place of one that may be there. */
static int
move_in(const char *run, const char *temp, int64_t step, struct err *err)
{
	char path[CHECKPOINT_PATH], old[CHECKPOINT_PATH], name[40];

	if (checkpoint_path(run, step, path, err) != 0)
		return -1;
	if (rename(temp, path) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_sys(err, "%s: cannot create", path);
	step_name(name, step);
	snprintf(old, sizeof(old), "%s/.tmp-old-%s", run, name);
	if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
		return remove_tree(AT_FDCWD, temp, TREE_DEPTH, err);
	if (rename(path, old) != 0 || rename(temp, path) != 0)
		return err_sys(err, "%s: cannot replace", path);
	return remove_tree(AT_FDCWD, old, TREE_DEPTH, err);
}

int
checkpoint_commit(struct checkpoint *c, struct err *err)
{
	if (write_sums(c->dir, err) != 0 || sync_path(c->dir, err) != 0 ||
	    move_in(c->run, c->dir, c->step, err) != 0) {
		checkpoint_abort(c);
		return -1;
	}
	if (sync_path(c->run, err) != 0 ||
	    checkpoint_link(c->run, "latest", c->step, err) != 0) {
		free(c);
		return -1;
	}
	free(c);
	return 0;
}

/* "name" or "directory/name", of which none begins with a dot. */
static bool
good_name(const char *name)
{
	const char *slash = strchr(name, '/');

	if (name[0] == '\0' || name[0] == '.' || name[0] == '/')
		return false;
	return slash == NULL || (slash[1] != '\0' && slash[1] != '.' &&
	    strchr(slash + 1, '/') == NULL);
}

static int
verify_file(const char *dir, const char *name, const json_t *sum, struct err *err)
{
	const char *want = json_string_value(json_object_get(sum, "xxh3"));
	const json_t *size = json_object_get(sum, "bytes");
	char path[CHECKPOINT_PATH], hex[33];
	int64_t bytes;

	if (want == NULL || !json_is_integer(size) || !good_name(name))
		return err_set(err, ERR_FORMAT, "%s/%s: bad entry '%.100s'", dir, SUMS, name);
	if (join(path, dir, name, err) != 0 || hash_file(path, &bytes, hex, err) != 0)
		return -1;
	if (bytes != json_integer_value(size))
		return err_set(err, ERR_FORMAT, "%s: %lld bytes, not %lld", path,
		    (long long)bytes, (long long)json_integer_value(size));
	if (strcmp(hex, want) != 0)
		return err_set(err, ERR_FORMAT, "%s: damaged: its checksum does not match", path);
	return 0;
}

static int
verify_sums(const char *dir, const json_t *doc, struct err *err)
{
	json_t *files = json_object_get(doc, "files"), *sum;
	const json_t *version = json_object_get(doc, "version");
	const char *name;

	if (!json_is_integer(version) || !json_is_object(files))
		return err_set(err, ERR_FORMAT, "%s/%s: no version or no files", dir, SUMS);
	if (json_integer_value(version) != VERSION_SUMS)
		return err_set(err, ERR_FORMAT, "%s/%s: version %lld, this program reads %d",
		    dir, SUMS, (long long)json_integer_value(version), VERSION_SUMS);
	json_object_foreach(files, name, sum)
		if (verify_file(dir, name, sum, err) != 0)
			return -1;
	return 0;
}

int
checkpoint_verify(const char *dir, struct err *err)
{
	char path[CHECKPOINT_PATH];
	struct arena mem = { 0 };
	json_error_t why;
	json_t *doc;
	str text;
	int rc;

	if (join(path, dir, SUMS, err) != 0 || arena_init(&mem, 2 * SUMS_MAX, err) != 0)
		return -1;
	text = file_slurp(&mem, path, SUMS_MAX, err);
	if (text.p == NULL) {
		arena_free(&mem);
		return -1;
	}
	doc = json_loadb(text.p, (size_t)text.n, JSON_REJECT_DUPLICATES, &why);
	arena_free(&mem);
	if (doc == NULL)
		return err_set(err, ERR_FORMAT, "%s:%d: %s", path, why.line, why.text);
	rc = verify_sums(dir, doc, err);
	json_decref(doc);
	return rc;
}

/* The steps of a run's checkpoints, and those that links point to. */
struct steps {
	int64_t	*step, *linked;
	int	 n, nlinked, cap, lcap;
};

static int
add_step(int64_t **list, int *n, int *cap, int64_t step, struct err *err)
{
	if (*n == *cap) {
		int more = *cap == 0 ? 64 : *cap * 2;
		int64_t *p = realloc(*list, (size_t)more * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		*list = p;
		*cap = more;
	}
	(*list)[(*n)++] = step;
	return 0;
}

static int
find_step(void *ctx, int fd, const char *name, struct err *err)
{
	struct steps *s = ctx;
	struct stat st;
	char to[64];
	ssize_t n;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if (S_ISDIR(st.st_mode) && step_of(name) >= 0)
		return add_step(&s->step, &s->n, &s->cap, step_of(name), err);
	if (!S_ISLNK(st.st_mode) || (n = readlinkat(fd, name, to, sizeof(to) - 1)) <= 0)
		return 0;
	to[n] = '\0';
	return step_of(to) < 0 ? 0 :
	    add_step(&s->linked, &s->nlinked, &s->lcap, step_of(to), err);
}

static int
newest_first(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x > *y ? -1 : *x < *y;
}

static int
find_steps(const char *run, struct steps *s, struct err *err)
{
	if (each(run, find_step, s, err) != 0)
		return -1;
	if (s->n > 0)
		qsort(s->step, (size_t)s->n, sizeof(*s->step), newest_first);
	return 0;
}

int
checkpoint_newest(const char *run, char *path, int64_t *step,
    void (*complain)(void *ctx, const char *message), void *ctx, struct err *err)
{
	struct steps s = { 0 };
	struct err why;
	int rc = find_steps(run, &s, err);

	for (int i = 0; rc == 0 && i < s.n; i++) {
		rc = checkpoint_path(run, s.step[i], path, err);
		if (rc != 0)
			break;
		if (checkpoint_verify(path, &why) == 0) {
			*step = s.step[i];
			rc = 1;
		} else if (complain != NULL) {
			complain(ctx, why.msg);
		}
	}
	free(s.step);
	free(s.linked);
	return rc;
}

int
checkpoint_path(const char *run, int64_t step, char *path, struct err *err)
{
	char name[40];

	step_name(name, step);
	return join(path, run, name, err);
}

int
checkpoint_link(const char *run, const char *name, int64_t step, struct err *err)
{
	char temp[CHECKPOINT_PATH], path[CHECKPOINT_PATH], to[40];

	step_name(to, step);
	if (join(path, run, name, err) != 0 || join(temp, run, ".tmp-link", err) != 0)
		return -1;
	if (unlink(temp) != 0 && errno != ENOENT)
		return err_sys(err, "%s: cannot remove", temp);
	if (symlink(to, temp) != 0)
		return err_sys(err, "%s: cannot create", temp);
	if (rename(temp, path) != 0)
		return err_sys(err, "%s: cannot create", path);
	return sync_path(run, err);
}

int64_t
checkpoint_linked(const char *run, const char *name)
{
	char path[CHECKPOINT_PATH], to[64];
	struct err ignored;
	ssize_t n;

	if (join(path, run, name, &ignored) != 0 ||
	    (n = readlink(path, to, sizeof(to) - 1)) <= 0)
		return -1;
	to[n] = '\0';
	return step_of(to);
}

/* Out of sight in one move, so that no half checkpoint has a good name. */
static int
drop(const char *run, int64_t step, struct err *err)
{
	char path[CHECKPOINT_PATH], temp[CHECKPOINT_PATH];

	if (checkpoint_path(run, step, path, err) != 0 ||
	    join(temp, run, ".tmp-drop", err) != 0 ||
	    remove_tree(AT_FDCWD, temp, TREE_DEPTH, err) != 0)
		return -1;
	if (rename(path, temp) != 0)
		return err_sys(err, "%s: cannot remove", path);
	return remove_tree(AT_FDCWD, temp, TREE_DEPTH, err);
}

int
checkpoint_prune(const char *run, int keep, struct err *err)
{
	struct steps s = { 0 };
	int rc = find_steps(run, &s, err);

	for (int i = keep > 1 ? keep : 1; rc == 0 && i < s.n; i++) {
		bool linked = false;

		for (int k = 0; k < s.nlinked; k++)
			linked |= s.linked[k] == s.step[i];
		if (!linked)
			rc = drop(run, s.step[i], err);
	}
	free(s.step);
	free(s.linked);
	return rc;
}
