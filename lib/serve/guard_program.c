#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/progress.h"
#include "serve/guard_impl.h"

#define PIECE	65536
#define GRACE	1.0	/* seconds to end in, once its input is closed */
#define REPLY	(6 * GUARD_TEXT + 4096) /* bytes of a line: a character may be \u0000 */

extern char **environ;

struct guard_program *
guard_program_new(const str *word, int n, struct err *err)
{
	size_t bytes = ((size_t)n + 1) * sizeof(char *);
	struct guard_program *p = calloc(1, sizeof(*p));
	char *at;

	for (int i = 0; i < n; i++)
		bytes += (size_t)word[i].n + 1;
	if (p == NULL || (p->argv = calloc(1, bytes)) == NULL) {
		free(p);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	at = (char *)(p->argv + n + 1);
	for (int i = 0; i < n; i++) {
		p->argv[i] = at;
		memcpy(at, word[i].p, (size_t)word[i].n);
		at += word[i].n + 1;
	}
	p->fd = -1;
	p->line.limit = REPLY;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

/* ---- the process ---- */

/* In a group of its own, with signals as at first, and no descriptors of ours but its own. */
static int
spawn(char **argv, int fd, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int e = posix_spawn_file_actions_init(&files);

	if (e != 0)
		return e;
	if ((e = posix_spawnattr_init(&attr)) != 0) {
		posix_spawn_file_actions_destroy(&files);
		return e;
	}
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	if ((e = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
	    POSIX_SPAWN_SETPGROUP)) == 0 &&
	    (e = posix_spawn_file_actions_adddup2(&files, fd, STDIN_FILENO)) == 0 &&
	    (e = posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO)) == 0)
		e = posix_spawnp(pid, argv[0], &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return e;
}

int
guard_program_start(struct guard_program *p, struct err *err)
{
	int fd[2], e;

	/* A socket: writing to a program that died is an error there, and no signal. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return err_sys(err, "%s", p->argv[0]);
	e = spawn(p->argv, fd[1], &p->pid);
	close(fd[1]);
	if (e != 0) {
		close(fd[0]);
		p->pid = 0;
		errno = e;
		return err_sys(err, "%s: cannot be run", p->argv[0]);
	}
	p->fd = fd[0];
	return 0;
}

/* End it: now, or once it has had time to see that its input is closed. */
static void
stop(struct guard_program *p, double grace)
{
	double until = progress_now() + grace;
	struct timespec pause = { .tv_nsec = 5000000 };
	pid_t got = 0;

	if (p->pid == 0)
		return;
	close(p->fd);
	while ((got = waitpid(p->pid, NULL, WNOHANG)) == 0 && progress_now() < until)
		nanosleep(&pause, NULL);
	kill(-p->pid, SIGKILL);
	while (got == 0 && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	p->fd = -1;
	p->pid = 0;
}

void
guard_program_free(struct guard_program *p)
{
	if (p == NULL)
		return;
	stop(p, GRACE);
	pthread_mutex_destroy(&p->lock);
	buf_free(&p->line);
	free(p->argv);
	free(p);
}

/* ---- a question and its answer ---- */

/* Wait for what is asked for.  Return what is ready, or -1. */
static int
wait_for(const struct guard_program *p, short events, double until, struct err *err)
{
	struct pollfd f = { .fd = p->fd, .events = events };

	for (;;) {
		double left = until - progress_now();
		int n = left <= 0 ? 0 : poll(&f, 1, (int)(left * 1000) + 1);

		if (n > 0)
			return f.revents;
		if (n == 0)
			return err_set(err, ERR_LIMIT, "%s: no answer in %g seconds", p->argv[0],
			    p->timeout);
		if (errno != EINTR)
			return err_sys(err, "%s", p->argv[0]);
	}
}

/* Send the line and read one, at once: a program may answer while it still reads. */
static int
talk(struct guard_program *p, str line, double until, struct buf *reply, struct err *err)
{
	while (reply->n == 0 || reply->p[reply->n - 1] != '\n') {
		int ready = wait_for(p, line.n > 0 ? POLLIN | POLLOUT : POLLIN, until, err);
		ssize_t n;

		if (ready < 0)
			return -1;
		if ((ready & POLLOUT) != 0) {
			n = send(p->fd, line.p, (size_t)line.n, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n > 0)
				line = (str){ line.p + n, line.n - n };
			else if (errno != EAGAIN && errno != EINTR)
				return err_sys(err, "%s: cannot be asked", p->argv[0]);
		}
		if ((ready & (POLLIN | POLLHUP | POLLERR)) != 0) {
			char *at = buf_room(reply, PIECE);

			if (at == NULL)
				return buf_ok(reply, err);
			n = recv(p->fd, at, PIECE, MSG_DONTWAIT);
			if (n == 0)
				return err_set(err, ERR_IO, "%s: has ended", p->argv[0]);
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				return err_sys(err, "%s: no answer", p->argv[0]);
			reply->n += n > 0 ? n : 0;
		}
	}
	return line.n == 0 ? 0 :
	    err_set(err, ERR_FORMAT, "%s: answers before it is asked", p->argv[0]);
}

static int
read_answer(const struct guard_program *p, str reply, struct buf *out, struct err *err)
{
	const str key[] = { S("action"), S("text") };
	struct json_member m[2];
	struct err why;
	str action;

	if (memchr(reply.p, '\n', (size_t)reply.n - 1) != NULL)
		return err_set(err, ERR_FORMAT, "%s: more than one line", p->argv[0]);
	if (json_scan((str){ reply.p, reply.n - 1 }, key, 2, m, &why) < 0)
		return err_set(err, ERR_FORMAT, "%s: %s", p->argv[0], why.msg);
	action = m[0].value;
	if (action.p != NULL && str_eq(action, S("\"pass\"")))
		return GUARD_PASS;
	if (action.p != NULL && str_eq(action, S("\"block\"")))
		return GUARD_STOP;
	if (action.p != NULL && str_eq(action, S("\"replace\"")) && m[1].value.p != NULL) {
		str text;

		if (json_text(m[1].value, out, &text, err) < 0)
			return err_wrap(err, "%s", p->argv[0]);
		if (text.p != out->p)
			buf_add(out, text);
		return buf_ok(out, err) < 0 ? -1 : GUARD_REPLACE;
	}
	return err_set(err, ERR_FORMAT, "%s: no action pass, block, or replace with a text",
	    p->argv[0]);
}

static int
ask(struct guard_program *p, enum guard_side side, str text, double until, struct buf *out,
    struct err *err)
{
	struct buf reply = { .limit = REPLY };
	int ret = -1;

	buf_reset(&p->line);
	buf_fmt(&p->line, "{\"side\":\"%s\",\"text\":",
	    side == GUARD_REQUEST ? "request" : "response");
	json_quote(&p->line, text);
	buf_add(&p->line, S("}\n"));
	if (buf_ok(&p->line, err) == 0 && (p->pid != 0 || guard_program_start(p, err) == 0) &&
	    talk(p, buf_str(&p->line), until, &reply, err) == 0)
		ret = read_answer(p, buf_str(&reply), out, err);
	buf_free(&reply);
	return ret;
}

int
guard_program_ask(struct guard_program *p, enum guard_side side, str text, struct buf *out,
    struct err *err)
{
	double until = progress_now() + p->timeout;
	struct timespec t;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)p->timeout;
	t.tv_nsec += (long)((p->timeout - (double)(time_t)p->timeout) * 1e9);
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	if (pthread_mutex_clocklock(&p->lock, CLOCK_MONOTONIC, &t) != 0)
		return err_set(err, ERR_LIMIT, "%s: others ask it for more than %g seconds",
		    p->argv[0], p->timeout);
	ret = ask(p, side, text, until, out, err);
	/* What it says next could be the answer to this: it begins anew. */
	if (ret < 0)
		stop(p, 0);
	pthread_mutex_unlock(&p->lock);
	return ret;
}
