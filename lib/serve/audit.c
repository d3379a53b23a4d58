#include "serve/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/progress.h"

#define PATIENCE	60	/* seconds from one warning to the next */

struct log {
	const char *path; /* NULL: none */
	int fd;
	pthread_mutex_t lock;
	int64_t lost, untold;
	double told; /* when; 0: never */
};

struct audit {
	struct audit_options o;
	struct log log, feedback;
};

/* ---- files ---- */

/* -1 when it is not to be had, or not fit for secrets. */
static int
open_file(const char *path, struct stat *st, struct err *err)
{
	/* O_NONBLOCK: a FIFO is refused, not waited for. */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK, 0600);

	if (fd < 0)
		return err_sys(err, "%s: cannot open", path);
	if (fstat(fd, st) < 0)
		err_sys(err, "%s", path);
	else if (!S_ISREG(st->st_mode))
		err_set(err, ERR_ARG, "%s: not a plain file", path);
	else if ((st->st_mode & 077) != 0)
		err_set(err, ERR_ARG, "%s: others may use this file (mode %03o): chmod 600 %s",
		    path, (unsigned)st->st_mode & 0777, path);
	else
		return fd;
	close(fd);
	return -1;
}

/* Open l's file for the first time or anew; when that is the same file, all stays. */
static int
log_open(struct log *l, struct err *err)
{
	struct stat new, old;
	int fd, was;

	if (l->path == NULL)
		return 0;
	if ((fd = open_file(l->path, &new, err)) < 0)
		return -1;
	if (l->fd >= 0 && fstat(l->fd, &old) == 0 && old.st_dev == new.st_dev &&
	    old.st_ino == new.st_ino) {
		close(fd);
		return 0;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			err_set(err, ERR_ARG, "%s: another process writes to it", l->path);
		else
			err_sys(err, "%s: cannot lock", l->path);
		close(fd);
		return -1;
	}
	pthread_mutex_lock(&l->lock);
	was = l->fd;
	l->fd = fd;
	pthread_mutex_unlock(&l->lock);
	if (was >= 0)
		close(was);
	return 0;
}

static void
log_close(struct log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	pthread_mutex_destroy(&l->lock);
}

/* One write.  Return 0 or an errno, and nothing of the line is left. */
static int
append(int fd, str line)
{
	struct stat st;
	ssize_t n;
	int e;

	if (fstat(fd, &st) < 0)
		return errno;
	do
		n = write(fd, line.p, (size_t)line.n);
	while (n < 0 && errno == EINTR);
	if (n == line.n)
		return 0;
	e = n < 0 ? errno : ENOSPC;
	if (n > 0 && ftruncate(fd, st.st_size) < 0)
		return errno;
	return e;
}

static void
log_line(struct audit *a, struct log *l, const struct buf *line)
{
	char message[512] = "";
	int e;

	pthread_mutex_lock(&l->lock);
	e = line->failed ? ENOMEM : append(l->fd, buf_str(line));
	if (e != 0) {
		double now = progress_now();

		l->lost++;
		l->untold++;
		if (l->told == 0 || now - l->told >= PATIENCE) {
			snprintf(message, sizeof(message), "%s: %lld lines lost: %s", l->path,
			    (long long)l->untold, strerror(e));
			l->untold = 0;
			l->told = now;
		}
	}
	pthread_mutex_unlock(&l->lock);
	if (e != 0 && a->o.metrics != NULL)
		metrics_add(a->o.metrics, METRIC_AUDIT_LOST, 1);
	if (message[0] != '\0' && a->o.warn != NULL)
		a->o.warn(a->o.ctx, message);
}

/* ---- lines ---- */

static void
put_time(struct buf *b)
{
	struct timespec t;
	struct tm tm;
	char day[32];

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_fmt(b, "{\"time\":\"%s.%03dZ\"", day, (int)(t.tv_nsec / 1000000));
}

static void
put_string(struct buf *b, const char *key, str value)
{
	if (value.p == NULL)
		return;
	buf_fmt(b, ",\"%s\":", key);
	json_quote(b, value);
}

/* A text without its personal data. */
static void
put_text(struct buf *b, const char *key, const struct pii_rules *rules, str text)
{
	struct buf clean = { 0 };

	if (text.n > AUDIT_TEXT) {
		text.n = AUDIT_TEXT;
		while (((unsigned char)text.p[text.n] & 0xc0) == 0x80 && text.n > AUDIT_TEXT - 3)
			text.n--;
	}
	if (text.p != NULL && rules->kinds != 0) {
		pii_hide(rules, text, &clean);
		b->failed |= clean.failed;
		text = buf_str(&clean);
	}
	put_string(b, key, text);
	buf_free(&clean);
}

static void
put_count(struct buf *b, const char *key, int64_t n)
{
	if (n >= 0)
		buf_fmt(b, ",\"%s\":%lld", key, (long long)n);
}

static void
put_real(struct buf *b, const char *key, double x)
{
	if (isfinite(x))
		buf_fmt(b, ",\"%s\":%.6g", key, x);
}

static void
put_entry(struct buf *b, const struct audit *a, const struct audit_entry *e)
{
	put_string(b, "id", e->id);
	put_string(b, "key", e->key);
	put_string(b, "peer", e->peer);
	put_string(b, "route", e->route);
	put_string(b, "model", e->model);
	put_string(b, "adapter", e->adapter);
	put_count(b, "status", e->status);
	put_text(b, "prompt", &a->o.pii, e->prompt);
	put_text(b, "answer", &a->o.pii, e->answer);
	put_count(b, "prompt_tokens", e->prompt_tokens);
	put_count(b, "cached_tokens", e->cached_tokens);
	put_count(b, "tokens", e->tokens);
	put_real(b, "first_token_seconds", e->first);
	put_real(b, "seconds", e->seconds);
	put_string(b, "end", e->end);
	put_real(b, "mean_logprob", e->logp);
	if (e->guard.p != NULL) {
		buf_add(b, S(",\"guard\":"));
		buf_add(b, e->guard);
	}
	buf_add(b, S("}\n"));
}

/* ---- for a server ---- */

struct audit *
audit_open(const struct audit_options *o, struct err *err)
{
	struct audit *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	a->o = *o;
	a->log = (struct log){ .path = o->log, .fd = -1 };
	a->feedback = (struct log){ .path = o->feedback, .fd = -1 };
	pthread_mutex_init(&a->log.lock, NULL);
	pthread_mutex_init(&a->feedback.lock, NULL);
	if (audit_reopen(a, err) < 0) {
		audit_close(a);
		return NULL;
	}
	return a;
}

int
audit_reopen(struct audit *a, struct err *err)
{
	int first = log_open(&a->log, err);

	return log_open(&a->feedback, err) < 0 ? -1 : first;
}

void
audit_write(struct audit *a, const struct audit_entry *e)
{
	bool unsure = a->feedback.path != NULL && e->logp < a->o.unsure;
	struct buf line = { 0 }, rest = { 0 };

	if (a->log.path == NULL && !unsure)
		return;
	put_time(&line);
	put_entry(&rest, a, e);
	if (unsure) {
		struct buf told = { 0 };

		buf_add(&told, buf_str(&line));
		buf_add(&told, S(",\"why\":\"unsure\""));
		buf_add(&told, buf_str(&rest));
		told.failed |= line.failed | rest.failed;
		log_line(a, &a->feedback, &told);
		buf_free(&told);
	}
	buf_add(&line, buf_str(&rest));
	line.failed |= rest.failed;
	if (a->log.path != NULL)
		log_line(a, &a->log, &line);
	buf_free(&line);
	buf_free(&rest);
}

bool
audit_rate(struct audit *a, const struct audit_rating *r)
{
	struct buf line = { 0 };

	if (a->feedback.path == NULL)
		return false;
	put_time(&line);
	buf_add(&line, S(",\"why\":\"rating\""));
	put_string(&line, "id", r->id);
	put_string(&line, "key", r->key);
	put_string(&line, "peer", r->peer);
	put_real(&line, "rating", r->rating);
	put_text(&line, "comment", &a->o.pii, r->comment);
	put_text(&line, "better", &a->o.pii, r->better);
	buf_add(&line, S("}\n"));
	log_line(a, &a->feedback, &line);
	buf_free(&line);
	return true;
}

int64_t
audit_lost(struct audit *a)
{
	int64_t n;

	pthread_mutex_lock(&a->log.lock);
	n = a->log.lost;
	pthread_mutex_unlock(&a->log.lock);
	pthread_mutex_lock(&a->feedback.lock);
	n += a->feedback.lost;
	pthread_mutex_unlock(&a->feedback.lock);
	return n;
}

void
audit_close(struct audit *a)
{
	if (a == NULL)
		return;
	log_close(&a->log);
	log_close(&a->feedback);
	free(a);
}
