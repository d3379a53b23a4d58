/*
 * The audit log and the feedback file: what is in a line, who may read it, and disks that are
 * full (a limit to the file's size stands for one)
 */
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/stream.h"
#include "serve/audit.h"

#include "../tap.h"

static struct err err;
static char dir[] = "/tmp/t_audit.XXXXXX";
static char log_path[64], feedback_path[64], old_path[64];

static struct audit_entry
entry(void)
{
	return (struct audit_entry){ .id = S("chatcmpl-1"), .key = S("alice"), .peer = S("127.0.0.1"),
		.route = S("/v1/chat/completions"), .model = S("base"),
		.prompt = S("I am jane@acme.com\n\xff"), .answer = S("Call +1 415 867 5309 \"now\""),
		.status = 200, .prompt_tokens = 12, .cached_tokens = 4, .tokens = 7, .first = .25,
		.seconds = 1.5, .end = S("stop"), .logp = -.5,
		.guard = S("[{\"rule\":\"pii\",\"count\":1}]") };
}

/* The lines of a file as an array; NULL when one is none. */
static json_t *
lines(const char *path)
{
	struct arena a = { 0 };
	json_t *all = json_array();
	str file;

	arena_init(&a, 64 << 20, &err);
	file = file_slurp(&a, path, 32 << 20, &err);
	while (file.p != NULL && file.n > 0) {
		str line = str_cut(&file, '\n');
		json_t *x = json_loadb(line.p, (size_t)line.n, 0, NULL);

		if (x == NULL || file.p == NULL) {
			printf("# '%.*s'\n", STR_ARG(line));
			json_decref(all);
			all = NULL;
			break;
		}
		json_array_append_new(all, x);
	}
	arena_free(&a);
	return all;
}

static const char *
text_of(const json_t *all, size_t i, const char *key)
{
	const char *s = json_string_value(json_object_get(json_array_get(all, i), key));

	return s == NULL ? "" : s;
}

static struct audit_options
options(void)
{
	return (struct audit_options){ .log = log_path, .feedback = feedback_path,
		.pii = { .kinds = ~0u, .local = true }, .unsure = -1 };
}

static void
test_lines(void)
{
	struct audit_options o = options();
	struct audit *a = audit_open(&o, &err);
	struct audit_entry e = entry();
	json_t *all, *x;
	struct stat st;

	ok(a != NULL && stat(log_path, &st) == 0 && (st.st_mode & 07777) == 0600 &&
	    stat(feedback_path, &st) == 0 && (st.st_mode & 07777) == 0600, "files are made with mode 0600");
	if (a == NULL) {
		printf("# %s\n", err.msg);
		return;
	}
	audit_write(a, &e);
	e = (struct audit_entry){ .id = S("2"), .status = 429, .prompt_tokens = -1, .cached_tokens = -1,
		.tokens = -1, .first = NAN, .seconds = .125, .logp = NAN };
	audit_write(a, &e);
	e = entry();
	e.logp = -1.5;
	audit_write(a, &e);
	ok(audit_rate(a, &(struct audit_rating){ .id = S("chatcmpl-1"), .key = S("bob"), .rating = -1,
	    .comment = S("ask joe@acme.com"), .better = { NULL, 0 } }), "a rating is taken");
	all = lines(log_path);
	x = json_array_get(all, 0);
	ok(json_array_size(all) == 3 && json_object_size(x) == 17, "a line a request");
	ok(strcmp(text_of(all, 0, "prompt"), "I am <EMAIL>\n\xef\xbf\xbd") == 0 &&
	    strcmp(text_of(all, 0, "answer"), "Call <PHONE> \"now\"") == 0, "personal data is hidden");
	ok(strlen(text_of(all, 0, "time")) == 24 && strcmp(text_of(all, 0, "key"), "alice") == 0 &&
	    strcmp(text_of(all, 0, "route"), "/v1/chat/completions") == 0 &&
	    json_integer_value(json_object_get(x, "cached_tokens")) == 4 &&
	    json_number_value(json_object_get(x, "first_token_seconds")) == .25 &&
	    json_number_value(json_object_get(x, "mean_logprob")) == -.5 &&
	    json_array_size(json_object_get(x, "guard")) == 1, "and all else is there");
	ok(json_object_size(json_array_get(all, 1)) == 4 &&
	    json_integer_value(json_object_get(json_array_get(all, 1), "status")) == 429,
	    "what is not known has no key");
	json_decref(all);
	all = lines(feedback_path);
	ok(json_array_size(all) == 2 && strcmp(text_of(all, 0, "why"), "unsure") == 0 &&
	    strcmp(text_of(all, 0, "answer"), "Call <PHONE> \"now\"") == 0,
	    "an answer of low probability is feedback too");
	ok(strcmp(text_of(all, 1, "why"), "rating") == 0 &&
	    strcmp(text_of(all, 1, "comment"), "ask <EMAIL>") == 0 &&
	    json_number_value(json_object_get(json_array_get(all, 1), "rating")) == -1, "as is a rating");
	json_decref(all);
	audit_close(a);
	a = audit_open(&o, &err);
	e = entry();
	audit_write(a, &e);
	all = lines(log_path);
	ok(json_array_size(all) == 4, "a server that starts again appends");
	json_decref(all);
	audit_close(a);
}

static void
test_reopen(void)
{
	struct audit_options o = options();
	struct audit *a = audit_open(&o, &err), *b;
	struct audit_entry e = entry();
	json_t *all;

	b = audit_open(&o, &err);
	ok(b == NULL && strstr(err.msg, "another process") != NULL, "a log has one writer");
	ok(audit_reopen(a, &err) == 0, "opened again, the same file goes on");
	rename(log_path, old_path);
	audit_write(a, &e);
	ok(audit_reopen(a, &err) == 0, "one that was moved away is made anew");
	audit_write(a, &e);
	all = lines(log_path);
	ok(json_array_size(all) == 1, "and written to");
	json_decref(all);
	all = lines(old_path);
	ok(json_array_size(all) == 5, "with nothing lost");
	json_decref(all);
	unlink(log_path);
	mkdir(log_path, 0700);
	ok(audit_reopen(a, &err) < 0 && strstr(err.msg, log_path) != NULL, "a reopen that fails is told");
	audit_write(a, &e);
	ok(audit_lost(a) == 0, "and the old file is written to");
	rmdir(log_path);
	audit_close(a);
}

static void
test_refused(void)
{
	struct audit_options o = options();
	struct audit *a;

	close(open(log_path, O_CREAT | O_WRONLY, 0600));
	chmod(log_path, 0644);
	ok(audit_open(&o, &err) == NULL && strstr(err.msg, "chmod 600") != NULL,
	    "a file that others can read is refused");
	unlink(log_path);
	mkfifo(log_path, 0600);
	ok(audit_open(&o, &err) == NULL, "a FIFO is, and is not waited for");
	unlink(log_path);
	o.log = "/nowhere/log";
	ok(audit_open(&o, &err) == NULL && strstr(err.msg, "/nowhere/log: cannot open") != NULL, "no directory");
	o.log = NULL;
	o.feedback = NULL;
	a = audit_open(&o, &err);
	ok(a != NULL && !audit_rate(a, &(struct audit_rating){ 0 }), "no files at all");
	audit_close(a);
}

static int told;
static char said[512];

static void
warn(void *ctx, const char *message)
{
	(void)ctx;
	told++;
	snprintf(said, sizeof(said), "%s", message);
}

/* Run by a child, whose files cannot grow. */
static int
full_disk(void)
{
	struct audit_options o = options();
	struct audit *a;
	struct audit_entry e = entry();
	struct rlimit few = { 2500, 2500 };
	json_t *all;
	int bad = 0;

	unlink(log_path);
	o.metrics = metrics_new("1", "m", "cpu", &err);
	o.warn = warn;
	signal(SIGXFSZ, SIG_IGN);
	a = audit_open(&o, &err);
	setrlimit(RLIMIT_FSIZE, &few);
	for (int i = 0; i < 20; i++)
		audit_write(a, &e);
	all = lines(log_path);
	bad += all == NULL || json_array_size(all) < 2 || json_array_size(all) + (size_t)audit_lost(a) != 20;
	bad += told != 1 || strstr(said, log_path) == NULL || strstr(said, "1 lines lost") == NULL;
	json_decref(all);
	audit_close(a);
	metrics_free(o.metrics);
	return bad;
}

static void
test_full(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0)
		_exit(full_disk());
	waitpid(pid, &status, 0);
	ok(status == 0, "a full disk is told once, counted, and leaves no part of a line");
}

static void *
worker(void *ctx)
{
	struct audit_entry e = entry();

	for (int i = 0; i < 500; i++)
		audit_write(ctx, &e);
	return NULL;
}

static void
test_threads(void)
{
	struct audit_options o = options();
	struct audit *a;
	pthread_t t[4];
	size_t n = 0;
	json_t *all;

	unlink(log_path);
	a = audit_open(&o, &err);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, worker, a);
	for (int i = 0; i < 20; i++) {
		unlink(old_path);
		rename(log_path, old_path);
		audit_reopen(a, &err);
		usleep(1000);
		all = lines(old_path);
		n += json_array_size(all);
		json_decref(all);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	all = lines(log_path);
	n += json_array_size(all);
	ok(all != NULL && n == 2000 && audit_lost(a) == 0, "four threads and twenty rotations lose no line");
	json_decref(all);
	audit_close(a);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 2;
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(feedback_path, sizeof(feedback_path), "%s/feedback", dir);
	snprintf(old_path, sizeof(old_path), "%s/log.1", dir);
	test_lines();
	test_reopen();
	test_refused();
	test_full();
	test_threads();
	unlink(log_path);
	unlink(feedback_path);
	unlink(old_path);
	rmdir(dir);
	return tap_done();
}
