/*
 * Encoding without merging, and of words that are cut where no token joins them,
 * gives the ids that merging gives: words of random bytes, of pieces of tokens,
 * of characters that repeat, short and long, with every tokenizer here; and the
 * time is linear whatever the bytes.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../draw.h"
#include "../tap.h"
#include "base/json.h"
#include "token/tokenizer_impl.h"

#define WORD_MAX 3000

/* A text of the kind; valid UTF-8. */
static void
make_text(const struct tokenizer *t, struct buf *b, int kind)
{
	int n = 1 + (int)draw(draw(8) == 0 ? WORD_MAX : 40), letters = 1 + (int)draw(4);
	int first = (int)draw(26);

	buf_reset(b);
	while (b->n < n) {
		str s = t->bytes[draw((uint32_t)t->n)];
		char c;

		switch (kind) {
		case 0:		/* letters that repeat, a few of them */
			buf_byte(b, (char)('a' + (first + (int)draw((uint32_t)letters)) % 26));
			break;
		case 1:		/* two tokens that may join, and again */
			if (s.n > 1)
				s = (str){ s.p, 1 + (ptrdiff_t)draw((uint32_t)s.n) };
			buf_add(b, s);
			break;
		case 2:		/* the same without spaces: one word */
			for (ptrdiff_t i = 0; i < s.n; i++)
				if ((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z')
					buf_byte(b, s.p[i]);
			if (s.n == 0 || draw(9) == 0)
				buf_byte(b, 'e');
			break;
		case 3:		/* any character */
			b->n += utf8_put(buf_room(b, 4), (int32_t)(draw(3) == 0 ?
			    0xe000 + draw(0x102000) : 1 + draw(0xd7ff)));
			break;
		case 4:		/* one symbol, many times, and then another */
			c = "=- \n*#a."[draw(8)];
			for (int i = (int)draw(200); i >= 0; i--)
				buf_byte(b, c);
			break;
		default:	/* ideographs, one word */
			b->n += utf8_put(buf_room(b, 4), 0x4e00 + (int32_t)draw(letters < 3 ? 40 : 6000));
			break;
		}
	}
	/* A token that was cut may have left a broken character. */
	for (ptrdiff_t bad; (bad = utf8_bad(buf_str(b))) >= 0; )
		b->p[bad] = '~';
}

static bool
same(struct encoder *a, struct encoder *b, str text)
{
	struct ids x = { 0 }, y = { 0 };
	struct err err = { 0 };
	bool good = encode(a, text, 0, &x, &err) == 0 && encode(b, text, 0, &y, &err) == 0 &&
	    x.n == y.n && (x.n == 0 || memcmp(x.id, y.id, (size_t)x.n * sizeof(*x.id)) == 0);

	if (!good) {
		printf("# %s: %.*s\n#", err.msg, (int)(text.n < 400 ? text.n : 400), text.p);
		for (int64_t i = 0; i < x.n && i < y.n; i++)
			if (x.id[i] != y.id[i]) {
				printf(" id %d: %d, merged %d", (int)i, x.id[i], y.id[i]);
				break;
			}
		printf("\n");
	}
	ids_free(&x);
	ids_free(&y);
	return good;
}

/* Processor seconds for n bytes of the text, again and again. */
static double
seconds(const struct tokenizer *t, str text, ptrdiff_t n)
{
	struct err err;
	struct encoder *e = encoder_new(t, &err);
	struct ids ids = { 0 };
	struct buf b = { 0 };
	clock_t start;

	while (b.n < n)
		buf_add(&b, text);
	start = clock();
	if (encode(e, buf_str(&b), 0, &ids, &err) < 0)
		printf("# %s\n", err.msg);
	start = clock() - start;
	buf_free(&b);
	ids_free(&ids);
	encoder_free(e);
	return (double)start / CLOCKS_PER_SEC;
}

/* Is it matched, not merged? */
static bool
test(const char *path, int rounds)
{
	struct err err = { 0 };
	struct tokenizer *t = tokenizer_load(path, &err), *merging = tokenizer_load(path, &err);
	struct encoder *a, *b;
	struct buf text = { 0 };
	bool good = true, matched = t != NULL && t->match.made != NULL;

	if (t == NULL || merging == NULL) {
		ok(false, path);
		printf("# %s\n", err.msg);
		return false;
	}
	if (!matched) {
		printf("# %s: merges\n", path);
		goto out;
	}
	printf("# %s: matches\n", path);
	match_free(&merging->match);
	if (merging->cuts != NULL)	/* words as they would be without a look at the tokens */
		sentence_cuts(merging->cuts, &merging->sentence, NULL, 0);
	a = encoder_new(t, &err);
	b = encoder_new(merging, &err);
	draw_state = 1;
	for (int i = 0; good && i < rounds; i++) {
		make_text(t, &text, i % 6);
		good = same(a, b, buf_str(&text));
	}
	ok(good, path);
	encoder_free(a);
	encoder_free(b);
out:
	buf_free(&text);
	tokenizer_free(t);
	tokenizer_free(merging);
	return matched;
}

/* A vocabulary of all bytes and of what is said besides. */
static void
test_made(const char *vocab, const char *merges, bool matched, const char *what)
{
	char path[] = "/tmp/t_match.XXXXXX";
	int fd = mkstemp(path), more = 0x100;
	struct buf b = { 0 };

	buf_add(&b, S("{\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{\"type\":"
	    "\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},\"decoder\":{\"type\":"
	    "\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{"));
	for (int c = 0; c < 256; c++)
		buf_fmt(&b, "\"\\u%04x\":%d,", (c > 32 && c < 127) || (c > 160 && c != 173) ? c :
		    more++, c);
	buf_fmt(&b, "%s},\"merges\":[%s]}}", vocab, merges);
	ok(fd >= 0 && write(fd, b.p, (size_t)b.n) == b.n && test(path, 20000) == matched, what);
	close(fd);
	unlink(path);
	buf_free(&b);
}

/* ab, abb, abbb and so on: all might be tried at a place. */
static void
test_nested(int n, bool matched, const char *what)
{
	struct buf vocab = { 0 }, merges = { 0 };

	for (int i = 2; i <= n; i++) {
		buf_fmt(&vocab, "%s\"", i > 2 ? "," : "");
		buf_fmt(&merges, "%s\"", i > 2 ? "," : "");
		for (int k = 0; k < i; k++) {
			buf_byte(&vocab, k == 0 ? 'a' : 'b');
			if (k == i - 1)
				buf_byte(&merges, ' ');
			buf_byte(&merges, k == 0 ? 'a' : 'b');
		}
		buf_fmt(&vocab, "\":%d", 254 + i);
		buf_byte(&merges, '"');
	}
	buf_byte(&vocab, '\0');
	buf_byte(&merges, '\0');
	test_made(vocab.p, merges.p, matched, what);
	buf_free(&vocab);
	buf_free(&merges);
}

static void
test_linear(const char *path)
{
	static const char *const worst[] = { "a", "ab", "=", "\xe4\xb8\x80", "0", " ", "\n", "^", "\x01" };
	struct err err = { 0 };
	struct tokenizer *t = tokenizer_load(path, &err);
	struct buf b = { 0 };
	bool good = true;

	draw_state = 7;
	for (int i = 0; i < (int)(sizeof(worst) / sizeof(*worst)) + 2; i++) {
		double one, four;
		str text = i < 9 ? str_of(worst[i]) : buf_str(&b);

		if (i >= 9) {
			/* Letters without an end, and words that never come again. */
			buf_reset(&b);
			for (int k = 0; k < 1 << 20; k++)
				buf_byte(&b, (char)(i == 10 && k % 9 == 0 ? ' ' : 'a' + draw(26)));
			text = buf_str(&b);
		}
		one = seconds(t, text, 1 << 19);
		four = seconds(t, text, 1 << 21);
		if (four > 10 * one + 0.1) {
			printf("# %d: %.3f s, four times that %.3f s\n", i, one, four);
			good = false;
		}
	}
	ok(good, "time is linear");
	buf_free(&b);
	tokenizer_free(t);
}

int
main(int argc, char **argv)
{
	glob_t g;

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			test(argv[i], 100000);
		return tap_done();
	}
	if (glob("tests/data/tokenizer_json/good/*.json", 0, NULL, &g) != 0 ||
	    glob("tests/data/tiktoken/good/*.tiktoken", GLOB_APPEND, NULL, &g) != 0 ||
	    glob("tests/data/spm/good/*.model", GLOB_APPEND, NULL, &g) != 0)
		return 1;
	for (size_t i = 0; i < g.gl_pathc; i++)
		test(g.gl_pathv[i], 3000);
	globfree(&g);
	/* The trie has a NUL as a byte that is no UTF-8. */
	test_made("\"\u0100\u0100\":256,\"\u0100\u0100\u0100\u0100\":257,\"!\u0100\":258,"
	    "\"!\u0100\u0100\u0100\":259", "\"\u0100 \u0100\",\"\u0100\u0100 \u0100\u0100\","
	    "\"! \u0100\",\"!\u0100 \u0100\u0100\"", true, "tokens of NULs");
	test_made("\"ab\":256,\"abc\":257,\"de\":258,\"abcde\":259,\"bc\":260,\"aa\":261,"
	    "\"aaa\":262", "\"ab c\",\"abc de\",\"b c\",\"a b\",\"d e\",\"aa a\",\"a a\"",
	    true, "tokens whose merges come before those of their parts");
	test_nested(250, true, "tokens that begin with each other");
	test_nested(300, false, "more of them are merged");
	test_linear("tests/data/tokenizer_json/good/gpt2.json");
	return tap_done();
}
