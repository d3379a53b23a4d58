/*
 * What a server counts: the text that Prometheus reads, by a reader of that format written here
 */
#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "serve/metrics.h"

#include "../tap.h"

static struct err err;

/* The value of a line that begins with name and its labels; NAN when there is none. */
static double
value(const struct buf *b, const char *name)
{
	str rest = buf_str(b);

	while (rest.n > 0) {
		str line = str_cut(&rest, '\n');

		if (str_starts(line, str_of(name)) && line.p[strlen(name)] == ' ')
			return strtod(line.p + strlen(name), NULL);
	}
	return NAN;
}

static bool
is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == ':';
}

/* Labels from { to }: NULL when they are none, else what follows. */
static const char *
labels(const char *p)
{
	if (*p != '{')
		return p;
	do {
		const char *from = ++p;

		while (is_name(*p))
			p++;
		if (p == from || *p++ != '=' || *p++ != '"')
			return NULL;
		for (; *p != '"'; p++)
			if (*p == '\n' || *p == '\0' ||
			    (*p == '\\' && strchr("\\\"n", *++p) == NULL))
				return NULL;
		p++;
	} while (*p == ',');
	return *p == '}' ? p + 1 : NULL;
}

/* Each sample is named, has a value, and comes after the HELP and TYPE of its family. */
static int
faults(const struct buf *b)
{
	str rest = buf_str(b), family = { "", 0 };
	int bad = b->n == 0 || b->p[b->n - 1] != '\n';

	while (rest.n > 0) {
		str line = str_cut(&rest, '\n');
		const char *p = line.p, *end;

		if (str_starts(line, S("# HELP "))) {
			line = (str){ line.p + 7, line.n - 7 };
			family = str_cut(&line, ' ');
			bad += line.n <= 0;
			continue;
		}
		if (str_starts(line, S("# TYPE "))) {
			line = (str){ line.p + 7, line.n - 7 };
			bad += !str_eq(family, str_cut(&line, ' ')) || (!str_eq(line, S("gauge")) &&
			    !str_eq(line, S("counter")) && !str_eq(line, S("histogram")));
			continue;
		}
		while (is_name(*p))
			p++;
		bad += !str_starts(line, family) || (p = labels(p)) == NULL || *p != ' ';
		if (p == NULL)
			continue;
		strtod(p + 1, (char **)&end);
		bad += end != line.p + line.n;
	}
	return bad;
}

static void
test_values(void)
{
	struct metrics *m = metrics_new("1.2", "dir/\"q\"\\\n\xff", "cpu", &err);
	struct buf b = { 0 };

	metrics_request(m, "/v1/completions", 200);
	metrics_request(m, "/v1/completions", 200);
	metrics_request(m, "/v1/completions", 429);
	metrics_rejected(m, "tokens");
	metrics_add(m, METRIC_PROMPT_TOKENS, 30);
	metrics_add(m, METRIC_PROMPT_TOKENS, 12);
	metrics_set(m, METRIC_RUNNING, 3);
	metrics_add(m, METRIC_RUNNING, -1);
	metrics_observe(m, METRIC_FIRST_TOKEN, .001);
	metrics_observe(m, METRIC_FIRST_TOKEN, .3);
	metrics_observe(m, METRIC_FIRST_TOKEN, 1e9);
	ok(metrics_write(m, &b, &err) == 0 && faults(&b) == 0, "the text is in Prometheus' format");
	buf_byte(&b, '\0');
	b.n--;
	ok(value(&b, "llm_requests_total{route=\"/v1/completions\",code=\"200\"}") == 2 &&
	    value(&b, "llm_requests_total{route=\"/v1/completions\",code=\"429\"}") == 1 &&
	    value(&b, "llm_rejected_total{reason=\"tokens\"}") == 1, "requests, by route and code");
	ok(value(&b, "llm_prompt_tokens_total") == 42 && value(&b, "llm_requests_running") == 2 &&
	    value(&b, "llm_generated_tokens_total") == 0, "counters and gauges");
	ok(value(&b, "llm_time_to_first_token_seconds_bucket{le=\"0.001\"}") == 1 &&
	    value(&b, "llm_time_to_first_token_seconds_bucket{le=\"0.25\"}") == 1 &&
	    value(&b, "llm_time_to_first_token_seconds_bucket{le=\"0.5\"}") == 2 &&
	    value(&b, "llm_time_to_first_token_seconds_bucket{le=\"300\"}") == 2 &&
	    value(&b, "llm_time_to_first_token_seconds_bucket{le=\"+Inf\"}") == 3 &&
	    value(&b, "llm_time_to_first_token_seconds_count") == 3 &&
	    fabs(value(&b, "llm_time_to_first_token_seconds_sum") - 1000000000.301) < 1e-6,
	    "a histogram's buckets are cumulative and its bounds are within");
	ok(strstr(b.p, "llm_build_info{version=\"1.2\",model=\"dir/\\\"q\\\"\\\\\\n\xef\xbf\xbd\","
	    "device=\"cpu\"} 1\n") != NULL, "labels are escaped, and are UTF-8");
	ok(fabs(value(&b, "llm_start_time_seconds") - (double)time(NULL)) < 60 &&
	    value(&b, "process_resident_memory_bytes") > 1e5 &&
	    value(&b, "process_cpu_seconds_total") > 0 && value(&b, "process_open_fds") >= 3,
	    "the process");
	buf_free(&b);
	metrics_free(m);
}

static void
test_many_labels(void)
{
	struct metrics *m = metrics_new("1", "m", "cpu", &err);
	struct buf b = { 0 };
	char name[300];
	double sum = 0;

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "/route/%d", i);
		metrics_request(m, name, 200);
	}
	memset(name, 'x', METRICS_LABEL - 1);
	snprintf(name + METRICS_LABEL - 1, 8, "\xc3\xa9tail");
	metrics_rejected(m, name);
	ok(metrics_write(m, &b, &err) == 0 && faults(&b) == 0 && b.n < 64 << 10,
	    "a thousand routes make no more text than so many");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "llm_requests_total{route=\"/route/%d\",code=\"200\"}", i);
		sum += isnan(value(&b, name)) ? 0 : value(&b, name);
	}
	ok(sum + value(&b, "llm_requests_total{route=\"other\",code=\"0\"}") == 1000,
	    "and none is lost");
	ok(value(&b, "llm_rejected_total{reason=\"other\"}") == 1, "reasons have a place of their own");
	metrics_free(m);
	m = metrics_new("1", "m", "cpu", &err);
	memset(name, 'x', METRICS_LABEL - 1);
	snprintf(name + METRICS_LABEL - 1, 8, "\xc3\xa9tail");
	metrics_rejected(m, name);
	buf_reset(&b);
	ok(metrics_write(m, &b, &err) == 0 && utf8_bad(buf_str(&b)) < 0 &&
	    memmem(b.p, (size_t)b.n, "xxx\"} 1", 7) != NULL, "a long label is cut between characters");
	buf_free(&b);
	metrics_free(m);
}

static void *
worker(void *ctx)
{
	for (int i = 0; i < 20000; i++) {
		metrics_add(ctx, METRIC_GENERATED_TOKENS, 1);
		metrics_observe(ctx, METRIC_PER_TOKEN, .01);
		metrics_request(ctx, i % 2 != 0 ? "/a" : "/b", 200);
	}
	return NULL;
}

static void
test_threads(void)
{
	struct metrics *m = metrics_new("1", "m", "cpu", &err);
	struct buf b = { 0 };
	pthread_t t[4];
	int bad = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, worker, m);
	for (int i = 0; i < 50; i++) {
		buf_reset(&b);
		metrics_write(m, &b, &err);
		bad += faults(&b) + (value(&b, "llm_time_per_output_token_seconds_count") !=
		    value(&b, "llm_time_per_output_token_seconds_bucket{le=\"+Inf\"}"));
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	buf_reset(&b);
	metrics_write(m, &b, &err);
	ok(bad == 0, "what is written while others count agrees with itself");
	ok(value(&b, "llm_generated_tokens_total") == 80000 &&
	    value(&b, "llm_time_per_output_token_seconds_count") == 80000 &&
	    value(&b, "llm_requests_total{route=\"/a\",code=\"200\"}") == 40000,
	    "four threads lose nothing");
	buf_free(&b);
	metrics_free(m);
}

int
main(void)
{
	test_values();
	test_many_labels();
	test_threads();
	return tap_done();
}
