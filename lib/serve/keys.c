#include "serve/keys.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/blake2.h"
#include "base/number.h"
#include "base/stream.h"

#define SECRET		32	/* random bytes of a key */
#define BEARER_MAX	4096	/* bytes of what a client presents that are looked at */
#define RATE_MAX	((int64_t)1 << 53)

/* What a name has used.  It is shared by the keys of that name, of which one is in the table. */
struct key_usage {
	double requests, tokens; /* in the buckets; tokens may be below zero */
	double at; /* when that was */
	bool started;
	int64_t running;
	int64_t refs;
};

/* Keys of one file. */
struct table {
	struct key **key;
	int64_t n, cap;
};

struct keys {
	pthread_mutex_t lock;
	char *path;
	struct table table;
};

/* ---- one key ---- */

static void
key_free(struct key *key)
{
	if (key == NULL || --key->refs > 0)
		return;
	if (key->usage != NULL && --key->usage->refs == 0)
		free(key->usage);
	free((void *)(uintptr_t)key->models);
	free(key);
}

static bool
is_name(str s)
{
	for (ptrdiff_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '.' || c == '_' || c == '-'))
			return false;
	}
	return s.n > 0 && s.n <= KEY_NAME_MAX;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int
parse_hash(str s, unsigned char hash[KEY_HASH], struct err *err)
{
	for (ptrdiff_t i = 0; i < KEY_HASH; i++) {
		int hi = s.n == 2 * KEY_HASH ? hex_digit(s.p[2 * i]) : -1;
		int lo = hi < 0 ? -1 : hex_digit(s.p[2 * i + 1]);

		if (lo < 0)
			return err_set(err, ERR_FORMAT, "the hash is not %d hexadecimal digits",
			    2 * KEY_HASH);
		hash[i] = (unsigned char)(hi << 4 | lo);
	}
	return 0;
}

/* "100k". */
static int
parse_count(str s, int64_t least, int64_t *n, struct err *err)
{
	char word[32];

	if (s.n >= (ptrdiff_t)sizeof(word))
		return err_set(err, ERR_FORMAT, "'%.*s' is not a number", STR_ARG(s));
	if (s.n > 0)
		memcpy(word, s.p, (size_t)s.n);
	word[s.n] = '\0';
	if (number_count(word, 1000, n, err) < 0)
		return -1;
	if (*n < least || *n > RATE_MAX)
		return err_set(err, ERR_FORMAT, "%s is not between %lld and 2^53", word,
		    (long long)least);
	return 0;
}

/* "60/m": a number in each s, m, h or d. */
static int
parse_rate(str s, struct key_rate *rate, struct err *err)
{
	str n = str_cut(&s, '/');

	rate->seconds = str_eq(s, S("s")) ? 1 : str_eq(s, S("m")) ? 60 :
	    str_eq(s, S("h")) ? 3600 : str_eq(s, S("d")) ? 86400 : 0;
	if (rate->seconds == 0)
		return err_set(err, ERR_FORMAT, "a rate is a number and /s, /m, /h or /d");
	return parse_count(n, 1, &rate->n, err);
}

static int
parse_models(struct key *key, str s, struct err *err)
{
	char *p;

	if (s.n == 0)
		return err_set(err, ERR_FORMAT, "models= names none");
	if ((p = strndup(s.p, (size_t)s.n)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	key->models = p;
	return 0;
}

enum { REQUESTS, TOKENS, CONTEXT, PARALLEL, CLASS, PRIORITY, MODELS, SETTINGS };

static const char *const setting_name[SETTINGS] = {
	"requests", "tokens", "context", "parallel", "class", "priority", "models",
};

static int
parse_setting(struct key *key, str word, unsigned *seen, struct err *err)
{
	str value = word, name = str_cut(&value, '=');
	int i = 0;

	while (i < SETTINGS && !str_eq(name, str_of(setting_name[i])))
		i++;
	if (i == SETTINGS || value.p == NULL)
		return err_set(err, ERR_FORMAT, "no setting '%.*s'",
		    (int)(word.n < 64 ? word.n : 64), word.p);
	if (*seen >> i & 1)
		return err_set(err, ERR_FORMAT, "%s= is there twice", setting_name[i]);
	*seen |= 1u << i;
	switch (i) {
	case REQUESTS:
		return parse_rate(value, &key->requests, err);
	case TOKENS:
		return parse_rate(value, &key->tokens, err);
	case CONTEXT:
		return parse_count(value, 1, &key->context, err);
	case PARALLEL:
		return parse_count(value, 1, &key->parallel, err);
	case PRIORITY:
		return parse_count(value, -RATE_MAX, &key->priority, err);
	case MODELS:
		return parse_models(key, value, err);
	default:
		key->class = str_eq(value, S("batch")) ? KEY_BATCH : KEY_INTERACTIVE;
		return key->class == KEY_BATCH || str_eq(value, S("interactive")) ? 0 :
		    err_set(err, ERR_FORMAT, "class= is interactive or batch");
	}
}

/* Another hash than that of the key, so that the salt tells nothing of what lets one in. */
static uint64_t
salt_of(const unsigned char hash[KEY_HASH])
{
	uint64_t salt;

	blake2b((unsigned char *)&salt, sizeof(salt), S("llm cache salt"),
	    (str){ (const char *)hash, KEY_HASH });
	return salt != 0 ? salt : 1;
}

static int
parse_line(struct key *key, str line, struct err *err)
{
	str name = str_word(&line), word;
	unsigned seen = 0;

	if (!is_name(name))
		return err_set(err, ERR_FORMAT, "a name is 1 to %d letters, digits and . _ -",
		    KEY_NAME_MAX);
	memcpy(key->name, name.p, (size_t)name.n);
	if (parse_hash(str_word(&line), key->hash, err) < 0)
		return -1;
	key->salt = salt_of(key->hash);
	while ((word = str_word(&line)).n > 0)
		if (parse_setting(key, word, &seen, err) < 0)
			return -1;
	return 0;
}

/* ---- a file ---- */

static void
table_free(struct table *t)
{
	for (int64_t i = 0; i < t->n; i++)
		key_free(t->key[i]);
	free(t->key);
	*t = (struct table){ 0 };
}

static int
table_add(struct table *t, str line, int64_t number, struct err *err)
{
	struct key *key;

	if (t->n == KEYS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d keys", KEYS_MAX);
	if (t->n == t->cap) {
		int64_t cap = t->cap * 2 + 16;
		struct key **p = realloc(t->key, (size_t)cap * sizeof(struct key *));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		t->key = p;
		t->cap = cap;
	}
	if ((key = calloc(1, sizeof(*key))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	key->refs = 1;
	key->line = number;
	t->key[t->n++] = key;
	return parse_line(key, line, err);
}

static int
by_name(const void *a, const void *b)
{
	const struct key *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
by_hash(const void *a, const void *b)
{
	const struct key *const *x = a, *const *y = b;

	return memcmp((*x)->hash, (*y)->hash, KEY_HASH);
}

/* Leaves them in the order of names. */
static int
check_unique(struct table *t, struct err *err)
{
	for (int pass = 0; pass < 2 && t->n > 0; pass++) {
		int (*order)(const void *, const void *) = pass == 0 ? by_hash : by_name;

		qsort(t->key, (size_t)t->n, sizeof(struct key *), order);
		for (int64_t i = 1; i < t->n; i++)
			if (order(&t->key[i - 1], &t->key[i]) == 0)
				return err_set(err, ERR_FORMAT,
				    "lines %lld and %lld have the same %s",
				    (long long)t->key[i - 1]->line, (long long)t->key[i]->line,
				    pass == 0 ? "hash" : "name");
	}
	return 0;
}

static int
table_parse(struct table *t, str file, const char *name, struct err *err)
{
	int64_t number = 0;

	while (file.p != NULL && file.n > 0) {
		str line = str_cut(&file, '\n'), word;

		number++;
		line = str_cut(&line, '#');
		word = str_trim(line);
		if (word.n > 0 && table_add(t, word, number, err) < 0)
			return err_wrap(err, "%s:%lld", name, (long long)number);
	}
	return check_unique(t, err) < 0 ? err_wrap(err, "%s", name) : 0;
}

static int
read_file(int fd, struct buf *b, struct err *err)
{
	struct in *in = in_fd(fd, err);
	ptrdiff_t got = in == NULL ? -1 : 0;

	while (in != NULL) {
		char *p = buf_room(b, 4096);

		if (p == NULL) {
			got = buf_ok(b, err);
			break;
		}
		if ((got = in_read(in, p, 4096, err)) <= 0)
			break;
		b->n += got;
	}
	in_close(in);
	return got < 0 ? -1 : 0;
}

/* The file's mode is that of what is read, not of what was there under its name before. */
static int
table_load(struct table *t, const char *path, struct err *err)
{
	struct buf b = { .limit = KEYS_BYTES };
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), ret;

	if (fd < 0)
		return err_sys(err, "%s: cannot open", path);
	if (fstat(fd, &st) < 0)
		ret = err_sys(err, "%s", path);
	else if ((st.st_mode & 077) != 0)
		ret = err_set(err, ERR_ARG, "%s: others may use this file (mode %03o): "
		    "chmod 600 %s", path, (unsigned)st.st_mode & 0777, path);
	else if ((ret = read_file(fd, &b, err)) < 0)
		err_wrap(err, "%s", path);
	else
		ret = table_parse(t, buf_str(&b), path, err);
	close(fd);
	if (b.p != NULL)
		explicit_bzero(b.p, (size_t)b.n);
	buf_free(&b);
	return ret;
}

/* Keys of a name that was there go on with what it has used.  Both are sorted. */
static int
take_usage(struct table *t, const struct table *old, struct err *err)
{
	int64_t j = 0;

	for (int64_t i = 0; i < t->n; i++) {
		struct key *key = t->key[i];

		while (j < old->n && strcmp(old->key[j]->name, key->name) < 0)
			j++;
		if (j < old->n && strcmp(old->key[j]->name, key->name) == 0)
			key->usage = old->key[j]->usage;
		else if ((key->usage = calloc(1, sizeof(*key->usage))) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		key->usage->refs++;
	}
	return 0;
}

/* ---- all keys ---- */

static struct keys *
keys_new(const char *path, struct err *err)
{
	struct keys *k = calloc(1, sizeof(*k));

	if (k == NULL || (path != NULL && (k->path = strdup(path)) == NULL)) {
		err_set(err, ERR_NOMEM, "out of memory");
		free(k);
		return NULL;
	}
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

struct keys *
keys_parse(str file, const char *name, struct err *err)
{
	struct keys *k = keys_new(NULL, err);

	if (k != NULL && (table_parse(&k->table, file, name, err) < 0 ||
	    take_usage(&k->table, &(struct table){ 0 }, err) < 0)) {
		keys_free(k);
		return NULL;
	}
	return k;
}

struct keys *
keys_load(const char *path, struct err *err)
{
	struct keys *k = keys_new(path, err);

	if (k != NULL && keys_reload(k, err) < 0) {
		keys_free(k);
		return NULL;
	}
	return k;
}

int
keys_reload(struct keys *k, struct err *err)
{
	struct table t = { 0 }, old;
	int ret = table_load(&t, k->path, err);

	pthread_mutex_lock(&k->lock);
	old = k->table;
	if (ret == 0 && (ret = take_usage(&t, &old, err)) == 0)
		k->table = t;
	table_free(ret == 0 ? &old : &t);
	pthread_mutex_unlock(&k->lock);
	return ret;
}

void
keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	table_free(&k->table);
	pthread_mutex_destroy(&k->lock);
	free(k->path);
	free(k);
}

int64_t
keys_count(struct keys *k)
{
	int64_t n;

	pthread_mutex_lock(&k->lock);
	n = k->table.n;
	pthread_mutex_unlock(&k->lock);
	return n;
}

/* Not 0 when they differ; it takes the same time wherever that is. */
static uint64_t
difference(const unsigned char a[KEY_HASH], const unsigned char b[KEY_HASH])
{
	uint64_t x[KEY_HASH / 8], y[KEY_HASH / 8], all = 0;

	memcpy(x, a, KEY_HASH);
	memcpy(y, b, KEY_HASH);
	for (int i = 0; i < KEY_HASH / 8; i++)
		all |= x[i] ^ y[i];
	return all;
}

struct key *
keys_find(struct keys *k, str bearer)
{
	unsigned char hash[KEY_HASH];
	struct key *found = NULL;

	if (bearer.n > BEARER_MAX)
		return NULL;
	blake2b(hash, KEY_HASH, S(""), bearer);
	pthread_mutex_lock(&k->lock);
	for (int64_t i = 0; i < k->table.n; i++) {
		struct key *key = k->table.key[i];

		found = difference(hash, key->hash) == 0 ? key : found;
	}
	if (found != NULL)
		found->refs++;
	pthread_mutex_unlock(&k->lock);
	return found;
}

void
key_put(struct keys *k, struct key *key)
{
	pthread_mutex_lock(&k->lock);
	key_free(key);
	pthread_mutex_unlock(&k->lock);
}

bool
key_may_use(const struct key *key, str model)
{
	str rest = key->models == NULL ? (str){ NULL, 0 } : str_of(key->models), base = model;

	if (rest.p == NULL)
		return true;
	base = str_cut(&base, ':');
	while (rest.p != NULL) {
		str name = str_cut(&rest, ',');

		if (name.n > 0 && (str_eq(name, model) || str_eq(name, base)))
			return true;
	}
	return false;
}

/* ---- limits ---- */

static const struct {
	const char *name, *text;
} refusals[KEY_REFUSALS] = {
	[KEY_ADMITTED] = { "none", "admitted" },
	[KEY_REQUESTS] = { "requests", "this key has sent too many requests" },
	[KEY_TOKENS] = { "tokens", "this key has used too many tokens" },
	[KEY_PARALLEL] = { "parallel", "this key has too many requests at once" },
	[KEY_CONTEXT] = { "context", "prompt and answer are longer than this key may ask for" },
	[KEY_PROMPT] = { "prompt", "the prompt has more tokens than this key may use at once" },
};

const char *
key_refusal_name(enum key_refusal r)
{
	return refusals[r].name;
}

const char *
key_refusal_text(enum key_refusal r)
{
	return refusals[r].text;
}

/* What is in a bucket dt seconds later; without a limit it is never empty. */
static double
refilled(const struct key_rate *rate, double level, double dt)
{
	double n = (double)rate->n;

	if (rate->n == 0)
		return (double)INFINITY;
	level += dt * n / rate->seconds;
	return level < n ? level : n;
}

static void
refill(const struct key *key, struct key_usage *u, double now)
{
	double dt = u->started ? now - u->at : (double)INFINITY;

	if (!(dt > 0))
		return;
	u->requests = refilled(&key->requests, u->requests, dt);
	u->tokens = refilled(&key->tokens, u->tokens, dt);
	u->at = now;
	u->started = true;
}

/* In how many seconds level is need; 0 when it is. */
static double
wait_for(const struct key_rate *rate, double level, double need)
{
	return rate->n == 0 || level >= need ? 0 :
	    (need - level) * rate->seconds / (double)rate->n;
}

static enum key_refusal
admit(const struct key *key, struct key_usage *u, double prompt, double all, double *wait)
{
	double capacity = (double)key->tokens.n;

	*wait = 0;
	if (key->context > 0 && all > (double)key->context)
		return KEY_CONTEXT;
	if (key->tokens.n > 0 && prompt > capacity)
		return KEY_PROMPT;
	if (key->parallel > 0 && u->running >= key->parallel) {
		*wait = 1;
		return KEY_PARALLEL;
	}
	if ((*wait = wait_for(&key->requests, u->requests, 1)) > 0)
		return KEY_REQUESTS;
	if ((*wait = wait_for(&key->tokens, u->tokens, all < capacity ? all : capacity)) > 0)
		return KEY_TOKENS;
	u->requests--;
	u->tokens -= all;
	u->running++;
	return KEY_ADMITTED;
}

enum key_refusal
key_admit(struct keys *k, struct key *key, int64_t prompt_tokens, int64_t max_tokens, double now,
    double *retry_after)
{
	enum key_refusal r;

	pthread_mutex_lock(&k->lock);
	refill(key, key->usage, now);
	r = admit(key, key->usage, (double)prompt_tokens,
	    (double)prompt_tokens + (double)max_tokens, retry_after);
	pthread_mutex_unlock(&k->lock);
	return r;
}

void
key_release(struct keys *k, struct key *key, int64_t unused, double now)
{
	struct key_usage *u = key->usage;

	pthread_mutex_lock(&k->lock);
	refill(key, u, now);
	u->running--;
	u->tokens += (double)unused;
	if (key->tokens.n > 0 && u->tokens > (double)key->tokens.n)
		u->tokens = (double)key->tokens.n;
	pthread_mutex_unlock(&k->lock);
}

/* ---- new ones ---- */

int
keys_new_line(str name, str settings, struct buf *secret, struct buf *line, struct err *err)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char random[SECRET], hash[KEY_HASH];
	ptrdiff_t from = secret->n, start = line->n;
	struct key *check;
	int ret;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_sys(err, "no random bytes");
	buf_add(secret, S("llm-"));
	base64_encode(secret, (str){ (const char *)random, sizeof(random) });
	explicit_bzero(random, sizeof(random));
	if (buf_ok(secret, err) < 0)
		return -1;
	/* As RFC 4648 has it for URLs, without the "=" at the end. */
	for (ptrdiff_t i = from; i < secret->n; i++)
		secret->p[i] = secret->p[i] == '+' ? '-' : secret->p[i] == '/' ? '_' : secret->p[i];
	while (secret->p[secret->n - 1] == '=')
		secret->n--;
	blake2b(hash, KEY_HASH, S(""), (str){ secret->p + from, secret->n - from });
	buf_add(line, name);
	buf_byte(line, ' ');
	for (int i = 0; i < KEY_HASH; i++) {
		buf_byte(line, hex[hash[i] >> 4]);
		buf_byte(line, hex[hash[i] & 15]);
	}
	if (settings.n > 0)
		buf_byte(line, ' ');
	buf_add(line, settings);
	if (buf_ok(line, err) < 0)
		return -1;
	if ((check = calloc(1, sizeof(*check))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	check->refs = 1;
	if (memchr(line->p + start, '\n', (size_t)(line->n - start)) != NULL ||
	    memchr(line->p + start, '#', (size_t)(line->n - start)) != NULL)
		ret = err_set(err, ERR_ARG, "a line has neither newlines nor '#'");
	else
		ret = parse_line(check, (str){ line->p + start, line->n - start }, err);
	key_free(check);
	buf_byte(line, '\n');
	return ret < 0 ? -1 : buf_ok(line, err);
}
