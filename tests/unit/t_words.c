/*
 * Words cut by hand are those of PCRE2 on the pattern itself: every character
 * between others, strings made to reach every branch, and real text, on each
 * instruction set and character by character.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../draw.h"
#include "../tap.h"
#include "base/json.h"
#include "text/unicode.h"
#include "token/pretoken.h"
#include "token/scan_impl.h"
#include "token/uclass.h"

#define TEXT_MAX 4096

static const char *const names[] = {
	[SCAN_GPT2] = "GPT-2", [SCAN_LLAMA3] = "Llama 3", [SCAN_QWEN2] = "Qwen2",
	[SCAN_CL100K] = "cl100k", [SCAN_QWEN35] = "Qwen3.5", [SCAN_O200K] = "o200k", [SCAN_TEKKEN] = "Tekken",
	[SCAN_DIGITS] = "digits", [SCAN_DEEPSEEK] = "DeepSeek-V3",
};

static struct pretoken *
split_by(const char *const *pattern, int n)
{
	json_t *list = json_array();
	struct err err;
	struct pretoken *p;

	for (int i = 0; i < n; i++) {
		/* In parentheses it is none that is known. */
		json_t *regex = json_sprintf("(?:%s)", pattern[i]);

		json_array_append_new(list, json_pack("{s:s, s:{s:o}, s:s}", "type", "Split",
		    "pattern", "Regex", regex, "behavior", "Isolated"));
	}
	json_array_append_new(list, json_pack("{s:s, s:b, s:b}", "type", "ByteLevel",
	    "add_prefix_space", 0, "use_regex", 0));
	list = json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", list);
	if ((p = pretoken_new(list, &err)) == NULL)
		printf("# %s\n", err.msg);
	json_decref(list);
	return p;
}

struct check {
	enum scan	 kind;
	uint8_t		*class;
	struct pretoken_walk *walk;
	bool		*same;		/* by character: PCRE2 has the same classes */
	int64_t		 cases;
};

static void
show(const char *what, str text, const int32_t *cut, int n)
{
	printf("# %s:", what);
	for (int i = 0, at = 0; i < n; i++) {
		printf(" <");
		for (; at < cut[i]; at++)
			printf((uint8_t)text.p[at] > 32 && (uint8_t)text.p[at] < 127 ? "%c" : "\\x%02x",
			    (uint8_t)text.p[at]);
		printf(">");
	}
	printf("\n");
}

/* The cuts of PCRE2. */
static int
want(struct check *c, str text, int32_t *cut)
{
	const char *base, *end;
	struct err err;
	int n = 0, got;

	pretoken_start(c->walk, text, true, &err);
	while ((got = pretoken_next(c->walk, &base, &end, cut + n, TEXT_MAX - n, &err)) > 0)
		for (got += n; n < got; n++)
			cut[n] += (int32_t)(base - text.p);
	return n;
}

static bool
agrees(struct check *c, str text)
{
	static const struct scan_simd *const simd[] = { &scan_simd_base,
#ifdef __x86_64__
	    &scan_simd_avx2, &scan_simd_avx512,
#endif
	};
	int32_t a[TEXT_MAX + SCAN_ROOM], b[TEXT_MAX + SCAN_ROOM];
	int n = want(c, text, a), k;
	char *copy = malloc((size_t)text.n);	/* so that no byte too many is read */
	bool good = true;
	int last = isa_best() > ISA_LEVEL_AVX512 ? ISA_LEVEL_AVX512 : isa_best();

	memcpy(copy, text.p, (size_t)text.n);
	for (int i = -1; good && i <= last; i++) {
		const char *p = copy, *end = p + text.n;

		for (k = 0; p < end; ) {
			int got = scan_words_by(simd[i < 0 ? 0 : i], c->kind, c->class, p, end, b + k,
			    i < 0 ? 1 : SCAN_ROOM + TEXT_MAX - k);

			for (got += k; k < got; k++)
				b[k] += (int32_t)(p - copy);
			p = copy + b[k - 1];
		}
		good = n == k && memcmp(a, b, (size_t)n * sizeof(*a)) == 0;
		if (!good) {
			printf("# %s, instruction set %d\n", names[c->kind], i);
			show("want", text, a, n);
			show("got", text, b, k);
		}
	}
	free(copy);
	c->cases++;
	return good;
}

static void
put(struct buf *b, int32_t c)
{
	char *at = buf_room(b, 4);

	b->n += utf8_put(at, c);
}

/* Where classes differ PCRE2 is of another version of Unicode. */
static int
find_same(struct check *c)
{
	static const char *const class[] = { "\\p{Lu}|\\p{Lt}", "\\p{Ll}", "\\p{Lm}|\\p{Lo}",
	    "\\p{M}", "\\p{N}", "\\p{P}|\\p{S}", "\\s" };
	struct err err;
	int differ = 0;

	for (int i = 0; i < (int)(sizeof(class) / sizeof(*class)); i++) {
		struct pretoken *p = split_by(&class[i], 1);
		struct pretoken_walk *w = pretoken_walk_new(p, &err);

		for (int32_t ch = 1; ch < 0x110000; ch++) {
			struct buf b = { 0 };
			const char *base, *end;
			int32_t cut[8];
			int n = 0, got;

			if (ch >= 0xd800 && ch < 0xe000)
				continue;
			/* Two that match are two words, else one. */
			put(&b, ch);
			put(&b, ch);
			pretoken_start(w, buf_str(&b), true, &err);
			while ((got = pretoken_next(w, &base, &end, cut, 8, &err)) > 0)
				n += got;
			if ((n == 2) != (c->class[ch] >> i & 1)) {
				differ += c->same[ch];
				c->same[ch] = false;
			}
			buf_free(&b);
		}
		pretoken_walk_free(w);
		pretoken_free(p);
	}
	return differ;
}

/* Every character, alone between others. */
static bool
every(struct check *c)
{
	static const char *const around[][2] = { { "a", "b" }, { " ", "x" }, { "'", "S" },
	    { "!", "\n" }, { "  ", " 1" }, { "A", "'s" } };
	struct buf b = { 0 };
	bool good = true;

	for (int32_t ch = 1; good && ch < 0x110000; ch++) {
		if ((ch >= 0xd800 && ch < 0xe000) || !c->same[ch])
			continue;
		for (int i = 0; i < 6; i++) {
			/* Those of a class that is common are only met, each once. */
			if (i != ch % 6 && ch > 0x3100 && ch % 64 != 0)
				continue;
			buf_add(&b, str_of(around[i][0]));
			put(&b, ch);
			buf_add(&b, str_of(around[i][1]));
		}
		if (b.n > 1000 || ch > 0x10fff0) {
			good = agrees(c, buf_str(&b));
			buf_reset(&b);
		}
	}
	buf_free(&b);
	return good;
}

/* Strings of a few pieces that meet in every way, of any length about that of blocks. */
static bool
adversarial(struct check *c, int rounds)
{
	static const char *const piece[] = { " ", " ", "  ", "\n", "\r", "\t", "a", "B", "s", "S",
	    "ll", "'", "'s", "'RE", "'ve", "'\xc5\xbf", "'l", "!", "/", "?!", "\"", "1", "23",
	    "4567", "\xc3\xa9", "\xc3\x89", "\xc7\x85", "\xca\xb0", "\xe4\xb8\x80", "\xe3\x82\xa0",
	    "\xe3\x82\x9b", "\xcc\x81", "\xe2\x80\x9c", "\xf0\x9f\x98\x80", "\xe3\x80\x80",
	    "\xc2\xa0", "\xd9\xa3", "\xe2\x80\x8b", "\x01", "\x7f", "abcdef", "Word", "xY", "zzzz",
	    "\xe0\xa4\x95\xe0\xa4\xbe", "\xd0\x96\xd0\xb6", "------", "\n\n", "\r\n", "\n  \n" };
	struct buf b = { 0 };
	bool good = true;

	for (int i = 0; good && i < rounds; i++) {
		int kinds = 2 + (int)draw(draw(2) == 0 ? 6 : 48), n = 1 + (int)draw(60);
		int first = (int)draw(50);

		buf_reset(&b);
		while (n-- > 0) {
			const char *s = piece[(first + (int)draw((uint32_t)kinds) * 7) % 50];
			int times = draw(30) == 0 ? (int)draw(70) : 1;

			while (times-- > 0 && b.n < TEXT_MAX - 8)
				buf_add(&b, str_of(s));
		}
		good = agrees(c, buf_str(&b));
	}
	buf_free(&b);
	return good;
}

/* Random characters: ASCII, any, or of one page. */
static bool
random_text(struct check *c, int rounds)
{
	struct buf b = { 0 };
	bool good = true;

	for (int i = 0; good && i < rounds; i++) {
		int kind = (int)draw(3), n = 1 + (int)draw(200);
		int32_t page = (int32_t)draw(0x1100) << 8;

		buf_reset(&b);
		while (n-- > 0) {
			int32_t ch = (int32_t)(kind == 0 ? 1 + draw(127) : kind == 1 ?
			    draw(draw(2) == 0 ? 0x3000 : 0x110000) : (uint32_t)page + draw(256));

			if (ch > 0 && c->same[ch] && (ch < 0xd800 || ch >= 0xe000))
				put(&b, ch);
		}
		if (b.n > 0)
			good = agrees(c, buf_str(&b));
	}
	buf_free(&b);
	return good;
}

static void
test(struct check *c, enum scan kind)
{
	const char *pattern[SCAN_SPLITS];
	struct err err;
	struct pretoken *p;
	int n = 0;

	while (n < SCAN_SPLITS && (pattern[n] = scan_pattern(kind, n)) != NULL)
		n++;
	p = split_by(pattern, n);
	c->kind = kind;
	c->walk = pretoken_walk_new(p, &err);
	draw_state = kind;
	printf("# %s\n", names[kind]);
	ok(every(c), "every character");
	ok(adversarial(c, 6000), "strings that reach every branch");
	ok(random_text(c, 2000), "random text");
	pretoken_walk_free(c->walk);
	pretoken_free(p);
}

/* Bytes that are not UTF-8 are cut somewhere, and nothing is read beyond. */
static void
test_broken(struct check *c)
{
	int32_t cut[300];
	bool good = true;

	for (int i = 0; i < 3000; i++) {
		int n = 1 + (int)draw(200);
		char *p = malloc((size_t)n), *at = p;

		for (int k = 0; k < n; k++)
			p[k] = (char)(draw(3) == 0 ? draw(256) : 'a' + draw(3));
		while (at < p + n) {
			int got = scan_words((enum scan)(1 + draw(SCAN_DEEPSEEK)), c->class, at, p + n,
			    cut, 300);

			for (int k = 0; k < got; k++)
				good &= cut[k] > (k > 0 ? cut[k - 1] : 0) && cut[k] <= p + n - at;
			at += cut[got - 1];
		}
		free(p);
	}
	ok(good, "any bytes are cut");
}

int
main(void)
{
	struct check c = { 0 };
	struct err err;
	int differ;

	c.class = uclass_new(&err);
	c.same = malloc(UC_END);
	memset(c.same, 1, UC_END);
	differ = find_same(&c);
	printf("# PCRE2 has other classes for %d characters\n", differ);
	ok(differ < 20000, "PCRE2 knows most characters");
	for (int kind = SCAN_GPT2; kind < SCAN_BERT; kind++)
		test(&c, (enum scan)kind);
	test_broken(&c);
	printf("# %lld texts\n", (long long)c.cases);
	free(c.class);
	free(c.same);
	return tap_done();
}
