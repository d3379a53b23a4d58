/*
 * load - a server of OpenAI's interface under load: is each answer the right one?
 *
 *	load [options] [host:]port
 *
 * Each of some distinct requests is asked alone first; then thousands of them at once,
 * whole and as streams, among clients that go away, read slowly, stop halfway or send
 * what is no request.  Every answer has to be that of its request, to the byte, or a
 * refusal with a proper status; the server has to be as large afterwards as before.
 * Exit 1 and a line for each thing that is wrong.
 *
 * --idle and --drips are rounds of their own after it.  --replay sends the requests of
 * a file instead, and writes a record about each (scripts/bench-serve).
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "run.h"
#include "server.h"
#include "tool/tool.h"

#define AT(field) offsetof(struct load, field)

static const struct opt opts[] = {
	{ 'n', "count", OPT_I64, AT(requests), "N", "requests (2000)", .min = 0, .max = 1e9 },
	{ 'c', "connections", OPT_I64, AT(connections), "N", "at once (64)", .min = 1, .max = 1e5 },
	{ 's', "seed", OPT_I64, AT(mix.seed), "N", "another mix", .min = 0, .max = 1e18 },
	{ 'm', "model", OPT_STR, AT(mix.model), "NAME", "model to ask for (none is named)" },
	{ 0, "distinct", OPT_I64, AT(mix.n), "N", "distinct requests (64)", .min = 1, .max = 1e6 },
	{ 0, "tokens", OPT_I64, AT(mix.tokens), "N", "most of an answer (16)", .min = 1, .max = 1e6 },
	{ 0, "chats", OPT_F64, AT(mix.chats), "PART", "of requests (0.5)", .min = 0, .max = 1 },
	{ 0, "cancelled", OPT_F64, AT(mix.cancelled), "PART", "closed midway (0.1)", .min = 0, .max = 1 },
	{ 0, "bad", OPT_F64, AT(mix.bad), "PART", "that are no requests (0.05)", .min = 0, .max = 1 },
	{ 0, "slow", OPT_F64, AT(mix.slow), "PART", "read slowly (0.03)", .min = 0, .max = 1 },
	{ 0, "half", OPT_F64, AT(mix.half), "PART", "half sent, or half closed (0.02)", .min = 0, .max = 1 },
	{ 0, "patience", OPT_TIME, AT(mix.patience), "TIME", "for an answer (60s)", .min = 0.1,
	  .max = 86400 },
	{ 0, "pid", OPT_I64, AT(pid), "N", "the server's process, whose memory is watched", .min = 1,
	  .max = 1e9 },
	{ 0, "growth", OPT_F64, AT(growth), "PART", "of its memory after half of them (0.05)",
	  .min = 0, .max = 100 },
	{ 0, "idle", OPT_I64, AT(idle), "N", "streams that nobody reads", .min = 1, .max = 1e5 },
	{ 0, "idle-memory", OPT_BYTES, AT(idle_memory), "SIZE", "that they may take (200M)", .min = 1,
	  .max = 1e12 },
	{ 0, "drips", OPT_I64, AT(drips), "N", "clients that send a byte now and then", .min = 1,
	  .max = 1e5 },
	{ 0, "drip-time", OPT_TIME, AT(drip_time), "TIME", "until they have to be cut (60s)", .min = 0.1,
	  .max = 86400 },
	{ 0, "replay", OPT_STR, AT(replay), "FILE", "requests to send" },
	{ 0 }
};

static const struct tool tool = {
	.name = "load", .synopsis = "[host:]port", .summary = "a server under load", .opts = opts,
};

void
load_wrong(struct load *l, const char *what, const struct err *err)
{
	if (l->wrong++ < 20)
		tool_warn("%s: %s", what, err->msg);
}

static void
set_target(struct load *l, const char *where, char *host, size_t n)
{
	const char *colon = strrchr(where, ':'), *port = colon == NULL ? where : colon + 1;
	char address[64];
	char *end;
	long number = strtol(port, &end, 10);

	snprintf(address, sizeof(address), "%.*s", colon == NULL ? 9 : (int)(colon - where),
	    colon == NULL ? "127.0.0.1" : where);
	l->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)number) };
	if (*end != '\0' || end == port || number < 1 || number > 65535 ||
	    inet_pton(AF_INET, address, &l->to.sin_addr) != 1)
		tool_usage("'%s' is no address and port", where);
	snprintf(host, n, "%s:%ld", address, number);
	l->mix.host = host;
}

static void
raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

/* Who went away is forgotten: the server has as many files open as before, soon. */
static void
check_files(struct load *l, int64_t before)
{
	struct timespec tick = { .tv_nsec = 50000000 };
	int64_t now = 0;
	struct err err;

	if (before < 0)
		return;
	for (int i = 0; i < 100; i++) {
		if ((now = server_files(l->pid)) <= before)
			return;
		nanosleep(&tick, NULL);
	}
	err_set(&err, ERR_FORMAT, "%lld are open, %lld were before", (long long)now,
	    (long long)before);
	load_wrong(l, "files", &err);
}

static int
run(struct load *l, struct err *err)
{
	int64_t files = server_files(l->pid);

	if (l->replay != NULL)
		return run_replay(l, err);
	if (mix_make(&l->mix, err) < 0 || run_alone(l, false, err) < 0)
		return -1;
	if (l->mix.bad > 0 && run_bad(l, err) < 0)
		return -1;
	if (l->requests > 0 && run_mixed(l, err) < 0)
		return -1;
	if (l->idle > 0 && run_idle(l, err) < 0)
		return -1;
	if (l->drips > 0 && run_drips(l, err) < 0)
		return -1;
	if (run_alone(l, true, err) < 0)
		return -1;
	check_files(l, files);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct load l = { .requests = 2000, .connections = 64, .growth = 0.05,
	    .idle_memory = 200 << 20, .drip_time = 60,
	    .mix = { .seed = 1, .n = 64, .tokens = 16, .chats = 0.5, .cancelled = 0.1, .bad = 0.05,
	    .slow = 0.03, .half = 0.02, .patience = 60 } };
	char **operand = tool_start(&tool, argc, argv, &l);
	char host[80];
	struct err err;

	if (operand[0] == NULL || operand[1] != NULL)
		tool_usage("one server is wanted");
	set_target(&l, operand[0], host, sizeof(host));
	raise_files();
	if (run(&l, &err) < 0)
		tool_fail(NULL, &err);
	mix_free(&l.mix);
	if (l.wrong > 0)
		tool_warn("%lld things are wrong", (long long)l.wrong);
	return tool_finish(l.wrong > 0 ? TOOL_NO : 0);
}
