/*
 * Who has a place: in which order texts begin, who is taken off and for whom; and
 * that nothing of it, at any step, changes a bit of a text, loses one, or goes on
 * for ever.
 */
#include "base/progress.h"
#include "infer/matcher.h"
#include "infer/scheduler_impl.h"
#include "../lib/texts.h"

enum { MANY = 48 };

static struct rig rig;
static struct tokenizer *tok;
static struct told alone[MANY], told[MANY];

struct served {
	struct engine	*e;
	struct scheduler *s;
	struct draft	*d;		/* guesses, where the engine has rows for them */
};

static struct served
serve(const struct engine_options *o)
{
	struct served x = { .e = engine_new(&rig.m, o, &err) };

	must(x.e != NULL && (x.s = scheduler_new(x.e, tok, &err)) != NULL, "scheduler");
	if (o->rows > 0) {
		x.d = o->early > 0 ? draft_early(x.e, 3, &err) : draft_lookup(8, &err);
		must(x.d != NULL, "draft");
		draft_always(x.d);
		scheduler_guess(x.s, x.d);
	}
	return x;
}

static void
end(struct served *x)
{
	ok(engine_unused(x->e) == engine_cache(x->e), "no block of the cache is lost");
	scheduler_free(x->s);
	draft_free(x->d);
	engine_free(x->e);
}

static void
submit(struct served *x, struct told *t)
{
	must(scheduler_submit(x->s, &t->r, &err) == 0, "submit");
}

static void
step(struct served *x)
{
	must(scheduler_step(x->s, &err) == 0, "step");
}

static bool
busy(const struct served *x)
{
	return scheduler_running(x->s) + scheduler_waiting(x->s) > 0;
}

/* ---- taken off at every step ---- */

static void
take_off(struct served *x, int64_t number)
{
	for (int i = 0; i < x->s->n; i++)
		if (x->s->text[i]->number == number) {
			must(text_take_off(x->s, x->s->text[i], &err) == 0, "off");
			return;
		}
}

/* The text of this number is taken off after so many steps; 0: there was no such step. */
static bool
one_off(const struct engine_options *o, int n, int victim, int after, bool *same)
{
	struct served x = serve(o);
	int steps = 0;

	for (int i = 0; i < n; i++) {
		told_init(&told[i], (uint64_t)i, told[i].r.n, told[i].r.max_tokens);
		told[i].r.sampler = alone[i].r.sampler;
		told[i].r.constraint = alone[i].r.constraint;
		submit(&x, &told[i]);
	}
	for (; busy(&x); steps++) {
		if (steps == after)
			take_off(&x, victim);
		step(&x);
	}
	for (int i = 0; i < n; i++)
		*same &= told_same(&told[i], &alone[i]);
	*same &= engine_unused(x.e) == engine_cache(x.e);
	scheduler_free(x.s);
	draft_free(x.d);
	engine_free(x.e);
	return steps > after;
}

static void
test_every_step(const struct engine_options *o, const char *what)
{
	enum { N = 3 };
	struct engine_options by_one = { .pass = 64, .window = o->window, .sinks = o->sinks };
	struct grammar *g = grammar_regex(S("([B-M]{2}[N-Z])*"), &err);
	int32_t eos = 0;
	struct token_trie *trie = token_trie_new(tok, &eos, 1, &err);
	struct constraint *c = g == NULL || trie == NULL ? NULL : constraint_new(g, trie, &err);
	bool same = true;
	int tried = 0;

	must(c != NULL, "constraint");
	for (int i = 0; i < N; i++) {
		told_init(&alone[i], (uint64_t)i, 5 + 20 * i, 12 + i);
		alone[i].r.sampler.repeat = 1.3;
		alone[i].r.constraint = i == 1 ? c : NULL;
		told_alone_in(&rig.m, &by_one, tok, &alone[i]);
		told[i].r = alone[i].r;
	}
	for (int victim = 0; victim < N; victim++)
		for (int after = 0; one_off(o, N, victim, after, &same); after++)
			tried++;
	printf("# %s: %d times\n", what, tried);
	ok(same && tried > 30, what);
	ok(constraint_unused(c), "their grammar is free");
	constraint_free(c);
	token_trie_free(trie);
	grammar_free(g);
}

/* ---- a full cache ---- */

/* Return how many tokens were computed. */
static int64_t
test_full(bool keep, int64_t spill, int64_t spill_disk)
{
	enum { N = 12 };
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = 6,
	    .cache = 96, .keep = keep, .spill = spill, .spill_disk = spill_disk,
	    .spill_dir = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp" });
	struct engine_offloaded off;
	int64_t taken_off = 0, most = 0, steps = 0, computed;
	bool same = true;

	for (int i = 0; i < N; i++) {
		told_init(&alone[i], (uint64_t)i, 3 + 2 * i, 120);
		told_alone(&rig.m, tok, &alone[i]);
		told_init(&told[i], (uint64_t)i, 3 + 2 * i, 120);
		submit(&x, &told[i]);
	}
	for (; busy(&x) && steps < 100000; steps++) {
		step(&x);
		if (most < x.s->n)
			most = x.s->n;
	}
	for (int i = 0; i < N; i++) {
		same &= told_same(&told[i], &alone[i]) && told[i].report.end != TEXT_FAILED;
		taken_off += told[i].report.taken_off;
	}
	engine_offloaded(x.e, &off);
	/* Of seven parts to one: it is counted by the class's share. */
	computed = (int64_t)(x.s->spent[CLASS_INTERACTIVE] * 7 + 0.5);
	printf("# %lld steps, %lld times taken off, %lld at once, %lld tokens, %lld blocks came "
	    "back\n", (long long)steps, (long long)taken_off, (long long)most,
	    (long long)computed, (long long)(off.from_memory + off.from_disk));
	ok(same && taken_off > 2, spill_disk > 0 ? "with a disk" : spill > 0 ? "that spills" :
	    keep ? "a full cache that keeps" : "texts taken off a full cache are whole");
	/* Two have no room to write all that they may. */
	ok(most >= 2, "more begin than could write all that they may");
	ok((off.from_memory > 0) == (spill + spill_disk > 0), "what is spilled comes back");
	end(&x);
	return computed;
}

static void
test_all_full(void)
{
	int64_t none = test_full(false, 0, 0), keep = test_full(true, 0, 0);
	int64_t spill = test_full(true, 1 << 20, 0), disk = test_full(true, 0, 1 << 20);

	ok(keep < none && spill < keep && disk < keep, "and is not computed again");
}

/* ---- order ---- */

/* Texts of 20 tokens in one place end in this order. */
static void
test_order(const char *what, int n, const int *order, double token_seconds, bool one_runs)
{
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = 1, .keep = true });
	bool right = true;
	int at = 0;

	x.s->token_seconds = token_seconds;
	for (int i = 0; i < n; i++) {
		submit(&x, &told[i]);
		if (i == 0 && one_runs)
			step(&x);
	}
	while (busy(&x)) {
		step(&x);
		for (int i = 0; i < n; i++)
			if (told[i].done == 1) {
				right &= at < n && order[at++] == i;
				told[i].done++;
			}
	}
	ok(right && at == n, what);
	end(&x);
}

static void
fresh(int n)
{
	for (int i = 0; i < n; i++)
		told_init(&told[i], (uint64_t)i, 8 + i, 20);
}

static void
test_orders(void)
{
	double now = progress_now();

	fresh(4);
	test_order("in the order they came", 4, (int[]){ 0, 1, 2, 3 }, 0.001, false);
	fresh(4);
	told[2].r.priority = 1;
	told[3].r.priority = -1;
	told[0].r.priority = -2;
	test_order("by priority", 4, (int[]){ 2, 1, 3, 0 }, 0, false);
	fresh(3);
	told[2].r.priority = 1;
	test_order("a higher one takes the place", 3, (int[]){ 2, 0, 1 }, 0, true);
	fresh(4);
	told[1].r.deadline = now + 9;
	told[2].r.deadline = now + 5;
	told[3].r.deadline = now + 100;
	test_order("by deadline", 4, (int[]){ 2, 1, 0, 3 }, 0, false);
	fresh(3);
	told_init(&told[1], 1, 60, 20);
	for (int i = 0; i < 3; i++)
		told[i].r.deadline = now + 8 + (i == 1);
	/* By the deadlines alone it would be the last. */
	test_order("less what a prompt takes", 3, (int[]){ 1, 2, 0 }, 1000, false);
	fresh(2);
	told[0].r.class = CLASS_BATCH;
	test_order("who waits for an answer takes the place of a batch", 2, (int[]){ 1, 0 }, 0, true);
	fresh(2);
	told[1].r.class = CLASS_BATCH;
	told[1].r.priority = 9;
	test_order("and a batch that of nobody", 2, (int[]){ 0, 1 }, 0, true);
}

/* Both classes have texts all the time, in one place or more. */
static void
test_share(int64_t seqs)
{
	enum { N = 4, STEPS = 4000 };
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = seqs });
	int64_t tokens[TEXT_CLASSES] = { 0 }, whole = 0;
	double part;

	for (int i = 0; i < N * 2; i++) {
		told_init(&told[i], (uint64_t)i, 10, 40);
		told[i].r.class = i < N ? CLASS_INTERACTIVE : CLASS_BATCH;
		submit(&x, &told[i]);
	}
	for (int k = 0; k < STEPS; k++) {
		step(&x);
		for (int i = 0; i < N * 2; i++) {
			struct told *t = &told[i];

			if (t->done == 0)
				continue;
			tokens[t->r.class] += t->n + t->r.n;
			whole += t->r.class == CLASS_BATCH;
			t->done = 0;
			t->n = t->n_text = 0;
			submit(&x, t);
		}
	}
	part = (double)tokens[CLASS_BATCH] /
	    (double)(tokens[CLASS_BATCH] + tokens[CLASS_INTERACTIVE]);
	printf("# %lld at once: a part of %.3f, %lld texts of it\n", (long long)seqs, part,
	    (long long)whole);
	ok(whole > 3 && part > 0.02 && part < 0.25, "no class starves");
	must(scheduler_stop(x.s, &err) == 0, "stop");
	end(&x);
}

/* ---- long prompts ---- */

static void
test_pieces(void)
{
	enum { PASS = 16 };
	struct served x = serve(&(struct engine_options){ .pass = PASS, .seqs = 4 });
	bool each = true, bounded = true;
	int64_t steps = 0;

	for (int i = 0; i < 4; i++) {
		told_init(&told[i], (uint64_t)i, i < 2 ? 3 : 100, i < 2 ? 60 : 3);
		submit(&x, &told[i]);
	}
	step(&x);
	for (int64_t had = told[0].n; told[0].done == 0 && steps < 100; had = told[0].n, steps++) {
		int64_t before[4], sum = 0;

		for (int i = 0; i < x.s->n; i++)
			before[i] = -seq_computed(x.s->text[i]->seq) * !x.s->text[i]->over;
		for (int i = 0; i < x.s->n; i++)
			sum += before[i];
		step(&x);
		if (x.s->n == 4) {
			for (int i = 0; i < 4; i++)
				sum += seq_computed(x.s->text[i]->seq);
			bounded &= sum <= PASS;
		}
		each &= told[0].n == had + 1;
	}
	ok(each && steps > 50, "a text gets a token each step, whatever prompts are beside it");
	ok(bounded, "and no step is more than a pass");
	must(scheduler_finish(x.s, &err) == 0, "finish");
	end(&x);
}

/* A batch whose prompt is long, and interactive texts beside it. */
static void
test_short_steps(void)
{
	enum { PASS = 128, PROMPT = 150 };
	struct served x = serve(&(struct engine_options){ .pass = PASS, .seqs = 3 });
	struct told *batch = &told[0];
	const struct text *t;
	bool pieces = true;

	/* A row takes 4 ms. */
	for (int64_t rows = 1; rows <= PASS; rows *= 2)
		rowtime_learn(&x.s->rowtime, rows, 0.004 * (double)rows);
	told_init(batch, 0, PROMPT, 9);
	batch->r.class = CLASS_BATCH;
	submit(&x, batch);
	step(&x);
	t = x.s->text[0];
	ok(t->given == PASS, "a batch alone has all of a step");
	take_off(&x, t->number);

	told_init(&told[1], 1, 10, 60);
	submit(&x, &told[1]);
	step(&x);
	ok(told[1].n == 1 && t->given == 0, "it rests while an interactive prompt is computed");
	while (t->given < PROMPT && pieces) {
		int64_t had = t->given;

		step(&x);
		pieces = t->given - had <= CACHE_BLOCK && t->given > had;
	}
	ok(pieces, "beside an interactive text it has little of a step, and some");

	told_init(&told[2], 2, 10, 60);
	submit(&x, &told[2]);
	step(&x);
	ok(told[2].n == 1 && batch->n == 1, "and rests when it is being written");
	step(&x);
	ok(told[2].n == 2 && batch->n == 2, "for that step alone");
	must(scheduler_finish(x.s, &err) == 0, "finish");
	end(&x);
}

/* ---- all of it at once ---- */

static void
make_random(struct told *t, uint64_t seed, int i, double now)
{
	uint64_t at = (uint64_t)i * 16;
	int64_t n = 1 + (int64_t)rng_below(seed, 2, at, 90);

	/* Few beginnings, so that they are shared; and ends of their own. */
	told_init(t, rng_below(seed, 2, at + 1, 3), n, 1 + (int64_t)rng_below(seed, 2, at + 2, 60));
	for (int64_t k = n - n / 4; k < n; k++)
		t->prompt[k] = 1 + (i * 5 + (int32_t)k) % (LETTERS - 1);
	t->r.stream = (uint64_t)i;
	t->r.ignore_eos = rng_below(seed, 2, at + 3, 2) == 0;
	t->r.salt = rng_below(seed, 2, at + 4, 4) == 0;
	t->r.class = rng_below(seed, 2, at + 5, 2) == 0 ? CLASS_BATCH : CLASS_INTERACTIVE;
	t->r.priority = (int)rng_below(seed, 2, at + 6, 3);
	t->r.deadline = rng_below(seed, 2, at + 7, 2) == 0 ? 0 :
	    now + (double)rng_below(seed, 2, at + 8, 100) * 0.01;
	t->r.sampler.repeat = rng_below(seed, 2, at + 9, 2) == 0 ? 1 : 1.2;
}

/* One thing that a moment may bring; false: nothing more. */
static void
happen(struct served *x, uint64_t seed, uint64_t moment, bool force, int *came)
{
	uint64_t what = rng_below(seed, 3, moment, 10);
	int any = (int)rng_below(seed, 4, moment, MANY);

	if (what < 4 && *came < MANY) {
		submit(x, &told[(*came)++]);
	} else if (what == 4 && any < *came && any % 3 == 0) {
		atomic_store(&told[any].dropped, true);
	} else if (force && what < 7 && any % 6 == 1 && x->s->n > 0) {
		must(text_take_off(x->s, x->s->text[any % x->s->n], &err) == 0, "off");
	}
}

static void
test_random(uint64_t seed, const struct engine_options *o, bool force)
{
	struct served x = serve(o);
	int64_t off = 0, cached = 0, broken = 0, steps = 0;
	double now = progress_now();
	uint64_t moment = 0;
	bool same = true;
	int came = 0;

	for (int i = 0; i < MANY; i++) {
		make_random(&alone[i], seed, i, now);
		told_alone(&rig.m, tok, &alone[i]);
		make_random(&told[i], seed, i, now);
	}
	while ((came < MANY || busy(&x)) && steps++ < 5000) {
		for (int k = 0; k < 2; k++)
			happen(&x, seed, moment++, force, &came);
		step(&x);
	}
	for (int i = 0; i < MANY; i++) {
		if (!told_same(&told[i], &alone[i]))
			printf("# seed %llu, text %d: %s, %lld tokens, %d times\n",
			    (unsigned long long)seed, i, text_end_name(told[i].report.end),
			    (long long)told[i].n, told[i].done);
		same &= told_same(&told[i], &alone[i]);
		off += told[i].report.taken_off;
		cached += told[i].report.cached;
		broken += told[i].report.end == TEXT_BROKEN_OFF;
	}
	printf("# %lld steps, %lld times taken off, %lld tokens found, %lld broken off\n",
	    (long long)steps, (long long)off, (long long)cached, (long long)broken);
	ok(same, "texts are what they are alone, whatever happens");
	ok(off > (force ? 20 : 0) && broken > 0 && (cached > 0) == o->keep, "and much did");
	end(&x);
}

int
main(void)
{
	rig_open(&rig, 1);
	must(model_init(&rig.m, &letters, rig.dev, false, 7, &err) == 0, "model");
	tok = letters_tokenizer();
	test_every_step(&(struct engine_options){ .pass = 16, .seqs = 2 },
	    "taken off at any step");
	test_every_step(&(struct engine_options){ .pass = 16, .seqs = 3, .keep = true },
	    "and found again");
	test_every_step(&(struct engine_options){ .pass = 40, .seqs = 3, .window = 32,
	    .sinks = 16 }, "and with a window");
	test_every_step(&(struct engine_options){ .pass = 40, .seqs = 3, .keep = true,
	    .rows = draft_rows(3) }, "and with guesses");
	test_every_step(&(struct engine_options){ .pass = 40, .seqs = 3, .window = 32,
	    .sinks = 16, .rows = 24, .early = 1 }, "and with guesses and a window");
	test_all_full();
	test_orders();
	test_share(1);
	test_share(4);
	test_pieces();
	test_short_steps();
	for (uint64_t seed = 1; seed <= 3; seed++) {
		test_random(seed, &(struct engine_options){ .pass = 24, .seqs = 5,
		    .cache = 192, .keep = true }, true);
		test_random(seed, &(struct engine_options){ .pass = 24, .seqs = 5,
		    .cache = 192, .keep = true, .spill = 1 << 17 }, true);
		test_random(seed, &(struct engine_options){ .pass = 24, .seqs = 5,
		    .cache = 144, .keep = true, .spill_disk = 1 << 20,
		    .spill_dir = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp" }, true);
		test_random(seed, &(struct engine_options){ .pass = 24, .seqs = 5,
		    .cache = 144 }, true);
		test_random(seed, &(struct engine_options){ .pass = 24, .seqs = 5,
		    .cache = 96 }, false);
		test_random(seed, &(struct engine_options){ .pass = 24, .seqs = 5,
		    .rows = 24, .cache = 192, .keep = true }, true);
		test_random(seed, &(struct engine_options){ .pass = 48, .seqs = 5,
		    .rows = 24, .cache = 144, .early = 1 }, true);
	}
	tokenizer_free(tok);
	rig_close(&rig);
	return tap_done();
}
