/*
 * Streams: what goes in comes out for every codec and size, concatenated
 * members, damage at every byte, full disks, and no half file ever.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/stream.h"
#include "base/stream_impl.h"
#include "../tap.h"

static const struct codec_spec codecs[] = {
	{ CODEC_PLAIN, 0 }, { CODEC_GZIP, 0 }, { CODEC_ZSTD, 0 }, { CODEC_GZIP, 1 },
	{ CODEC_ZSTD, -5 },
};
#define NCODECS (int)(sizeof(codecs) / sizeof(codecs[0]))

static char dir[64];
static char data[3 * (256 << 10) + 100];	/* words that compress, then noise */

static const char *
in_dir(const char *name)
{
	static char path[4][256];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

/* Files in the directory, hidden ones too. */
static int
files(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n - 2;
}

/* Read to the end by step bytes.  Return how many, or -1. */
static ptrdiff_t
drain(struct in *in, struct buf *b, ptrdiff_t step, struct err *err)
{
	ptrdiff_t got;

	buf_reset(b);
	do {
		char *at = buf_room(b, step);

		if (at == NULL)
			return -1;
		if ((got = in_read(in, at, step, err)) > 0)
			b->n += got;
	} while (got > 0);
	return got < 0 ? -1 : b->n;
}

static int
save(const char *path, struct codec_spec spec, str s, ptrdiff_t step, struct err *err)
{
	struct out *out = out_open(path, spec, err);

	if (out == NULL)
		return -1;
	for (ptrdiff_t at = 0; at < s.n; at += step)
		if (out_write(out, s.p + at, s.n - at < step ? s.n - at : step, err) == -1) {
			out_abort(out);
			return -1;
		}
	return out_commit(out, err);
}

static int
holds(const char *path, str want, ptrdiff_t step)
{
	struct err err;
	struct buf b = { 0 };
	struct in *in = in_open(path, &err);
	int same = in != NULL && drain(in, &b, step, &err) == want.n &&
	    str_eq(buf_str(&b), want);

	in_close(in);
	buf_free(&b);
	return same;
}

/* The bytes of a file as they are. */
static void
raw(const char *path, struct buf *b)
{
	FILE *fp = fopen(path, "rb");
	char *at;

	buf_reset(b);
	if (fp == NULL)
		return;
	while ((at = buf_room(b, 65536)) != NULL) {
		size_t got = fread(at, 1, 65536, fp);

		b->n += (ptrdiff_t)got;
		if (got == 0)
			break;
	}
	fclose(fp);
}

static void
test_round(void)
{
	static const ptrdiff_t sizes[] = {
		0, 1, 2, 3, 4, 5, 4096, STREAM_CHUNK - 1, STREAM_CHUNK, STREAM_CHUNK + 1,
		sizeof(data)
	};
	static const ptrdiff_t steps[] = { 7777, STREAM_CHUNK, sizeof(data), 1 };
	struct buf a = { 0 }, b = { 0 };
	struct err err;
	int bad = 0, cuts = 0;

	for (int c = 0; c < NCODECS; c++)
		for (int i = 0; i < 11; i++)
			for (int j = 0; j < (sizes[i] > 5000 ? 3 : 4); j++) {
				str s = { data, sizes[i] };

				bad += save(in_dir("x"), codecs[c], s, steps[j], &err) != 0;
				bad += !holds(in_dir("x"), s, steps[j]);
				raw(in_dir("x"), j == 0 ? &a : &b);
				cuts += j > 0 && !str_eq(buf_str(&a), buf_str(&b));
			}
	ok(bad == 0, "all codecs, sizes and steps come back");
	ok(cuts == 0, "how writes are cut does not change the file");
	ok(files() == 1, "nothing else is left in the directory");
	buf_free(&a);
	buf_free(&b);
}

/* Members of all codecs after one another; a pad of zeros between. */
static void
test_members(void)
{
	struct buf all = { 0 }, one = { 0 }, got = { 0 };
	str half = { data, 1000 };
	struct err err;
	struct in *in;

	for (int c = 1; c < NCODECS; c++) {
		save(in_dir("m"), codecs[c], half, 1000, &err);
		raw(in_dir("m"), &one);
		buf_add(&all, buf_str(&one));
		if (c == 2)
			buf_add(&all, S("\0\0\0\0\0\0\0"));
		/* A skippable frame is no data. */
		buf_add(&all, S("\x53\x2a\x4d\x18\x03\0\0\0abc"));
	}
	in = in_mem(buf_str(&all), &err);
	ok(drain(in, &got, 333, &err) == 4000 && memcmp(got.p + 3000, data, 1000) == 0,
	    "members of several codecs, padding and skippable frames");
	ok(in_pos(in) == all.n && in_size(in) == all.n, "in_pos and in_size of memory");
	in_close(in);
	buf_add(&all, S("tail"));
	in = in_mem(buf_str(&all), &err);
	ok(drain(in, &got, 4096, &err) == -1 && err.code == ERR_FORMAT &&
	    strstr(err.msg, "neither gzip nor zstd") != NULL, "text after a member is an error");
	ok(in_read(in, got.p, 1, &err) == -1, "and stays one");
	in_close(in);
	buf_free(&all);
	buf_free(&one);
	buf_free(&got);
}

static int
offset_is_told(const struct err *err, ptrdiff_t size)
{
	long long at = -1;

	return sscanf(err->msg, "byte %lld: ", &at) == 1 && at >= 0 && at <= size;
}

static void
test_damage(void)
{
	static const char *const names[] = { "plain", "gzip", "zstd" };
	struct buf b = { 0 }, got = { 0 };
	char what[80];
	str s = { data, 3000 };

	for (int c = 1; c <= 2; c++) {
		int cut = 0, flip = 0, offset = 0;
		struct err err = { .msg = "" };
		struct in *in;

		save(in_dir("d"), codecs[c], s, s.n, &err);
		raw(in_dir("d"), &b);
		for (ptrdiff_t n = 4; n < b.n; n++) {
			in = in_mem((str){ b.p, n }, &err);
			cut += drain(in, &got, 1 + n % 5000, &err) != -1;
			offset += !offset_is_told(&err, n);
			in_close(in);
		}
		for (ptrdiff_t i = 4; i < b.n; i++) {
			b.p[i] ^= (char)(1 << i % 8);
			in = in_mem(buf_str(&b), &err);
			/* A gzip header has bytes that nothing checks. */
			if (drain(in, &got, 4096, &err) != -1)
				flip += !str_eq(buf_str(&got), s);
			else
				offset += !offset_is_told(&err, b.n);
			in_close(in);
			b.p[i] ^= (char)(1 << i % 8);
		}
		snprintf(what, sizeof(what), "%s cut at any byte is an error", names[c]);
		ok(cut == 0, what);
		snprintf(what, sizeof(what), "%s with any bit flipped gives no wrong byte",
		    names[c]);
		ok(flip == 0, what);
		snprintf(what, sizeof(what), "%s errors name the offset", names[c]);
		ok(offset == 0, what);
	}
	buf_free(&b);
	buf_free(&got);
}

/* One byte at a time through a pipe that does not block. */
static void
test_pipe(void)
{
	struct buf b = { 0 }, got = { 0 };
	int bad = 0, p[2], status;
	struct err err;

	for (int c = 0; c < 3; c++) {
		struct in *in;
		pid_t pid;

		save(in_dir("p"), codecs[c], (str){ data, 2000 }, 2000, &err);
		raw(in_dir("p"), &b);
		if (pipe(p) == -1 || (pid = fork()) == -1) {
			bad++;
			continue;
		}
		if (pid == 0) {
			for (ptrdiff_t i = 0; i < b.n; i++)
				if (fd_write(p[1], b.p + i, 1) == -1)
					_exit(1);
			_exit(0);
		}
		close(p[1]);
		fcntl(p[0], F_SETFL, O_NONBLOCK);
		in = in_fd(p[0], &err);
		bad += drain(in, &got, 100, &err) != 2000 || memcmp(got.p, data, 2000) != 0;
		bad += in_size(in) != -1 || in_pos(in) != b.n;
		in_close(in);
		bad += close(p[0]) != 0;	/* still ours */
		bad += waitpid(pid, &status, 0) != pid || status != 0;
	}
	ok(bad == 0, "short reads from a pipe");

	/* What is there comes at once: two bytes cannot be waited past. */
	bad = pipe(p) == -1 || fd_write(p[1], "hi", 2) == -1;
	struct in *in = in_fd(p[0], &err);
	char two[10];

	ok(!bad && in_read(in, two, 10, &err) == 2, "a reader gets what a pipe has");
	close(p[1]);
	ok(in_read(in, two, 10, &err) == 0 && in_read(in, two, 10, &err) == 0, "and its end");
	in_close(in);
	close(p[0]);
	buf_free(&b);
	buf_free(&got);
}

/* A signal handler in C would be needed to see EFBIG otherwise. */
static int
limited_save(const char *path, struct codec_spec spec)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		struct rlimit lim = { 10000, 10000 };
		struct err err = { .msg = "" };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &lim);
		_exit(save(path, spec, (str){ data, sizeof(data) }, 9999, &err) == -1 &&
		    err.code == ERR_IO && strstr(err.msg, strerror(EFBIG)) != NULL ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return status == 0;
}

static void
test_failure(void)
{
	int full = 0, limit = 0, before;
	struct err err;
	struct out *out;

	for (int c = 0; c < NCODECS; c++) {
		str all = { data, sizeof(data) };

		full += save("/dev/full", codecs[c], all, 5000, &err) == -1 &&
		    err.code == ERR_IO && strstr(err.msg, "/dev/full: cannot write: ") == err.msg;
		full += save("/dev/full", codecs[c], S("x"), 1, &err) == -1;
	}
	ok(full == 2 * NCODECS, "a full device is an error, for one byte too");
	save(in_dir("kept"), codecs[0], S("old"), 3, &err);
	before = files();
	for (int c = 0; c < NCODECS; c++)
		limit += limited_save(in_dir("kept"), codecs[c]) &&
		    limited_save(in_dir("new"), codecs[c]);
	ok(limit == NCODECS, "a file that grows too large is an error");
	out = out_open(in_dir("new"), codecs[0], &err);
	out_write(out, "abc", 3, &err);
	out_abort(out);
	ok(access(in_dir("new"), F_OK) == -1, "an aborted output is not there");
	ok(files() == before && holds(in_dir("kept"), S("old"), 10),
	    "nothing is left, the old file is");
	out_abort(NULL);
	in_close(NULL);

	out = out_open("/dev/full", codecs[0], &err);
	out_write(out, data, sizeof(data), &err);
	ok(out_write(out, "x", 1, &err) == -1 && out_flush(out, &err) == -1, "a failure sticks");
	ok(out_commit(out, &err) == -1 && strstr(err.msg, "No space") != NULL,
	    "and commit tells it");
	ok(out_open(in_dir("no/such"), codecs[0], &err) == NULL &&
	    strstr(err.msg, "No such") != NULL,
	    "no directory");
	ok(in_open(in_dir("nothing"), &err) == NULL &&
	    strcmp(err.msg, "cannot open: No such file or directory") == 0, "no input");
	struct in *in = in_open(dir, &err);
	ok(in != NULL && in_read(in, data, 10, &err) == -1 &&
	    strstr(err.msg, "cannot read: ") != NULL,
	    "a directory cannot be read");
	in_close(in);
}

static void
test_kill(void)
{
	int before, p[2], status;
	char c;
	pid_t pid;
	struct err err;

	save(in_dir("kept"), codecs[0], S("old"), 3, &err);
	before = files();
	if (pipe(p) == -1 || (pid = fork()) == -1)
		return;
	if (pid == 0) {
		struct out *out = out_open(in_dir("kept"), codecs[0], &err);

		if (out != NULL && out_write(out, data, sizeof(data), &err) == 0 &&
		    out_flush(out, &err) == 0)
			fd_write(p[1], "x", 1);
		pause();
		_exit(0);
	}
	close(p[1]);
	ok(read(p[0], &c, 1) == 1, "a writer is half through");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(p[0]);
	ok(holds(in_dir("kept"), S("old"), 10), "killed, the old file is whole");
	ok(files() <= before + 1, "and at most a temporary name is left");
}

static void
test_names(void)
{
	struct stat st;
	struct err err;
	int fd, status;
	pid_t pid;

	save(in_dir("mode"), codecs[0], S("1"), 1, &err);
	chmod(in_dir("mode"), 0640);
	ok(symlink("mode", in_dir("link")) == 0 &&
	    save(in_dir("link"), codecs[0], S("22"), 2, &err) == 0, "write through a link");
	ok(holds(in_dir("mode"), S("22"), 9) && lstat(in_dir("link"), &st) == 0 &&
	    S_ISLNK(st.st_mode), "the link stays, its file is new");
	ok(stat(in_dir("mode"), &st) == 0 && (st.st_mode & 0777) == 0640, "and keeps its mode");
	mkfifo(in_dir("fifo"), 0600);
	if ((pid = fork()) == 0)
		_exit(save(in_dir("fifo"), codecs[0], S("through"), 7, &err) != 0);
	ok(holds(in_dir("fifo"), S("through"), 100) && waitpid(pid, &status, 0) == pid &&
	    status == 0 && stat(in_dir("fifo"), &st) == 0 && S_ISFIFO(st.st_mode),
	    "a fifo stays one");
	fd = open(in_dir("mode"), O_RDONLY);
	lseek(fd, 1, SEEK_SET);
	struct in *in = in_fd(fd, &err);
	char c;
	ok(in_size(in) == 1 && in_read(in, &c, 1, &err) == 1 && in_pos(in) == 1,
	    "size and position count from where the descriptor was");
	in_close(in);
	close(fd);
}

static void
test_whole(void)
{
	struct arena a;
	struct err err;
	str s;
	char *z;

	arena_init(&a, 1 << 22, &err);
	save(in_dir("w"), codecs[2], (str){ data, 100000 }, 5000, &err);
	s = file_slurp(&a, in_dir("w"), 100000, &err);
	ok(s.n == 100000 && memcmp(s.p, data, 100000) == 0 && s.p[s.n] == '\0',
	    "file_slurp of just the limit");
	z = arena_alloc(&a, 1 << 20, 1, &err);
	for (int i = 0; z != NULL && i < 1 << 20; i++)
		if (z[i] != 0)
			z = NULL;
	ok(z != NULL, "the arena behind it is still zero");
	ok(file_slurp(&a, in_dir("w"), 99999, &err).p == NULL && err.code == ERR_LIMIT,
	    "and not above the limit");
	ok(file_slurp(&a, in_dir("zip"), 99, &err).p == NULL &&
	    strstr(err.msg, "/zip: cannot open: ") != NULL, "file_slurp names the file");
	ok(file_write(in_dir("w"), S("small"), &err) == 0 && file_map(in_dir("w"), &s, &err) == 0 &&
	    str_eq(s, S("small")), "file_write, file_map");
	file_unmap(s);
	ok(file_write(in_dir("w"), S(""), &err) == 0 && file_map(in_dir("w"), &s, &err) == 0 &&
	    s.n == 0, "an empty mapping");
	file_unmap(s);
	ok(file_map(dir, &s, &err) == -1 && file_map(in_dir("zip"), &s, &err) == -1, "no mapping");
	arena_free(&a);
}

static void
test_codec_names(void)
{
	static const struct {
		const char *name;
		int codec, level;	/* codec -1: an error */
	} t[] = {
		{ "none", CODEC_PLAIN, 0 }, { "gzip", CODEC_GZIP, 0 }, { "zstd", CODEC_ZSTD, 0 },
		{ "gzip:9", CODEC_GZIP, 9 }, { "zstd:19", CODEC_ZSTD, 19 },
		{ "zstd:-5", CODEC_ZSTD, -5 }, { "", -1, 0 }, { "gz", -1, 0 }, { "gzip:", -1, 0 },
		{ "gzip:0", -1, 0 }, { "gzip:10", -1, 0 }, { "gzip:-1", -1, 0 },
		{ "zstd:23", -1, 0 },
		{ "zstd:x", -1, 0 }, { "zstd:1x", -1, 0 }, { "none:1", -1, 0 },
		{ "zstd:99999999999", -1, 0 },
	};
	int bad = 0;

	for (int i = 0; i < (int)(sizeof(t) / sizeof(t[0])); i++) {
		struct codec_spec spec = { CODEC_PLAIN, 0 };
		struct err err;
		int rc = codec_parse(str_of(t[i].name), &spec, &err);
		int good = t[i].codec == -1 ? rc == -1 :
		    rc == 0 && (int)spec.codec == t[i].codec && spec.level == t[i].level;

		if (!good)
			printf("# codec_parse %s\n", t[i].name);
		bad += !good;
	}
	ok(bad == 0, "names of codecs");
}

/* The samples of the fuzz target: all good ones read, all bad ones fail. */
static void
test_samples(const char *path, int want)
{
	DIR *d = opendir(path);
	struct dirent *e;
	struct buf b = { 0 };
	int n = 0, bad = 0;
	char name[600];

	while (d != NULL && (e = readdir(d)) != NULL) {
		struct err err;
		struct in *in;

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		in = in_open(name, &err);
		if ((drain(in, &b, 1000, &err) >= 0) != want) {
			printf("# %s\n", name);
			bad++;
		}
		in_close(in);
		n++;
	}
	if (d != NULL)
		closedir(d);
	buf_free(&b);
	ok(n > 0 && bad == 0, path);
}

static void
test_patch(void)
{
	struct codec_spec plain = { CODEC_PLAIN, 0 };
	const char *path = in_dir("patched");
	const ptrdiff_t size = sizeof(data);
	struct err err;
	struct out *out = out_open(path, plain, &err);
	struct arena a;
	char name[40];
	str s;
	int fd[2];

	ok(out != NULL && out_write(out, data, size, &err) == 0 &&
	    out_patch(out, 4, "patch", 5, &err) == 0 && out_write(out, "end", 3, &err) == 0 &&
	    out_commit(out, &err) == 0 && arena_init(&a, 1 << 22, &err) == 0, "patch a file");
	s = file_slurp(&a, path, 1 << 21, &err);
	ok(s.n == size + 3 && memcmp(s.p, data, 4) == 0 && memcmp(s.p + 4, "patch", 5) == 0 &&
	    memcmp(s.p + 9, data + 9, (size_t)size - 9) == 0 && memcmp(s.p + size, "end", 3) == 0,
	    "the rest is as it was");
	arena_free(&a);
	unlink(path);
	if (pipe(fd) == -1)
		return;
	snprintf(name, sizeof(name), "/dev/fd/%d", fd[1]);
	out = out_open(name, plain, &err);
	ok(out != NULL && out_write(out, "abc", 3, &err) == 0 &&
	    out_patch(out, 0, "x", 1, &err) == -1 && err.code == ERR_IO &&
	    out_commit(out, &err) == -1, "but not a pipe");
	close(fd[0]);
	close(fd[1]);
}

/* A file without a name: from its first byte to the last read nothing is in the directory. */
static void
test_spill(void)
{
	const ptrdiff_t size = sizeof(data);
	const int before = files();
	struct buf b = { 0 };
	struct err err;
	struct in *in;
	char name[40];
	int fd = -1;
	struct out *out = out_spill(dir, &fd, &err);

	ok(out != NULL && out_write(out, data, size, &err) == 0 && files() == before &&
	    out_commit(out, &err) == 0 && files() == before, "a file that never has a name");
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	in = in_open(name, &err);
	ok(in != NULL && drain(in, &b, 5000, &err) == size && memcmp(b.p, data, (size_t)size) == 0,
	    "is read by its descriptor");
	in_close(in);
	buf_free(&b);
	close(fd);
	out = out_spill(in_dir("none"), &fd, &err);
	ok(out == NULL && err.code == ERR_IO, "not where there is no directory");
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	unsigned x = 1;
	char cmd[80];

	signal(SIGPIPE, SIG_IGN);
	snprintf(dir, sizeof(dir), "%.40s/t_stream.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		return 2;
	}
	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1103515245 + 12345;
		data[i] = i < sizeof(data) / 2 ? "the cat sat\n"[(x >> 16) % 12] : (char)(x >> 16);
	}
	test_round();
	test_members();
	test_damage();
	test_pipe();
	test_failure();
	test_kill();
	test_names();
	test_whole();
	test_codec_names();
	test_patch();
	test_spill();
	test_samples("tests/data/stream/good", 1);
	test_samples("tests/data/stream/bad", 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		return 2;
	return tap_done();
}
