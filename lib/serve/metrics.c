#include "serve/metrics.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

#define BOUNDS	17

static const struct {
	const char *name, *type, *help;
} scalars[METRICS] = {
	[METRIC_PROMPT_TOKENS] = { "llm_prompt_tokens_total", "counter",
	    "Tokens of prompts, those found in the cache included." },
	[METRIC_CACHED_TOKENS] = { "llm_cached_tokens_total", "counter",
	    "Tokens of prompts that were found in the cache." },
	[METRIC_GENERATED_TOKENS] = { "llm_generated_tokens_total", "counter",
	    "Tokens that were generated." },
	[METRIC_GUESSED_TOKENS] = { "llm_guessed_tokens_total", "counter",
	    "Tokens that were guessed ahead and judged." },
	[METRIC_RIGHT_TOKENS] = { "llm_guessed_right_tokens_total", "counter",
	    "Tokens that were guessed ahead, rightly." },
	[METRIC_PREEMPTIONS] = { "llm_preemptions_total", "counter",
	    "Requests whose cache was taken for others and is computed again." },
	[METRIC_JOINED] = { "llm_joined_answers_total", "counter",
	    "Answers that were computed for another request at the same time." },
	[METRIC_KEPT] = { "llm_kept_answers_total", "counter",
	    "Answers that were computed before and kept." },
	[METRIC_AUDIT_LOST] = { "llm_audit_lost_lines_total", "counter",
	    "Lines of the audit log that could not be written." },
	[METRIC_LOADS] = { "llm_model_loads_total", "counter", "Models that were loaded." },
	[METRIC_EVICTIONS] = { "llm_model_evictions_total", "counter",
	    "Models that were unloaded." },
	[METRIC_FROM_MEMORY] = { "llm_spill_from_memory_blocks_total", "counter",
	    "Blocks of the cache that came back from memory." },
	[METRIC_FROM_DISK] = { "llm_spill_from_disk_blocks_total", "counter",
	    "Blocks of the cache that came back from disk." },
	[METRIC_LOST] = { "llm_spill_lost_blocks_total", "counter",
	    "Blocks of the cache that there was no room for any more." },
	[METRIC_FAULTS] = { "llm_spill_faults_total", "counter",
	    "Blocks of the cache that could not be written to disk, or read." },
	[METRIC_RUNNING] = { "llm_requests_running", "gauge", "Requests that are computed." },
	[METRIC_WAITING] = { "llm_requests_waiting", "gauge", "Requests that wait." },
	[METRIC_CACHE_TOKENS] = { "llm_cache_tokens", "gauge",
	    "Tokens that the cache has room for." },
	[METRIC_CACHE_USED] = { "llm_cache_tokens_used", "gauge", "Tokens in the cache." },
	[METRIC_MODELS] = { "llm_models_loaded", "gauge", "Models in memory." },
	[METRIC_MODEL_BYTES] = { "llm_model_bytes", "gauge",
	    "Memory of the loaded models: weights, cache and working memory." },
	[METRIC_MEMORY_BLOCKS] = { "llm_spill_memory_blocks", "gauge",
	    "Blocks of the cache that are kept in memory." },
	[METRIC_MEMORY_BYTES] = { "llm_spill_memory_bytes", "gauge", "Their bytes." },
	[METRIC_DISK_BLOCKS] = { "llm_spill_disk_blocks", "gauge",
	    "Blocks of the cache that are kept on disk." },
	[METRIC_DISK_BYTES] = { "llm_spill_disk_bytes", "gauge", "Their bytes." },
};

static const struct {
	const char *name, *help;
	int n;
	double bound[BOUNDS];
} histograms[METRIC_HISTOGRAMS] = {
	[METRIC_FIRST_TOKEN] = { "llm_time_to_first_token_seconds",
	    "Seconds from the request to its first token.", 17,
	    { .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300 } },
	[METRIC_PER_TOKEN] = { "llm_time_per_output_token_seconds",
	    "Seconds from one token to the next.", 13,
	    { .0005, .001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, 1, 2.5 } },
	[METRIC_REQUEST] = { "llm_request_seconds", "Seconds from the request to its end.", 15,
	    { .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600 } },
	[METRIC_PROMPT] = { "llm_prompt_tokens", "Tokens of a prompt.", 17,
	    { 1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072,
	    262144, 1048576 } },
	[METRIC_LOAD] = { "llm_model_load_seconds", "Seconds that the loading of a model took.", 14,
	    { .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300 } },
};

struct histogram {
	int64_t n[BOUNDS + 1]; /* not cumulative */
	double sum;
};

/* A route and a code, or a reason (code -1). */
struct series {
	char label[METRICS_LABEL + 1];
	int code;
	int64_t n;
};

struct counts {
	int64_t scalar[METRICS];
	struct histogram histogram[METRIC_HISTOGRAMS];
	struct series series[METRICS_SERIES];
	int nseries;
};

struct metrics {
	pthread_mutex_t lock;
	struct counts counts;
	double start; /* of the day */
	struct buf info; /* labels of llm_build_info */
};

/* ---- labels ---- */

/* The bytes of s that are whole characters, at most METRICS_LABEL. */
static ptrdiff_t
label_length(str s)
{
	ptrdiff_t bad;

	if (s.n <= METRICS_LABEL)
		return s.n;
	s.n = METRICS_LABEL;
	bad = utf8_bad(s);
	return bad >= METRICS_LABEL - 3 ? bad : METRICS_LABEL;
}

/* name="value": what the format asks to be escaped is, and broken UTF-8 is U+FFFD. */
static void
put_label(struct buf *b, const char *name, str value)
{
	ptrdiff_t bad;

	buf_fmt(b, "%s=\"", name);
	do {
		bad = utf8_bad(value);
		for (ptrdiff_t i = 0; i < (bad < 0 ? value.n : bad); i++)
			switch (value.p[i]) {
			case '\\':
				buf_add(b, S("\\\\"));
				break;
			case '"':
				buf_add(b, S("\\\""));
				break;
			case '\n':
				buf_add(b, S("\\n"));
				break;
			default:
				buf_byte(b, value.p[i]);
			}
		if (bad >= 0) {
			buf_add(b, S("\xef\xbf\xbd"));
			value = (str){ value.p + bad + 1, value.n - bad - 1 };
		}
	} while (bad >= 0);
	buf_byte(b, '"');
}

/* ---- counting ---- */

struct metrics *
metrics_new(const char *version, const char *model, const char *device, struct err *err)
{
	struct metrics *m = calloc(1, sizeof(*m));
	struct timespec t;

	if (m == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&m->lock, NULL);
	clock_gettime(CLOCK_REALTIME, &t);
	m->start = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
	put_label(&m->info, "version", str_of(version));
	buf_byte(&m->info, ',');
	put_label(&m->info, "model", str_of(model));
	buf_byte(&m->info, ',');
	put_label(&m->info, "device", str_of(device));
	if (buf_ok(&m->info, err) < 0) {
		metrics_free(m);
		return NULL;
	}
	return m;
}

void
metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	pthread_mutex_destroy(&m->lock);
	buf_free(&m->info);
	free(m);
}

void
metrics_add(struct metrics *m, enum metric which, int64_t n)
{
	pthread_mutex_lock(&m->lock);
	m->counts.scalar[which] += n;
	pthread_mutex_unlock(&m->lock);
}

void
metrics_set(struct metrics *m, enum metric which, int64_t value)
{
	pthread_mutex_lock(&m->lock);
	m->counts.scalar[which] = value;
	pthread_mutex_unlock(&m->lock);
}

void
metrics_observe(struct metrics *m, enum metric_histogram which, double value)
{
	struct histogram *h = &m->counts.histogram[which];
	int i = 0;

	while (i < histograms[which].n && value > histograms[which].bound[i])
		i++;
	pthread_mutex_lock(&m->lock);
	h->n[i]++;
	h->sum += value;
	pthread_mutex_unlock(&m->lock);
}

static void
count_series(struct metrics *m, const char *label, int code)
{
	str s = str_of(label);
	struct counts *c = &m->counts;
	int i = 0;

	s.n = label_length(s);
	pthread_mutex_lock(&m->lock);
	while (i < c->nseries && (c->series[i].code != code ||
	    !str_eq(str_of(c->series[i].label), s)))
		i++;
	/* The last two are for what has no place of its own. */
	if (i == c->nseries && i < METRICS_SERIES - 2) {
		memcpy(c->series[i].label, s.p, (size_t)s.n);
		c->series[i].code = code;
		c->nseries++;
	} else if (i == c->nseries) {
		i = code < 0 ? METRICS_SERIES - 2 : METRICS_SERIES - 1;
		memcpy(c->series[i].label, "other", sizeof("other"));
		c->series[i].code = code < 0 ? -1 : 0;
	}
	c->series[i].n++;
	pthread_mutex_unlock(&m->lock);
}

void
metrics_request(struct metrics *m, const char *route, int code)
{
	count_series(m, route, code > 0 ? code : 0);
}

void
metrics_rejected(struct metrics *m, const char *reason)
{
	count_series(m, reason, -1);
}

/* ---- writing ---- */

static void
put_head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
put_number(struct buf *b, const char *name, const char *type, const char *help, double x)
{
	put_head(b, name, type, help);
	buf_fmt(b, "%s %.17g\n", name, x);
}

static void
put_series(struct buf *b, const struct counts *c, bool requests)
{
	for (int i = 0; i < METRICS_SERIES; i++) {
		const struct series *s = &c->series[i];

		if (s->n == 0 || (s->code >= 0) != requests)
			continue;
		buf_fmt(b, "%s{", requests ? "llm_requests_total" : "llm_rejected_total");
		put_label(b, requests ? "route" : "reason", str_of(s->label));
		if (requests)
			buf_fmt(b, ",code=\"%d\"", s->code);
		buf_fmt(b, "} %lld\n", (long long)s->n);
	}
}

static void
put_histogram(struct buf *b, const struct counts *c, int which)
{
	const struct histogram *h = &c->histogram[which];
	const char *name = histograms[which].name;
	int64_t n = 0;

	put_head(b, name, "histogram", histograms[which].help);
	for (int i = 0; i < histograms[which].n; i++) {
		n += h->n[i];
		buf_fmt(b, "%s_bucket{le=\"%.15g\"} %lld\n", name, histograms[which].bound[i],
		    (long long)n);
	}
	n += h->n[histograms[which].n];
	buf_fmt(b, "%s_bucket{le=\"+Inf\"} %lld\n", name, (long long)n);
	buf_fmt(b, "%s_sum %.17g\n%s_count %lld\n", name, h->sum, name, (long long)n);
}

/* The second number of /proc/self/statm: pages that are in memory. */
static void
put_memory(struct buf *b)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long long pages;

	if (f == NULL)
		return;
	if (fscanf(f, "%*d %lld", &pages) == 1)
		put_number(b, "process_resident_memory_bytes", "gauge",
		    "Memory of the process that is in RAM.",
		    (double)pages * (double)sysconf(_SC_PAGESIZE));
	fclose(f);
}

static void
put_files(struct buf *b)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int n = -1; /* the one that looks */

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	put_number(b, "process_open_fds", "gauge", "Open file descriptors.", n);
}

static void
put_process(struct buf *b)
{
	struct timespec t;

	put_memory(b);
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0)
		put_number(b, "process_cpu_seconds_total", "counter", "Processor time.",
		    (double)t.tv_sec + (double)t.tv_nsec * 1e-9);
	put_files(b);
}

int
metrics_write(struct metrics *m, struct buf *b, struct err *err)
{
	struct counts *c = malloc(sizeof(*c));

	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	pthread_mutex_lock(&m->lock);
	*c = m->counts;
	pthread_mutex_unlock(&m->lock);
	put_head(b, "llm_requests_total", "counter", "Requests that were answered.");
	put_series(b, c, true);
	put_head(b, "llm_rejected_total", "counter", "Requests that were not taken.");
	put_series(b, c, false);
	for (int i = 0; i < METRICS; i++) {
		put_head(b, scalars[i].name, scalars[i].type, scalars[i].help);
		buf_fmt(b, "%s %lld\n", scalars[i].name, (long long)c->scalar[i]);
	}
	for (int i = 0; i < METRIC_HISTOGRAMS; i++)
		put_histogram(b, c, i);
	free(c);
	put_process(b);
	put_number(b, "llm_start_time_seconds", "gauge", "When the server started (Unix time).",
	    m->start);
	put_head(b, "llm_build_info", "gauge", "What runs.");
	buf_fmt(b, "llm_build_info{%.*s} 1\n", STR_ARG(buf_str(&m->info)));
	return buf_ok(b, err);
}
