/*
 * Blocks beyond the cache: what is where is what a plain model of three tiers says, under
 * any texts that come and go, and the bytes are the right ones also when moves take their
 * time and fail; texts go on with the bits of an engine that keeps all, whatever the cache's
 * type; and a file that is full, short or damaged costs time and no bit.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "infer/offload_impl.h"
#include "model/adapters.h"
#include "../lib/texts.h"

/* ---- against a plain model ---- */

enum {
	FAN = 3, DEPTH = 5, SALTS = 2, CODES = 4096,	/* paths; of salts and digits */
	TEXTS = 3, CACHE = 14, MEMORY = 520, DISK = 300, MOVES = 64
};

/* Of each path: where it is at home, since when, and who has it. */
struct place {
	int	home;		/* a tier, or -1 */
	int64_t	since;
	int	holders;
};

struct text_path {
	int	code[DEPTH];	/* its first so many blocks */
	int32_t	slot[DEPTH];
	int	n;
};

struct world {
	struct prefix *p;
	int64_t	slots[TIERS], want;
	struct place place[CODES];
	int64_t	clock;
	struct text_path text[TEXTS];
	int32_t	unused[CACHE];
	int	n_unused;
	/* what is in each slot: a path */
	int	cache[CACHE], memory[MEMORY], disk[DISK];
	/* moves that are not over */
	struct prefix_move move[MOVES];
	bool	read[MOVES];
	int	n_moves;
	bool	slow;		/* they take their time, and fail */
	uint64_t seed, draws;
	bool	right, bytes;
	int64_t	from[TIERS], failed;
};

static uint64_t
draw(struct world *w, uint64_t n)
{
	return rng_below(w->seed, 1, w->draws++, n);
}

/* The digits of a path are its code's, behind the salt and 1. */
static int
code_of(int parent, int digit)
{
	return parent * (FAN + 1) + digit;
}

static struct prefix_root
root_of(int salt)
{
	return (struct prefix_root){ .salt = (uint64_t)salt };
}

static void
tokens_of(int digit, int32_t *token)
{
	for (int i = 0; i < CACHE_BLOCK; i++)
		token[i] = digit + 1 + i % 2;
}

static int
oldest(const struct world *w, int home)
{
	int best = -1;

	for (int i = 0; i < CODES; i++)
		if (w->place[i].home == home && w->place[i].holders == 0 &&
		    (best < 0 || w->place[i].since < w->place[best].since))
			best = i;
	return best;
}

static int64_t
count(const struct world *w, int home)
{
	int64_t n = 0;

	for (int i = 0; i < CODES; i++)
		n += w->place[i].home == home;
	return n;
}

/* Down by one tier, and who has no room there any more further. */
static void
model_down(struct world *w, int code, int to)
{
	while (to < TIERS && w->slots[to] == 0)
		to++;
	w->place[code].home = to < TIERS ? to : -1;
	w->place[code].since = w->clock++;
	if (to < TIERS && count(w, to) > w->slots[to] - (to == TIER_MEMORY ? w->want : 0))
		model_down(w, oldest(w, to), to + 1);
}

/* One that has waited for long enough is over. */
static void
end_move(struct world *w, int i)
{
	struct prefix_move m = w->move[i];
	bool well = !w->slow || draw(w, w->read[i] ? 10 : 200) > 0;

	if (well && w->read[i])
		w->memory[m.memory] = w->disk[m.disk];
	else if (well)
		w->disk[m.disk] = w->memory[m.memory];
	w->failed += !well;
	w->move[i] = w->move[--w->n_moves];
	w->read[i] = w->read[w->n_moves];
	prefix_moved(w->p, m.node, well);
}

static void
moves(struct world *w)
{
	struct prefix_move m;

	while (w->n_moves > 0 && (!w->slow || draw(w, 3) > 0))
		end_move(w, (int)draw(w, (uint64_t)w->n_moves));
	while (w->n_moves < MOVES && prefix_write(w->p, &m)) {
		w->read[w->n_moves] = false;
		w->move[w->n_moves++] = m;
		if (!w->slow)
			end_move(w, 0);
	}
}

/* A slot of the cache, or -1. */
static int32_t
take_slot(struct world *w)
{
	int32_t slot, to;

	if (w->n_unused > 0)
		return w->unused[--w->n_unused];
	if ((slot = prefix_give_up(w->p, &to)) < 0)
		return -1;
	if (!w->slow) {
		w->right &= oldest(w, TIER_CACHE) == w->cache[slot];
		model_down(w, w->cache[slot], TIER_MEMORY);
	} else {
		w->place[w->cache[slot]].home = -1;
	}
	if (to >= 0)
		w->memory[to] = w->cache[slot];
	moves(w);
	return slot;
}

/* What is where as the model has it, and are its bytes this path's? */
static void
check(struct world *w, int code, int32_t node)
{
	int32_t at[TIERS] = { -1, -1, -1 };
	int home = w->place[code].home;

	for (int t = 0; t < TIERS && node >= 0; t++)
		at[t] = prefix_slot(w->p, node, (enum tier)t);
	w->bytes &= (at[0] < 0 || w->cache[at[0]] == code) &&
	    (at[1] < 0 || w->memory[at[1]] == code) && (at[2] < 0 || w->disk[at[2]] == code);
	if (!w->slow)
		w->right &= home < 0 ? node < 0 : node >= 0 && at[home] >= 0 &&
		    (home == TIER_CACHE || at[0] < 0);
}

/* The next block of a text, found or brought back: its slot, or -1. */
static int32_t
next_block(struct world *w, const struct prefix_root *root, int32_t parent, int digit, int code)
{
	struct prefix_move m;
	int32_t token[CACHE_BLOCK], node, slot, from;

	tokens_of(digit, token);
	node = prefix_find(w->p, root, parent, token);
	check(w, code, node);
	if (node < 0)
		return -1;
	if ((slot = prefix_slot(w->p, node, TIER_CACHE)) >= 0) {
		if (w->place[code].holders++ == 0)
			prefix_wake(w->p, slot);
		w->from[TIER_CACHE]++;
		return slot;
	}
	if (prefix_slot(w->p, node, TIER_MEMORY) < 0 && !prefix_moving(w->p, node) &&
	    w->n_moves < MOVES && prefix_read(w->p, node, &m)) {
		w->read[w->n_moves] = true;
		w->move[w->n_moves++] = m;
		w->from[TIER_DISK]++;
		moves(w);
	}
	if ((slot = take_slot(w)) < 0)
		return -1;
	node = prefix_find(w->p, root, parent, token);
	check(w, code, node);
	if (node < 0 || (from = prefix_slot(w->p, node, TIER_MEMORY)) < 0) {
		w->unused[w->n_unused++] = slot;
		return -1;
	}
	w->cache[slot] = w->memory[from];
	w->bytes &= w->cache[slot] == code;
	prefix_come_back(w->p, node, slot);
	w->place[code] = (struct place){ TIER_CACHE, 0, 1 };
	w->from[TIER_MEMORY]++;
	return slot;
}

static void
end_text(struct world *w, struct text_path *t)
{
	while (t->n > 0) {
		struct place *p = &w->place[t->code[--t->n]];

		if (--p->holders == 0) {
			prefix_rest(w->p, t->slot[t->n]);
			p->since = w->clock++;
		}
	}
}

/* Digits of the later blocks are likely the same: so are texts. */
static void
begin_text(struct world *w, struct text_path *t)
{
	int n = 1 + (int)draw(w, DEPTH), salt = (int)draw(w, SALTS), parent = 1 + salt;
	struct prefix_root root = root_of(salt);
	int32_t node = -1;

	for (t->n = 0; t->n < n; t->n++) {
		int digit = (int)draw(w, FAN), code = code_of(parent, digit);
		int32_t token[CACHE_BLOCK], slot = next_block(w, &root, node, digit, code), other;

		tokens_of(digit, token);
		if (slot < 0) {
			/* It is computed; and found, if only now it can be. */
			if ((slot = take_slot(w)) < 0)
				return;
			w->cache[slot] = code;
			other = prefix_find(w->p, &root, node, token);
			check(w, code, other);
			if (other >= 0)
				prefix_come_back(w->p, other, slot);
			else
				prefix_add(w->p, slot, &root, node, token);
			w->place[code] = (struct place){ TIER_CACHE, 0, 1 };
		}
		t->code[t->n] = code;
		t->slot[t->n] = slot;
		node = prefix_at(w->p, slot);
		parent = code;
	}
}

/* All nodes from here on: what they have in a tier. */
static int64_t
used(struct world *w, const struct prefix_root *root, int32_t parent, int code, int depth,
    enum tier tier)
{
	int64_t n = 0;

	for (int digit = 0; digit < FAN && depth < DEPTH; digit++) {
		int32_t token[CACHE_BLOCK], node;
		int at = code_of(code, digit);

		tokens_of(digit, token);
		if ((node = prefix_find(w->p, root, parent, token)) < 0)
			continue;
		check(w, at, node);
		n += prefix_slot(w->p, node, tier) >= 0;
		n += used(w, root, node, at, depth + 1, tier);
	}
	return n;
}

static void
test_world(uint64_t seed, int64_t memory, int64_t disk, bool slow)
{
	static struct world w;
	bool whole = true;
	char line[96];

	w = (struct world){ .slots = { CACHE, memory, disk }, .slow = slow, .seed = seed,
	    .right = true, .bytes = true };
	/* Slots of memory that are kept ready: READY of prefix.c. */
	w.want = disk == 0 ? 0 : memory / 4 > 128 ? memory / 4 : memory / 2 < 128 ? memory / 2 : 128;
	must((w.p = prefix_new(w.slots, &err)) != NULL, "prefix");
	for (int i = 0; i < CODES; i++)
		w.place[i].home = -1;
	while (w.n_unused < CACHE) {
		w.unused[w.n_unused] = w.n_unused;
		w.n_unused++;
	}
	for (int round = 0; round < 12000; round++) {
		struct text_path *t = &w.text[draw(&w, TEXTS)];

		if (t->n > 0)
			end_text(&w, t);
		else
			begin_text(&w, t);
		moves(&w);
	}
	for (int i = 0; i < TEXTS; i++)
		end_text(&w, &w.text[i]);
	while (w.n_moves > 0)
		end_move(&w, 0);
	for (enum tier t = TIER_MEMORY; t < TIERS; t++) {
		int64_t n = 0;

		for (int salt = 0; salt < SALTS; salt++) {
			struct prefix_root root = root_of(salt);

			n += used(&w, &root, -1, 1 + salt, 0, t);
		}
		whole &= n == prefix_used(w.p, t);
	}
	snprintf(line, sizeof(line), "%lld in memory, %lld on disk%s", (long long)memory,
	    (long long)disk, slow ? ", moves that take time and fail" : "");
	printf("# %s: %lld found, %lld from memory, %lld from disk, %lld failed\n", line,
	    (long long)w.from[0], (long long)w.from[1], (long long)w.from[2], (long long)w.failed);
	ok(w.right, line);
	ok(w.bytes, "the bytes are what they were");
	ok(whole, "and no slot is lost");
	ok(w.from[0] > 100 && (w.from[1] > 100) == (memory > 0) &&
	    (w.from[2] > 100) == (disk > 0) && (w.failed > 50) == slow, "much came back");
	prefix_free(w.p);
}

static void
test_worlds(void)
{
	for (uint64_t seed = 1; seed <= 2; seed++) {
		test_world(seed, 0, 0, false);
		test_world(seed, 30, 0, false);
		test_world(seed, 16, 40, false);
		test_world(seed, 300, 200, false);
		test_world(seed, MEMORY, 200, false);
		test_world(seed, 16, 40, true);
		test_world(seed, 160, 300, true);
	}
}

/* ---- texts that come back ---- */

/* Heads of whole blocks, for keys and values in 8 and 4 bits. */
static const struct config wide = {
	.arch = ARCH_LLAMA, .vocab = LETTERS, .width = 64, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 32, .ffn = 48, .context = 160, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.3,
};

enum { PROMPTS = 40, LONG = 150, FOUND = LONG / CACHE_BLOCK * CACHE_BLOCK };

struct visits {
	struct engine	*e, *bare;
	int64_t		 vocab;
	int		 adapter, warned;
	struct err	 why;
	char		 dir[64];
	bool		 same;
};

static void
on_warn(void *ctx, const struct err *why)
{
	struct visits *v = ctx;

	v->warned++;
	v->why = *why;
}

/* A prompt is read again: how many of its tokens come back. */
static int64_t
visit(struct visits *v, int which, int64_t length, uint64_t salt)
{
	int32_t token[LONG];
	struct seq *s = seq_new(v->e, &err), *want = seq_new(v->bare, &err);
	int64_t found;

	must(s != NULL && want != NULL, "sequences");
	for (int64_t i = 0; i < length; i++)
		token[i] = (int32_t)rng_below((uint64_t)which, 1, (uint64_t)i, (uint64_t)v->vocab);
	seq_adapt(s, v->adapter);
	seq_adapt(want, v->adapter);
	seq_salt(s, salt);
	while ((found = seq_find(s, token, length, &err)) >= 0 && seq_coming(s))
		engine_await(v->e);
	must(found >= 0 && seq_push(s, token + found, length - found, &err) == 0 &&
	    seq_push(want, token, length, &err) == 0 && engine_run(v->e, &s, 1, &err) == 0 &&
	    engine_run(v->bare, &want, 1, &err) == 0, "run");
	v->same &= memcmp(seq_logits(s), seq_logits(want), (size_t)v->vocab * sizeof(float)) == 0;
	seq_free(s);
	seq_free(want);
	return found;
}

static int64_t
visit_all(struct visits *v, int n, int64_t length)
{
	int64_t found = 0;

	for (int i = 0; i < n; i++) {
		found += visit(v, i, length, 0);
		usleep(500);
	}
	return found;
}

static void
visits_begin(struct visits *v, struct rig *g, dtype kv, int64_t memory, int64_t disk)
{
	const char *tmp = getenv("TMPDIR");

	*v = (struct visits){ .vocab = g->m.config.vocab, .same = true };
	snprintf(v->dir, sizeof(v->dir), "%.40s/offload.XXXXXX", tmp != NULL ? tmp : "/tmp");
	must(mkdtemp(v->dir) != NULL, "directory");
	v->e = engine_new(&g->m, &(struct engine_options){ .pass = 64, .cache = LONG,
	    .keep = true, .kv = kv, .spill = memory, .spill_disk = disk, .spill_dir = v->dir,
	    .warn = on_warn, .warn_ctx = v }, &err);
	v->bare = engine_new(&g->m, &(struct engine_options){ .pass = 64, .kv = kv }, &err);
	must(v->e != NULL && v->bare != NULL, "engines");
}

static void
visits_end(struct visits *v)
{
	ok(engine_unused(v->e) == engine_cache(v->e), "no block of the cache is lost");
	engine_free(v->e);
	engine_free(v->bare);
	ok(rmdir(v->dir) == 0, "and nothing stays in the directory");
}

/* A model, by its blocks in memory. */
static void
test_memory(struct rig *g, const char *what, dtype kv, int adapter)
{
	struct engine_offloaded s;
	struct visits v;
	int64_t n = g->m.config.context < LONG ? g->m.config.context : LONG, found;

	visits_begin(&v, g, kv, 8 << 20, 0);
	v.adapter = adapter;
	ok(visit_all(&v, 6, n) == 0, what);
	found = visit_all(&v, 6, n);
	engine_offloaded(v.e, &s);
	ok(found == 6 * ((n - 1) / CACHE_BLOCK * CACHE_BLOCK), "all come back");
	ok(s.from_memory > 0 && s.from_disk == 0 && s.lost == 0, "from memory");
	ok(visit(&v, 0, n, 1) == 0, "nothing for another salt");
	ok(v.same, "with the same bits");
	visits_end(&v);
}

static void
test_models(void)
{
	static const char *const model[] = { "llama", "gpt2", "deepseek-v2", "gemma2", "gemma3",
	    "qwen3-moe" };
	static const dtype kv[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0 };
	const struct adapter_named named[] = { { S("lora"), "tests/data/adapter/lora" } };
	struct adapters *a;
	struct rig g;

	for (size_t i = 0; i < sizeof(model) / sizeof(model[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "tests/data/model/%s", model[i]);
		rig_open(&g, 1);
		must(model_load(&g.m, path, g.dev, false, &err) == 0, path);
		test_memory(&g, model[i], DTYPE_NONE, 0);
		rig_close(&g);
	}
	rig_open(&g, 1);
	must(model_init(&g.m, &wide, g.dev, false, 3, &err) == 0, "wide");
	for (size_t i = 0; i < sizeof(kv) / sizeof(kv[0]); i++)
		test_memory(&g, dtype_name(kv[i]), kv[i], 0);
	rig_close(&g);
	rig_open(&g, 1);
	must((a = g.m.adapters = adapters_open(named, 1, &err)) != NULL &&
	    model_load(&g.m, "tests/data/model/llama", g.dev, false, &err) == 0, "adapter");
	test_memory(&g, "an adapter", DTYPE_NONE, 1);
	rig_close(&g);
	adapters_free(a);
}

static void
test_states(void)
{
	struct engine_offloaded s;
	struct engine *e;
	struct rig g;

	rig_open(&g, 1);
	must(model_load(&g.m, "tests/data/model/mamba", g.dev, false, &err) == 0 &&
	    (e = engine_new(&g.m, &(struct engine_options){ .keep = true, .spill = 1 << 20 },
	    &err)) != NULL, "mamba");
	engine_offloaded(e, &s);
	ok(engine_settings(e)->spill == 0 && s.block_bytes == 0, "of states nothing is kept, and it says so");
	engine_free(e);
	rig_close(&g);
}

/* ---- a disk ---- */

/* The file, which has no name. */
static int
file_of(const struct visits *v)
{
	int fd = -1;
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *x;

	must(d != NULL, "/proc/self/fd");
	while ((x = readdir(d)) != NULL) {
		char path[64], to[256];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", x->d_name);
		if ((n = readlink(path, to, sizeof(to) - 1)) <= 0)
			continue;
		to[n] = '\0';
		if (strncmp(to, v->dir, strlen(v->dir)) == 0)
			fd = (int)strtol(x->d_name, NULL, 10);
	}
	closedir(d);
	return fd;
}

static void
damage(int fd, bool whole)
{
	char junk[4096];
	struct stat st;

	memset(junk, 0x5a, sizeof(junk));
	must(fstat(fd, &st) == 0, "stat");
	for (off_t at = 0; at < st.st_size && whole; at += (off_t)sizeof(junk))
		must(pwrite(fd, junk, sizeof(junk), at) == (ssize_t)sizeof(junk), "write");
	must(whole || ftruncate(fd, 100) == 0, "truncate");
}

static void
test_disk(struct rig *g)
{
	struct engine_offloaded s;
	struct visits v;
	struct stat st;
	int64_t all = PROMPTS * FOUND, found;
	int fd;

	visits_begin(&v, g, DTYPE_NONE, 0, 2 << 20);
	fd = file_of(&v);
	ok(fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0 && (st.st_mode & 0777) == 0600,
	    "a file without a name, its owner's");
	visit_all(&v, PROMPTS, LONG);
	found = visit_all(&v, PROMPTS, LONG);
	engine_offloaded(v.e, &s);
	printf("# %lld of %lld tokens, %lld blocks from memory, %lld from disk, %lld lost\n",
	    (long long)found, (long long)all, (long long)s.from_memory, (long long)s.from_disk,
	    (long long)s.lost);
	ok(found > 0 && found + s.lost * CACHE_BLOCK >= all && s.from_disk > PROMPTS,
	    "texts come back from the disk");
	ok(v.same && v.warned == 0, "with the same bits");
	must(fstat(fd, &st) == 0, "stat");
	ok(s.in_memory <= s.memory && s.on_disk <= s.disk && st.st_size <= 2 << 20 &&
	    s.disk * s.block_bytes <= 2 << 20, "and no more is kept than may be");
	damage(fd, true);
	visit_all(&v, PROMPTS, LONG);
	ok(v.same && v.warned == 1 && strstr(v.why.msg, "damaged") != NULL,
	    "what was damaged is computed, and told once");
	damage(fd, false);
	visit_all(&v, PROMPTS, LONG);
	visit_all(&v, PROMPTS, LONG);
	engine_offloaded(v.e, &s);
	ok(v.same && v.warned == 1 && s.faults > 1, "so is what is cut off");
	found = visit_all(&v, PROMPTS, LONG);
	ok(found > all / 2 && v.same, "and then it goes on as before");
	visits_end(&v);
}

static void
test_full_disk(struct rig *g)
{
	struct rlimit had, less = { 20000, 20000 };
	struct engine_offloaded s;
	struct visits v;

	visits_begin(&v, g, DTYPE_NONE, 0, 2 << 20);
	must(getrlimit(RLIMIT_FSIZE, &had) == 0, "limit");
	less.rlim_max = had.rlim_max;
	must(setrlimit(RLIMIT_FSIZE, &less) == 0, "limit");
	visit_all(&v, PROMPTS, LONG);
	visit_all(&v, PROMPTS, LONG);
	/* Once it was tried to write all of it. */
	for (int i = 0; i < 100 && visit_all(&v, 6, LONG) < 6 * FOUND; i++)
		;
	ok(visit_all(&v, 6, LONG) == 6 * FOUND, "what a full disk does not take stays in memory");
	must(setrlimit(RLIMIT_FSIZE, &had) == 0, "limit");
	engine_offloaded(v.e, &s);
	ok(v.same && v.warned == 1 && s.faults > 1, "it is told once, and costs no bit");
	visits_end(&v);
	must(mkdir("/proc/none", 0700) != 0, "no directory");
	ok(engine_new(&g->m, &(struct engine_options){ .keep = true, .spill_disk = 1 << 20,
	    .spill_dir = "/proc/none" }, &err) == NULL && err.code == ERR_IO,
	    "no file, no engine");
}

/* What is read slower than it is computed is not waited for. */
static void
test_slow(struct rig *g)
{
	struct engine_offloaded s, then;
	struct visits v;

	visits_begin(&v, g, DTYPE_NONE, 0, 2 << 20);
	visit_all(&v, PROMPTS, LONG);
	visit_all(&v, PROMPTS, LONG);
	engine_offloaded(v.e, &s);
	engine_pace(v.e, 1e-12);
	visit_all(&v, 20, LONG);
	engine_offloaded(v.e, &then);
	ok(s.from_disk > 0 && then.from_disk == 0 && v.same,
	    "what is computed sooner is not read");
	engine_pace(v.e, 1);
	visit_all(&v, PROMPTS, LONG);
	engine_offloaded(v.e, &then);
	ok(then.from_disk > 0 && v.same, "until it is not");
	visits_end(&v);
}

int
main(void)
{
	struct rig g;

	test_worlds();
	test_models();
	test_states();
	rig_open(&g, 2);
	must(model_init(&g.m, &letters, g.dev, false, 7, &err) == 0, "model");
	test_disk(&g);
	test_full_disk(&g);
	test_slow(&g);
	rig_close(&g);
	return tap_done();
}
