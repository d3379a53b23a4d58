/*
 * Keys: their file, who is let in, and how much; no clock but the test's own
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blake2.h"
#include "serve/keys.h"

#include "../tap.h"

static struct err err;

/* A line of a key that is its own name. */
static void
line_of(struct buf *b, const char *name, const char *settings)
{
	unsigned char hash[KEY_HASH];

	blake2b(hash, KEY_HASH, S(""), str_of(name));
	buf_fmt(b, "%s ", name);
	for (int i = 0; i < KEY_HASH; i++)
		buf_fmt(b, "%02x", hash[i]);
	buf_fmt(b, " %s\n", settings);
}

static struct keys *
keys_of(const char *settings)
{
	struct buf b = { 0 };
	struct keys *k;

	line_of(&b, "alice", settings);
	line_of(&b, "bob", "");
	k = keys_parse(buf_str(&b), "keys", &err);
	buf_free(&b);
	return k;
}

static void
test_find(void)
{
	struct keys *k = keys_of("requests=60/m tokens=1.5k/h context=4096 parallel=4 class=batch "
	    "priority=-3 models=base,other # a note");
	struct key *a = k == NULL ? NULL : keys_find(k, S("alice")), *b, *a2;
	static char big[1 << 20];

	ok(a != NULL && strcmp(a->name, "alice") == 0 && a->requests.n == 60 &&
	    a->requests.seconds == 60 && a->tokens.n == 1500 && a->tokens.seconds == 3600 &&
	    a->context == 4096 && a->parallel == 4 && a->class == KEY_BATCH && a->priority == -3,
	    "a line is read");
	if (a == NULL)
		return;
	ok(key_may_use(a, S("base")) && key_may_use(a, S("other:fr")) &&
	    !key_may_use(a, S("bas")) && !key_may_use(a, S("")) && !key_may_use(a, S("base,other")),
	    "models, with their adapters, and no others");
	b = keys_find(k, S("bob"));
	a2 = keys_find(k, S("alice"));
	ok(b != NULL && b != a && a2 == a && b->salt != a->salt && a->salt != 0 &&
	    b->class == KEY_INTERACTIVE && key_may_use(b, S("any")), "each has its own, and a salt");
	ok(keys_find(k, S("")) == NULL && keys_find(k, S("alic")) == NULL &&
	    keys_find(k, S("alice\0")) == NULL && keys_find(k, (str){ big, sizeof(big) }) == NULL,
	    "others are not let in");
	key_put(k, a);
	key_put(k, b);
	key_put(k, a2);
	keys_free(k);
}

static void
test_requests(void)
{
	struct keys *k = keys_of("requests=60/m");
	struct key *a = keys_find(k, S("alice")), *b = keys_find(k, S("bob"));
	double wait = -1, t = 1e6;
	int got = 0;

	while (key_admit(k, a, 10, 10, t, &wait) == KEY_ADMITTED && got < 1000) {
		got++;
		key_release(k, a, 0, t);
	}
	ok(got == 60 && fabs(wait - 1) < 1e-6, "60/m are 60 at once, then it says one second");
	ok(key_admit(k, b, 10, 10, t, &wait) == KEY_ADMITTED && wait == 0, "another key is not asked to wait");
	ok(key_admit(k, a, 10, 10, t + .5, &wait) == KEY_REQUESTS && fabs(wait - .5) < 1e-6,
	    "half a second later, half a second");
	for (got = 0, t += 1; t < 1e6 + 120; t += .25)
		if (key_admit(k, a, 1, 1, t, &wait) == KEY_ADMITTED) {
			got++;
			key_release(k, a, 0, t);
		}
	ok(got == 119, "then one each second");
	ok(key_admit(k, a, 1, 1, 0, &wait) == KEY_REQUESTS, "a clock that goes back gives nothing");
	key_put(k, a);
	key_put(k, b);
	keys_free(k);
}

static void
test_tokens(void)
{
	struct keys *k = keys_of("tokens=1000/s context=1500");
	struct key *a = keys_find(k, S("alice"));
	double wait;

	ok(key_admit(k, a, 1400, 101, 0, &wait) == KEY_CONTEXT && wait == 0, "longer than its context");
	ok(key_admit(k, a, 1001, 10, 0, &wait) == KEY_PROMPT && wait == 0,
	    "a prompt that the bucket never holds");
	ok(key_admit(k, a, 100, 500, 0, &wait) == KEY_ADMITTED, "prompt and answer are taken");
	ok(key_admit(k, a, 100, 500, 0, &wait) == KEY_TOKENS && fabs(wait - .2) < 1e-9,
	    "too many, and when there are enough");
	key_release(k, a, 450, 0);
	ok(key_admit(k, a, 100, 500, 0, &wait) == KEY_ADMITTED, "what was not used is given back");
	key_release(k, a, 0, 0);
	ok(key_admit(k, a, 400, 1100, 0, &wait) == KEY_TOKENS && fabs(wait - .75) < 1e-9,
	    "more than the bucket holds needs a full one");
	ok(key_admit(k, a, 400, 1100, 1, &wait) == KEY_ADMITTED, "which it overdraws");
	ok(key_admit(k, a, 1, 0, 1.5, &wait) == KEY_TOKENS && fabs(wait - .001) < 1e-9,
	    "and those after it wait for");
	key_release(k, a, 5000, 1.5);
	ok(key_admit(k, a, 500, 501, 1.5, &wait) == KEY_ADMITTED &&
	    key_admit(k, a, 1, 0, 1.5, &wait) == KEY_TOKENS, "never more than full");
	key_put(k, a);
	keys_free(k);
}

static void
test_parallel(void)
{
	struct keys *k = keys_of("parallel=2");
	struct key *a = keys_find(k, S("alice"));
	double wait;

	ok(key_admit(k, a, 1, 1, 0, &wait) == KEY_ADMITTED && key_admit(k, a, 1, 1, 0, &wait) ==
	    KEY_ADMITTED && key_admit(k, a, 1, 1, 0, &wait) == KEY_PARALLEL && wait > 0,
	    "two at once");
	key_release(k, a, 0, 0);
	ok(key_admit(k, a, 1, 1, 0, &wait) == KEY_ADMITTED, "and another when one is over");
	key_put(k, a);
	keys_free(k);
}

static void
put_file(const char *path, const struct buf *b, mode_t mode)
{
	FILE *f = fopen(path, "w");

	fwrite(b->p, 1, (size_t)b->n, f);
	fclose(f);
	chmod(path, mode);
}

static void
test_reload(void)
{
	char path[] = "/tmp/t_keys.XXXXXX";
	struct buf b = { 0 };
	struct keys *k;
	struct key *old, *new, *gone;
	double wait;

	close(mkstemp(path));
	line_of(&b, "carol", "");
	line_of(&b, "alice", "requests=2/d parallel=1");
	put_file(path, &b, 0640);
	k = keys_load(path, &err);
	ok(k == NULL && strstr(err.msg, "chmod 600") != NULL, "a file that others can read is refused");
	chmod(path, 0600);
	k = keys_load(path, &err);
	ok(k != NULL && keys_count(k) == 2, "one that they cannot is read");
	if (k == NULL)
		return;
	old = keys_find(k, S("alice"));
	gone = keys_find(k, S("carol"));
	ok(key_admit(k, old, 1, 1, 0, &wait) == KEY_ADMITTED &&
	    key_admit(k, gone, 1, 1, 0, &wait) == KEY_ADMITTED, "they begin");
	buf_reset(&b);
	line_of(&b, "alice", "requests=2/d parallel=3");
	line_of(&b, "dave", "");
	put_file(path, &b, 0600);
	ok(keys_reload(k, &err) == 0 && keys_count(k) == 2, "the file is read again");
	new = keys_find(k, S("alice"));
	ok(new != old && new->parallel == 3 && old->parallel == 1 && new->salt == old->salt,
	    "a key that stays has new limits");
	ok(key_admit(k, new, 1, 1, 0, &wait) == KEY_ADMITTED &&
	    key_admit(k, new, 1, 1, 0, &wait) == KEY_REQUESTS, "and its old bucket");
	ok(keys_find(k, S("carol")) == NULL && strcmp(gone->name, "carol") == 0,
	    "one that is gone lets nobody in, and lives while it is used");
	key_release(k, old, 1, 0);
	key_release(k, new, 1, 0);
	key_release(k, gone, 1, 0);
	key_put(k, gone);
	key_put(k, old);
	key_put(k, new);
	put_file(path, &b, 0604);
	ok(keys_reload(k, &err) < 0 && keys_count(k) == 2, "a reload that fails changes nothing");
	keys_free(k);
	unlink(path);
	ok((k = keys_load(path, &err)) == NULL && strstr(err.msg, path) != NULL, "no file");
	buf_free(&b);
}

static void
test_new(void)
{
	struct buf secret = { 0 }, line = { 0 };
	struct keys *k;
	struct key *a;

	ok(keys_new_line(S("alice"), S("parallel=2"), &secret, &line, &err) == 0 &&
	    secret.n == 47 && str_starts(buf_str(&secret), S("llm-")) &&
	    memchr(secret.p, '=', 47) == NULL && memchr(secret.p, '+', 47) == NULL &&
	    memchr(secret.p, '/', 47) == NULL, "a key is llm- and 43 characters for a URL");
	k = keys_parse(buf_str(&line), "new", &err);
	a = k == NULL ? NULL : keys_find(k, buf_str(&secret));
	ok(a != NULL && a->parallel == 2, "its line lets it in");
	ok(memmem(line.p, (size_t)line.n, secret.p, 20) == NULL, "and does not hold it");
	if (a != NULL)
		key_put(k, a);
	keys_free(k);
	ok(keys_new_line(S("bob"), S(""), &secret, &line, &err) == 0 && secret.n == 94 &&
	    memcmp(secret.p, secret.p + 47, 47) != 0, "another key is another");
	ok(keys_new_line(S("a b"), S(""), &secret, &line, &err) < 0 &&
	    keys_new_line(S("a"), S("x=1"), &secret, &line, &err) < 0 &&
	    keys_new_line(S("a"), S("parallel=1\nb"), &secret, &line, &err) < 0,
	    "what is no name or setting is refused");
	buf_free(&secret);
	buf_free(&line);
}

static const struct {
	const char *settings, *says;
} bad[] = {
	{ "requests=60", "keys:1: a rate is" }, { "requests=60/y", "keys:1: a rate" },
	{ "tokens=0/m", "keys:1: 0 is not between" }, { "parallel=x", "keys:1: 'x' is not a number" },
	{ "what=1", "keys:1: no setting 'what=1'" }, { "class=fast", "keys:1: class= is" },
	{ "models=", "keys:1: models= names none" },
	{ "context=5 context=5", "keys:1: context= is there twice" },
};

static void
test_bad(void)
{
	int wrong = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct keys *k = keys_of(bad[i].settings);

		if (k != NULL || strncmp(err.msg, bad[i].says, strlen(bad[i].says)) != 0) {
			printf("# %s: %s\n", bad[i].settings, err.msg);
			wrong++;
		}
		keys_free(k);
	}
	ok(wrong == 0, "what is wrong is told with its line");
	ok(keys_parse(S("a b"), "f", &err) == NULL && strcmp(err.msg,
	    "f:1: the hash is not 64 hexadecimal digits") == 0, "a hash");
}

#define ROUNDS 20000
static struct keys *shared;

static void *
worker(void *ctx)
{
	double wait;
	int64_t most = 0;

	(void)ctx;
	for (int i = 0; i < ROUNDS; i++) {
		struct key *a = keys_find(shared, S("alice"));

		if (key_admit(shared, a, 1, 1, 0, &wait) == KEY_ADMITTED) {
			most++;
			key_release(shared, a, 1, 0);
		}
		key_put(shared, a);
	}
	return (void *)(intptr_t)most;
}

static void
test_threads(void)
{
	pthread_t t[4];
	void *n;
	int64_t all = 0;

	shared = keys_of("requests=12345/d parallel=4");
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, worker, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &n);
		all += (intptr_t)n;
	}
	ok(all == 12345, "four threads get what there is and no more");
	keys_free(shared);
}

int
main(void)
{
	test_find();
	test_requests();
	test_tokens();
	test_parallel();
	test_reload();
	test_new();
	test_bad();
	test_threads();
	return tap_done();
}
