/*
 * llm-serve - answer over HTTP with models
 *
 * One thread speaks HTTP, one runs the engine, whose kernels have the others.
 * All texts that are asked for are written together, a token of each a step, and
 * a client that goes away stops its own at once.  Memory: the weights, a cache of
 * keys and values of a stated size, and what answers are not yet read.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/stream.h"
#include "serve/listen.h"
#include "serve/server.h"
#include "tool/cache.h"
#include "tool/models.h"
#include "tool/texts.h"

enum { NAMES = 16, GUESSES = 8 };

struct serve {
	struct models_opts models;
	const char	*host, *socket, *port_file, *device, *cors, *key_file, *new_key;
	const char	*names[NAMES + 1];
	struct audit_options audit_to;
	const char	*hidden, *rules, *work;
	int64_t		 keep_answers, spill, spill_disk;
	double		 keep_for;
	int64_t		 port, context, parallel, cache, pass, waiting, connections, body, threads;
	int64_t		 memory;
	double		 unload_after;
	int64_t		 count, seed, lookup;
	double		 patience, grace;
	bool		 no_auth, quiet, verbose, dry_run;
	atomic_bool	 failed;
	struct texts_opts how;
	struct cache_opts kept;
	/* what is open */
	struct arena	 arena;
	struct team	*team;
	struct served	*served[MODELS_MAX];
	struct server	*server;
};

#define AT(field) offsetof(struct serve, field)

static int
add_name(void *into, const char *arg, struct err *err)
{
	const char **name = into;
	int n = 0;

	while (name[n] != NULL)
		n++;
	if (n == NAMES)
		return err_set(err, ERR_ARG, "more than %d", NAMES);
	name[n] = arg;
	return 0;
}

static const struct opt opts[] = {
	MODELS_OPTIONS(struct serve, models),
	{ 0, "host", OPT_STR, AT(host), "HOST", "address to listen on (127.0.0.1)" },
	{ 0, "port", OPT_I64, AT(port), "N", "port, 0: a free one (8080)", .min = 0, .max = 65535 },
	{ 0, "socket", OPT_STR, AT(socket), "FILE", "listen on this Unix socket instead" },
	{ 0, "port-file", OPT_STR, AT(port_file), "FILE", "write the port there once it listens" },
	{ 0, "context", OPT_I64, AT(context), "N",
	    "tokens of a prompt and its answer (the model's)", .min = 16, .max = 1e9 },
	{ 0, "parallel", OPT_I64, AT(parallel), "N", "texts at once (16)", .min = 1, .max = 1024 },
	{ 0, "cache", OPT_I64, AT(cache), "N", "tokens of the cache of each model",
	    .min = 16, .max = 1e12 },
	CACHE_OPTIONS(struct serve, kept),
	{ 0, "memory", OPT_BYTES, AT(memory), "SIZE",
	    "load models when they are asked for, and keep as many as go in here", .min = 1,
	    .max = 1e15 },
	{ 0, "unload-after", OPT_TIME, AT(unload_after), "TIME",
	    "unload a model that was idle for so long", .min = 0.001, .max = 1e9 },
	{ 0, "spill", OPT_BYTES, AT(spill), "SIZE",
	    "memory for what each model's cache has no room for", .min = 0, .max = 1e15 },
	{ 0, "spill-disk", OPT_BYTES, AT(spill_disk), "SIZE",
	    "and a file for what that has no room for", .min = 0, .max = 1e15 },
	{ 0, "work", OPT_STR, AT(work), "DIR", "directory of that file ($TMPDIR or /tmp)" },
	{ 0, "pass", OPT_I64, AT(pass), "N", "tokens computed at once (512)", .min = 16,
	    .max = 65536 },
	{ 0, "lookup", OPT_I64, AT(lookup), "N",
	    "guess up to N tokens of a text, where it has no draft from its own", .min = 0,
	    .max = DRAFT_MAX },
	{ 0, "waiting", OPT_I64, AT(waiting), "N", "requests that may wait (256)", .min = 1,
	    .max = 1e6 },
	{ 'n', "count", OPT_I64, AT(count), "N", "most tokens of a request that does not say",
	    .min = 1, .max = 1e9 },
	SAMPLING_OPTIONS(struct serve, how),
	{ 's', "seed", OPT_I64, AT(seed), "N", "seed of requests without one (a new one each)",
	    .min = 0, .max = 9e18 },
	{ 0, "api-key-file", OPT_STR, AT(key_file), "FILE", "keys of those who may ask" },
	{ 0, "new-key", OPT_STR, AT(new_key), "NAME", "add a key to that file, print it, and end" },
	{ 0, "no-auth", OPT_FLAG, AT(no_auth), .help = "listen for others without keys" },
	{ 0, "allow-host", OPT_CALL, AT(names), "NAME", "another name of this server",
	    .call = add_name },
	{ 0, "cors", OPT_STR, AT(cors), "ORIGIN", "pages from there may ask; *: all" },
	{ 0, "guard", OPT_STR, AT(rules), "FILE", "rules for what goes in and comes out" },
	{ 0, "keep-answers", OPT_BYTES, AT(keep_answers), "SIZE",
	    "give the same answer to the same request, from so much memory", .min = 0,
	    .max = 1e15 },
	{ 0, "keep-for", OPT_TIME, AT(keep_for), "TIME", "no longer than this (1h)", .min = 1,
	    .max = 1e9 },
	{ 0, "audit", OPT_STR, AT(audit_to.log), "FILE", "append a line of JSON for each answer" },
	{ 0, "feedback", OPT_STR, AT(audit_to.feedback), "FILE",
	    "append answers that the model is unsure of, and what users say of answers" },
	{ 0, "unsure", OPT_F64, AT(audit_to.unsure), "LOGP",
	    "mean log-probability below which an answer is unsure (-1)", .min = -1e9, .max = 0 },
	{ 0, "audit-redact", OPT_STR, AT(hidden), "KINDS",
	    "personal data hidden in both files, as -r of llm-redact (all)" },
	{ 0, "connections", OPT_I64, AT(connections), "N", "at once (4096)", .min = 1, .max = 1e6 },
	{ 0, "body", OPT_BYTES, AT(body), "SIZE", "largest request (16M)", .min = 1024,
	    .max = 1e9 },
	{ 0, "patience", OPT_TIME, AT(patience), "TIME",
	    "for a request to come, and for a reader that takes nothing (60s)", .min = 1,
	    .max = 86400 },
	{ 0, "grace", OPT_TIME, AT(grace), "TIME", "for what runs, when asked to end (30s)",
	    .min = 0, .max = 86400 },
	{ 0, "dry-run", OPT_FLAG, AT(dry_run), .help = "tell what it would take, and end" },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cuda ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)", .min = 1,
	    .max = TEAM_MAX },
	{ 'q', "quiet", OPT_FLAG, AT(quiet), .help = "say nothing but errors" },
	{ 'v', "verbose", OPT_FLAG, AT(verbose), .help = "tell of each request" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-serve", .synopsis = "-m [NAME=]PATH ...",
	.summary = "answer over HTTP with models", .opts = opts,
};

/* "NAME", or "NAME SETTING ...": its line goes to the file, the key to the standard output. */
static int
make_key(const struct serve *s)
{
	struct buf secret = { 0 };
	struct err err;

	if (s->key_file == NULL)
		tool_usage("--new-key: no --api-key-file to add it to");
	if (keys_add(s->key_file, str_of(s->new_key), &secret, &err) < 0)
		tool_fail("--new-key", &err);
	printf("%.*s\n", STR_ARG(buf_str(&secret)));
	buf_free(&secret);
	return tool_finish(0);
}

/* ---- begin ---- */

static void
spill_failed(void *ctx, const struct err *err)
{
	(void)ctx;
	tool_warn("%s; what is lost is computed again", err->msg);
}

static void
open_models(struct serve *s)
{
	struct served_options o = { .context = s->context, .parallel = s->parallel,
	    .cache = s->cache, .pass = s->pass, .kv = s->kept.kv,
	    .lookup = s->lookup, .device = tool_device(s->device), .spill = s->spill,
	    .spill_disk = s->spill_disk, .spill_dir = tool_work(s->work),
	    .warn = spill_failed };
	struct dev *dev;
	struct err err;

	/* Each model has a device of its own; is there one? */
	if ((s->team = team_new(tool_threads(s->threads, 0), &err)) == NULL ||
	    (dev = dev_open(o.device, s->team, 0, &err)) == NULL ||
	    arena_init(&s->arena, (ptrdiff_t)1 << 24, &err) < 0)
		tool_fail(NULL, &err);
	dev_close(dev);
	o.team = s->team;
	for (int i = 0; i < s->models.n; i++) {
		const struct models_one *m = &s->models.one[i];

		o.vectors = m->vectors;
		o.adapter = m->adapter;
		o.n_adapters = m->adapters;
		o.draft = m->draft;
		o.lookup = m->draft != NULL && s->lookup == 0 ? GUESSES : s->lookup;
		if ((s->served[i] = served_open(m->name, m->path, &o, &err)) == NULL)
			tool_fail(NULL, &err);
		if (m->vectors)
			continue;
		texts_request(&s->how, s->served[i]->tok, &s->arena, &s->served[i]->defaults);
		if (s->spill + s->spill_disk > 0 && s->served[i]->size.spilled.memory == 0)
			tool_warn("%s: its cache is not spilled, for it has states", m->name);
	}
}

/* As many connections as the system has files for. */
static void
limit_connections(struct serve *s)
{
	int64_t most = listener_room(s->connections);

	if (most < s->connections)
		tool_warn("%lld connections at once, for there may not be more open files",
		    (long long)most);
	s->connections = most;
}

static void
device_failed(void *ctx, const struct err *err)
{
	struct serve *s = ctx;

	tool_warn("%s", err->msg);
	atomic_store(&s->failed, true);
	kill(getpid(), SIGTERM);
}

static void
log_line(void *ctx, const char *line)
{
	(void)ctx;
	tool_warn("%s", line);
}

static void
open_server(struct serve *s)
{
	struct server_options o = { .key_file = s->key_file, .rules = s->rules,
	    .keep_answers = s->keep_answers, .keep_for = s->keep_for,
	    .device = tool_device(s->device), .audit = s->audit_to, .failed = device_failed,
	    .ctx = s,
	    .house = { .memory = s->memory, .unload_after = s->unload_after,
		.log = s->verbose ? log_line : NULL, .warn = log_line },
	    .http = { .host = s->host, .port = (int)s->port, .path = s->socket,
		.connections = s->connections, .body = s->body, .patience = s->patience },
	    .api = { .model = s->served, .n_models = s->models.n, .host = s->host,
		.seeded = tool_given("seed"), .names = s->names, .cors = s->cors,
		.waiting = s->waiting, .count = s->count,
		.log = s->verbose ? log_line : NULL,
		.local = s->socket == NULL && listener_is_local(s->host) } };
	struct err err;
	char port[16];

	o.audit.warn = log_line;
	if (strcmp(s->hidden, "none") != 0 &&
	    pii_select(&o.audit.pii, str_of(s->hidden), &err) < 0)
		tool_fail("--audit-redact", &err);
	if ((s->server = server_open(&o, &err)) == NULL)
		tool_fail(NULL, &err);
	snprintf(port, sizeof(port), "%d\n", server_port(s->server));
	if (s->port_file != NULL && file_write(s->port_file, str_of(port), &err) < 0)
		tool_fail(NULL, &err);
	if (!s->quiet && s->socket != NULL)
		tool_warn("listening on %s", s->socket);
	else if (!s->quiet)
		tool_warn(strchr(s->host, ':') != NULL ? "listening on http://[%s]:%.*s" :
		    "listening on http://%s:%.*s", s->host, (int)strlen(port) - 1, port);
}

static int
describe(const struct serve *s)
{
	struct buf b = { 0 };
	struct err err;

	for (int i = 0; i < s->models.n; i++)
		if (served_describe(s->served[i], &b, &err) < 0)
			tool_fail(s->models.one[i].name, &err);
	if (house_describe(s->served, s->models.n, s->memory, &b, &err) < 0)
		tool_fail(NULL, &err);
	printf("%.*s", STR_ARG(buf_str(&b)));
	buf_free(&b);
	return tool_finish(0);
}

/* ---- end ---- */

/* What runs may end, within the time there is; a second signal ends it at once. */
static void
finish(struct serve *s, const sigset_t *set)
{
	double until = progress_now() + s->grace;
	struct timespec tick = { .tv_nsec = 20000000 };

	server_refuse(s->server);
	do {
		if (server_left(s->server) == 0 || atomic_load(&s->failed))
			return;
	} while (progress_now() < until && sigtimedwait(set, NULL, &tick) < 0);
	if (!s->quiet)
		tool_warn("%d requests are broken off", server_left(s->server));
}

static void
close_all(struct serve *s)
{
	server_close(s->server);
	for (int i = 0; i < s->models.n; i++)
		served_close(s->served[i]);
	models_end(&s->models);
	arena_free(&s->arena);
	team_free(s->team);
}

int
main(int argc, char **argv)
{
	static struct serve s = { .host = "127.0.0.1", .port = 8080, .parallel = 16,
	    .waiting = 256, .connections = 4096, .body = 16 << 20, .patience = 60, .grace = 30,
	    .keep_for = 3600, .kept = CACHE_DEFAULTS, .how = TEXTS_DEFAULTS,
	    .audit_to.unsure = -1, .hidden = "all" };
	char **operand = tool_start(&tool, argc, argv, &s);
	sigset_t set;
	int got;

	if (*operand != NULL)
		tool_usage("'%s': models are named with -m", *operand);
	if (s.new_key != NULL)
		return make_key(&s);
	if (s.models.n == 0)
		tool_usage("no -m PATH or --embed PATH");
	if (s.work != NULL && s.spill_disk == 0)
		tool_usage("--work is for --spill-disk");
	if (s.socket == NULL && s.key_file == NULL && !s.no_auth && !listener_is_local(s.host))
		tool_usage("--host %s: others could ask without --api-key-file; --no-auth "
		    "allows it", s.host);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	/* Large buffers go back to the system when they are freed. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	limit_connections(&s);
	/* Threads inherit it: signals are this one's. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	open_models(&s);
	if (s.dry_run)
		return describe(&s);
	open_server(&s);
	while ((got = sigwaitinfo(&set, NULL)) == SIGHUP || (got < 0 && errno == EINTR))
		if (got > 0)
			server_reread(s.server, log_line, NULL);
	finish(&s, &set);
	close_all(&s);
	return s.failed ? TOOL_FAIL : 0;
}
