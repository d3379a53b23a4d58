/*
 * Texts together are what each is alone, whatever line they wait in; and one that
 * fails, or is dropped, ends alone.
 */
#include "infer/matcher.h"
#include "../lib/texts.h"

enum { TEXTS = 7 };

static struct rig rig;
static struct tokenizer *tok;
static struct told alone[TEXTS], told[TEXTS];

static int64_t
length(int i)
{
	return 1 + 11 * i;
}

static void
make_texts(void)
{
	for (int i = 0; i < TEXTS; i++) {
		told_init(&alone[i], (uint64_t)i, length(i), 5 + 3 * i);
		told_alone(&rig.m, tok, &alone[i]);
	}
}

struct served {
	struct engine	*e;
	struct scheduler *s;
};

static struct served
serve(const struct engine_options *o)
{
	struct served x = { .e = engine_new(&rig.m, o, &err) };

	must(x.e != NULL && (x.s = scheduler_new(x.e, tok, &err)) != NULL, "scheduler");
	for (int i = 0; i < TEXTS; i++)
		told_init(&told[i], (uint64_t)i, length(i), 5 + 3 * i);
	return x;
}

static void
end(struct served *x)
{
	scheduler_free(x->s);
	engine_free(x->e);
}

static void
submit(struct served *x, int i)
{
	must(scheduler_submit(x->s, &told[i].r, &err) == 0, "submit");
}

static bool
all_same(void)
{
	bool same = true;

	for (int i = 0; i < TEXTS; i++)
		same &= told_same(&told[i], &alone[i]);
	return same;
}

static void
test_line(void)
{
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = 2 });

	for (int i = 0; i < TEXTS; i++)
		submit(&x, i);
	ok(scheduler_waiting(x.s) == TEXTS && scheduler_running(x.s) == 0, "all wait at first");
	ok(scheduler_step(x.s, &err) == 0 && scheduler_running(x.s) == 2 &&
	    scheduler_waiting(x.s) == TEXTS - 2, "as many begin as there is room for");
	ok(scheduler_finish(x.s, &err) == 0 && scheduler_waiting(x.s) == 0 && all_same(),
	    "texts that wait in a line are what they are alone");
	end(&x);
}

static void
test_dropped(void)
{
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = 2 });
	int64_t had;

	for (int i = 0; i < TEXTS; i++)
		submit(&x, i);
	for (int i = 0; i < 3; i++)
		must(scheduler_step(x.s, &err) == 0, "step");
	had = told[0].n;
	atomic_store(&told[0].dropped, true);
	atomic_store(&told[4].dropped, true);
	must(scheduler_step(x.s, &err) == 0, "step");
	ok(told[0].done == 1 && told[0].report.end == TEXT_BROKEN_OFF && told[0].n == had &&
	    had > 0, "a text that is dropped ends before the next step");
	ok(told[4].done == 1 && told[4].report.end == TEXT_BROKEN_OFF && told[4].n == 0,
	    "and one that waits");
	ok(scheduler_running(x.s) == 2 && told[2].n > 0, "its place is another's at once");
	ok(scheduler_finish(x.s, &err) == 0 && all_same(), "the others are what they were");
	end(&x);
}

static void
test_no_room(void)
{
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = 3, .cache = 16 });
	struct told beyond;

	told_init(&beyond, 1, 161, 1);
	ok(scheduler_submit(x.s, &beyond.r, &err) == -1 && err.code == ERR_LIMIT &&
	    beyond.done == 0, "a prompt beyond the context is refused");
	for (int i = 0; i < TEXTS; i++)
		submit(&x, i);
	/* The cache has one block, and one a sequence. */
	ok(scheduler_finish(x.s, &err) == 0, "the cache is full");
	for (int i = 0; i < TEXTS; i++) {
		if (told[i].report.end == TEXT_FAILED)
			printf("# %d: %s\n", i, told[i].why);
		ok(length(i) + 5 + 3 * i <= 64 ? told_same(&told[i], &alone[i]) :
		    told[i].done == 1 && told[i].report.end == TEXT_FAILED, "and who fits is whole");
	}
	end(&x);
}

static void
test_grammar(void)
{
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = 3 });
	/* As many ways to read A as are open at once; the mask of the next finds too many. */
	struct grammar *g = grammar_gbnf(S("root ::= (\"B\" | \"B\" \"B\"){1,100000} x\n"
	    "x ::= \"B\" x \"C\" | \"B\" x \"D\" | \"E\""), NULL, &err);
	int32_t eos = 0;
	struct token_trie *trie = token_trie_new(tok, &eos, 1, &err);
	struct token_bias bias = { .id = 1, .bias = 100 };
	struct constraint *c = g == NULL || trie == NULL ? NULL : constraint_new(g, trie, &err);

	must(c != NULL, "constraint");
	told[2].r.constraint = c;
	told[2].r.max_tokens = 130;
	told[2].r.sampler.bias = &bias;
	told[2].r.sampler.n_bias = 1;
	for (int i = 0; i < TEXTS; i++)
		submit(&x, i);
	ok(scheduler_finish(x.s, &err) == 0 && told[2].done == 1, "a grammar");
	printf("# %s after %lld: %s\n", text_end_name(told[2].report.end), (long long)told[2].n,
	    told[2].why);
	ok(told[2].report.end == TEXT_FAILED && strstr(told[2].why, "too many ways") != NULL,
	    "with too many readings fails alone");
	told[2] = alone[2];
	ok(all_same(), "and the others are what they were");
	ok(constraint_unused(c), "nobody holds it");
	end(&x);
	constraint_free(c);
	token_trie_free(trie);
	grammar_free(g);
}

static void
test_stop(void)
{
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = 2 });
	bool told_once = true;

	for (int i = 0; i < TEXTS; i++)
		submit(&x, i);
	for (int i = 0; i < 9; i++)
		must(scheduler_step(x.s, &err) == 0, "step");
	ok(scheduler_stop(x.s, &err) == 0 && scheduler_running(x.s) == 0 &&
	    scheduler_waiting(x.s) == 0, "all are broken off");
	for (int i = 0; i < TEXTS; i++)
		told_once &= told[i].done == 1;
	ok(told_once && told[0].report.end == TEXT_COUNT &&
	    told[6].report.end == TEXT_BROKEN_OFF && all_same(), "and told so, once");
	end(&x);
}

static int
fail_write(void *ctx, str text, struct err *e)
{
	(void)ctx;
	(void)text;
	return err_set(e, ERR_IO, "no space");
}

/* What a function of a request fails of ends all; still each is told so once. */
static void
test_failure(void)
{
	struct served x = serve(&(struct engine_options){ .pass = 32, .seqs = 3 });
	bool told_once = true;
	int steps = 0;

	told[1].r.write = fail_write;
	for (int i = 0; i < TEXTS; i++)
		submit(&x, i);
	while (scheduler_step(x.s, &err) == 0)
		steps++;
	ok(err.code == ERR_IO && steps < 20, "a function that fails is a failure of the step");
	ok(scheduler_stop(x.s, &err) == -1 && scheduler_running(x.s) == 0 &&
	    scheduler_waiting(x.s) == 0, "and of breaking off");
	for (int i = 0; i < TEXTS; i++)
		told_once &= told[i].done == 1 && (i == 1 || told_same(&told[i], &alone[i]));
	ok(told_once, "after which all were told, once");
	end(&x);
}

int
main(void)
{
	rig_open(&rig, 1);
	must(model_init(&rig.m, &letters, rig.dev, false, 7, &err) == 0, "model");
	tok = letters_tokenizer();
	make_texts();
	test_line();
	test_dropped();
	test_no_room();
	test_grammar();
	test_stop();
	test_failure();
	tokenizer_free(tok);
	rig_close(&rig);
	return tap_done();
}
