/*
 * Guesses change no text: right, wrong and mixed ones, of many texts at once, while others
 * come, go and are taken off.  And they are made as far as they pay: by a clock of the
 * test's own.
 */
#include "infer/draft_impl.h"
#include "infer/grammars.h"
#include "../lib/texts.h"

enum { TEXTS = 8 };

static struct rig rig;
static struct tokenizer *tok;
static struct told alone[TEXTS], told[TEXTS];
static struct grammars *grammars;
static struct constraint *digits;
static const str stops[] = { { "BC", 2 }, { "ZZ", 2 } };
static const struct token_bias bias[] = { { 7, 14 }, { 9, -INFINITY }, { 30, 14 } };

/* ---- what texts are ---- */

static int64_t
length(int i)
{
	return 20 + 3 * i;
}

/* Texts 0 to 3 begin with the same 16 tokens; some repeat themselves, some never do. */
static void
make(struct told *t, int i)
{
	told_init(t, (uint64_t)i, length(i), 60 + 7 * i);
	for (int k = 0; k < 16 && i < 4; k++)
		t->prompt[k] = 1 + k % 5;
	t->r.sampler.temperature = i % 2 == 0 ? 0 : i % 4 == 1 ? 0.3 : 1.3;
	switch (i) {
	case 0:
	case 3:
		t->r.sampler.bias = bias;
		t->r.sampler.n_bias = 3;
		break;
	case 1:
		t->r.sampler.repeat = 1.3;
		t->r.sampler.frequency = 0.3;
		break;
	case 4:
		t->r.stop = stops;
		t->r.n_stop = 2;
		break;
	case 5:
		t->r.constraint = digits;
		break;
	case 6:
		t->r.top = 5;
		break;
	}
}

static bool
all_same(void)
{
	bool same = true;

	for (int i = 0; i < TEXTS; i++) {
		if (!told_same(&told[i], &alone[i]))
			printf("# text %d: %lld tokens, alone %lld; %s, %s\n", i,
			    (long long)told[i].n, (long long)alone[i].n,
			    text_end_name(told[i].report.end), told[i].why);
		same &= told_same(&told[i], &alone[i]);
	}
	return same;
}

struct guessed {
	struct engine	*e;
	struct draft	*d;
	struct scheduler *s;
};

static struct guessed
begin(struct engine_options o)
{
	struct guessed x;

	o.rows = draft_rows(o.seqs);
	x.e = engine_new(&rig.m, &o, &err);
	must(x.e != NULL, "engine");
	x.d = o.early > 0 ? draft_early(x.e, DRAFT_MAX, &err) : draft_lookup(8, &err);
	must(x.d != NULL && (x.s = scheduler_new(x.e, tok, &err)) != NULL, "scheduler");
	draft_always(x.d);
	scheduler_guess(x.s, x.d);
	return x;
}

static void
end(struct guessed *x)
{
	scheduler_free(x->s);
	draft_free(x->d);
	engine_free(x->e);
}

static void
submit_all(struct guessed *x)
{
	for (int i = 0; i < TEXTS; i++) {
		make(&told[i], i);
		must(scheduler_submit(x->s, &told[i].r, &err) == 0, "submit");
	}
}

/* All at once; they are what they were alone. */
static void
run(struct guessed *x, const char *what)
{
	const struct draft_report *r = draft_report(x->d);
	int64_t guessed = 0, right = 0;

	submit_all(x);
	ok(scheduler_finish(x->s, &err) == 0 && all_same(), what);
	for (int i = 0; i < TEXTS; i++) {
		guessed += told[i].report.guessed;
		right += told[i].report.right;
	}
	printf("# %lld passes, %lld tokens guessed, %lld of them rightly\n", (long long)r->steps,
	    (long long)r->guesses, (long long)r->right);
	ok(right > 50 && right < guessed, "by guesses, right and wrong ones");
}

static void
test_lookup(void)
{
	struct guessed x = begin((struct engine_options){ .pass = 128, .seqs = TEXTS });

	run(&x, "texts with guesses are what they are alone");
	end(&x);
	x = begin((struct engine_options){ .pass = 24, .seqs = 3 });
	run(&x, "and in passes that prompts fill");
	end(&x);
	x = begin((struct engine_options){ .pass = 64, .seqs = TEXTS, .early = 1 });
	run(&x, "and with guesses by the first layer");
	end(&x);
	x = begin((struct engine_options){ .pass = 64, .seqs = 4, .early = 1, .keep = true });
	run(&x, "and where those are of shared blocks");
	ok(engine_unused(x.e) == engine_cache(x.e), "and all is given back");
	end(&x);
}

static void
test_found(void)
{
	struct guessed x = begin((struct engine_options){ .pass = 64, .seqs = TEXTS, .keep = true });
	int64_t cached = 0;

	run(&x, "and where blocks are shared");
	run(&x, "and found again");
	for (int i = 0; i < TEXTS; i++)
		cached += told[i].report.cached;
	ok(cached > 16 * TEXTS, "which they are");
	ok(engine_unused(x.e) == engine_cache(x.e), "and all is given back");
	end(&x);
}

/* Texts of batches are taken off for others, and go on. */
static void
test_taken_off(void)
{
	struct guessed x = begin((struct engine_options){ .pass = 64, .seqs = 3, .keep = true });
	int64_t off = 0;

	for (int i = 0; i < TEXTS; i++) {
		make(&told[i], i);
		if (i < 4)
			told[i].r.class = CLASS_BATCH;
		must(scheduler_submit(x.s, &told[i].r, &err) == 0, "submit");
		for (int k = 0; k < 20 && i == 3; k++)
			must(scheduler_step(x.s, &err) == 0, "step");
	}
	ok(scheduler_finish(x.s, &err) == 0 && all_same(), "and texts that are taken off");
	for (int i = 0; i < TEXTS; i++)
		off += told[i].report.taken_off;
	ok(off > 0 && told[0].report.right > 20, "which some are");
	ok(engine_unused(x.e) == engine_cache(x.e), "and all is given back");
	end(&x);
	/* A block a text, and two more: guesses go first. */
	x = begin((struct engine_options){ .pass = 64, .seqs = 1, .cache = 160 });
	run(&x, "and where the cache is full");
	end(&x);
}

static void
test_dropped(void)
{
	struct guessed x = begin((struct engine_options){ .pass = 64, .seqs = TEXTS, .keep = true });

	submit_all(&x);
	for (int i = 0; i < 9; i++)
		must(scheduler_step(x.s, &err) == 0, "step");
	atomic_store(&told[0].dropped, true);
	atomic_store(&told[5].dropped, true);
	ok(scheduler_finish(x.s, &err) == 0 && told[0].report.end == TEXT_BROKEN_OFF && all_same(),
	    "texts that are dropped change no other one");
	ok(engine_unused(x.e) == engine_cache(x.e), "and all is given back");
	submit_all(&x);
	for (int i = 0; i < 9; i++)
		must(scheduler_step(x.s, &err) == 0, "step");
	ok(scheduler_stop(x.s, &err) == 0 && all_same() &&
	    engine_unused(x.e) == engine_cache(x.e), "so it is when all are broken off");
	end(&x);
}

/* ---- a clock of the test's own ---- */

static void
test_rowtime(void)
{
	struct rowtime t = { 0 };

	ok(rowtime_of(&t, 5) == 0 && !rowtime_knows(&t, 5), "nothing is known");
	rowtime_learn(&t, 4, 12);
	ok(rowtime_of(&t, 4) == 12 && rowtime_of(&t, 16) == 24 && !rowtime_knows(&t, 4),
	    "a pass, and in proportion");
	rowtime_learn(&t, 4, 12);
	rowtime_learn(&t, 16, 12);
	ok(rowtime_knows(&t, 4) && rowtime_of(&t, 4) < 12, "what is fast is so for all");
	for (int i = 0; i < 60; i++) {
		rowtime_learn(&t, 4, 10);
		rowtime_learn(&t, 16, 22);
	}
	ok(fabs(rowtime_of(&t, 4) - 10) < 0.3 && fabs(rowtime_of(&t, 10) - 16) < 0.5 &&
	    fabs(rowtime_of(&t, 16) - 22) < 0.6, "means, and a line between them");
	rowtime_learn(&t, 4, 1e9);
	ok(rowtime_of(&t, 4) < 15, "one that hangs is chance");
}

struct sim {
	double	base, row;	/* seconds of a pass at least; of a row where many are computed */
	double	quotes;		/* probability of going on with what there was */
	int	texts, steps;
	double	noise;
	int	prose;			/* so many of them quote nothing */
	int64_t	prompt;		/* tokens beside them, in each step */
	double	token_seconds;	/* of one */
	/* what came of it */
	double	seconds, plain;	/* those that its tokens take without guesses */
	int64_t	guesses, last;	/* and in the last quarter */
};

/* The next token of a text: that of a quotation, or any. */
static int32_t
token_of(const struct sim *x, int text, int64_t at, uint64_t salt)
{
	int64_t where = (int64_t)rng_below(salt, (uint64_t)text, 0, 40);

	if (rng_unit(salt + 1, (uint64_t)text, (uint64_t)at) < (text < x->prose ? 0 : x->quotes))
		return 1 + (int32_t)rng_below(5, (uint64_t)text, (uint64_t)((at + where) % 40), 58);
	return 1 + (int32_t)rng_below(salt + 2, (uint64_t)text, (uint64_t)at, 58);
}

/* Bound by memory, with a little for each row; then by what is computed. */
static double
sim_pass(const struct sim *x, int64_t rows)
{
	return fmax(x->base + 0.1 * (double)rows, x->row * (double)rows);
}

static void
sim_step(struct sim *x, struct draft *d, struct guess **g, int step)
{
	struct draft_step room = { .rows = DRAFT_ROWS, .prompt = x->prompt,
	    .token_seconds = x->token_seconds };
	double seconds, wobble = 1 + x->noise * (2 * rng_unit(9, 1, (uint64_t)step) - 1);
	int64_t rows = x->texts, tokens = 0;

	must(draft_guess(d, g, x->texts, &room, &err) == 0, "guess");
	for (int i = 0; i < x->texts; i++) {
		int32_t id;
		bool more = true;

		rows += g[i]->n;
		while (more) {
			id = token_of(x, i, seq_length(g[i]->seq), 77);
			must(seq_push(g[i]->seq, &id, 1, &err) == 0, "push");
			more = draft_drawn(g[i], id);
			tokens++;
		}
	}
	seconds = wobble * sim_pass(x, rows) + (double)x->prompt * x->token_seconds;
	draft_judged(d, seconds);
	x->seconds += seconds;
	x->plain += (double)tokens / x->texts * sim_pass(x, x->texts);
	x->guesses += rows - x->texts;
	if (step >= x->steps * 3 / 4)
		x->last += rows - x->texts;
}

static void
simulate(struct sim *x, struct draft *d)
{
	struct config c = letters;
	struct model m = { 0 };
	struct engine *e;
	struct guess guess[32] = { 0 }, *g[32];
	struct request r = { 0 };
	struct matcher none = { 0 };

	c.context = 1 << 17;
	must(model_init(&m, &c, rig.dev, false, 7, &err) == 0 &&
	    (e = engine_new(&m, &(struct engine_options){ .cache = 16 }, &err)) != NULL, "engine");
	x->seconds = x->plain = 0;
	x->guesses = x->last = 0;
	for (int i = 0; i < x->texts; i++) {
		g[i] = &guess[i];
		guess[i] = (struct guess){ .seq = seq_new(e, &err), .r = &r, .matcher = &none,
		    .room = DRAFT_MAX };
		for (int k = 0; k < 80; k++) {
			int32_t id = 1 + (int32_t)rng_below(5, (uint64_t)i, (uint64_t)(k % 40), 58);

			must(seq_push(guess[i].seq, &id, 1, &err) == 0, "push");
		}
	}
	for (int step = 0; step < x->steps; step++)
		sim_step(x, d, g, step);
	printf("# %d texts, %g + %g a row, %g quoted: %.3f of the time without, %lld guesses\n",
	    x->texts, x->base, x->row, x->quotes, x->seconds / x->plain, (long long)x->guesses);
	for (int i = 0; i < x->texts; i++)
		seq_free(guess[i].seq);
	engine_free(e);
	model_free(&m);
}

static double
simulated(struct sim x)
{
	struct draft *d = draft_lookup(8, &err);

	must(d != NULL, "draft");
	simulate(&x, d);
	draft_free(d);
	return x.seconds / x.plain;
}

static void
test_rule(void)
{
	struct draft *d = draft_lookup(8, &err);
	struct sim x = { 24, 1, .97, 2, 2000, .2 };

	must(d != NULL, "draft");
	ok(simulated((struct sim){ 24, 1, .97, 1, 2000, .2 }) < 0.4,
	    "a text that quotes comes sooner");
	ok(simulated((struct sim){ 24, 1, .97, 8, 2000, .2 }) < 0.6, "and eight at once");
	ok(simulated((struct sim){ 24, 1, .97, 16, 2000, .2 }) < 0.8, "and sixteen, less so");
	ok(simulated((struct sim){ 24, 1, 0, 1, 2000, .2 }) < 1.01, "who does not loses nothing");
	ok(simulated((struct sim){ 24, 1, 0, 16, 2000, .2 }) < 1.01, "nor do sixteen");
	ok(simulated((struct sim){ 12, 1, .3, 8, 2000, .2 }) < 1.02, "nor who quotes a little");
	ok(simulated((struct sim){ 2, 1, .97, 16, 2000, .2 }) < 1.02, "nor where rows cost all");
	simulate(&x, d);
	ok(x.last > 100, "few texts have guesses");
	x.texts = 8;
	x.prose = 7;
	simulate(&x, d);
	ok(x.seconds < 1.2 * x.steps * sim_pass(&x, 8), "seven wait little for those of one");
	x.prose = 0;
	x.texts = 32;
	simulate(&x, d);
	ok(x.seconds < 1.02 * x.plain && x.last < 100, "that end where many share a pass");
	x.texts = 2;
	simulate(&x, d);
	ok(x.last > 100, "and come back");
	x.quotes = 0.97;
	x.prompt = 100;
	x.token_seconds = 0.3;
	simulate(&x, d);
	ok(x.last > 100, "beside prompts they are made, where a row is cheaper than a token");
	x.token_seconds = 20;
	simulate(&x, d);
	ok(x.guesses == 0, "and not where it is not");
	x.prompt = 0;
	x.quotes = 0;
	simulate(&x, d);
	ok(x.seconds < 1.02 * x.plain && x.last < 400, "and end with what is quoted");
	draft_free(d);
}

int
main(void)
{
	rig_open(&rig, 1);
	must(model_init(&rig.m, &letters, rig.dev, false, 7, &err) == 0, "model");
	tok = letters_tokenizer();
	must((grammars = grammars_new(tok, &letters, &err)) != NULL &&
	    (digits = grammars_hold(grammars, GRAMMAR_REGEX, S("(ABCD|ABXY|Q[A-Z]{3}){12,}"),
	    &err)) != NULL, "grammar");
	for (int i = 0; i < TEXTS; i++) {
		make(&alone[i], i);
		told_alone(&rig.m, tok, &alone[i]);
	}
	test_lookup();
	test_found();
	test_taken_off();
	test_dropped();
	test_rowtime();
	test_rule();
	grammars_release(grammars, digits);
	grammars_free(grammars);
	tokenizer_free(tok);
	rig_close(&rig);
	return tap_done();
}
