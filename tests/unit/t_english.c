/*
 * Words are the same wherever a text stands, and whatever instruction set looked at it: the
 * words of lib/text/english.c and the look of lib/text/quality.c.
 */
#include <stdlib.h>
#include <string.h>

#include "text/english_impl.h"
#include "text/quality_impl.h"
#include "../tap.h"

#define TEXT	700

static const char *const parts[] = {
	"a", "Be", "don't", "U.S.", "e.g.", "etc.", "...", "–", "—", "“", "’s", "é", "日本", "。",
	"\u00a0", "\u2003", "\xc2\x85", "\u2028", " ", "  ", "\n", "\t", "\r", "\v", "\x1c", "\x01",
	"10km", "42", "3", "-", "--", "_", "+", "=", "/", "http://x.org/a", "foo.bar", "a@b.co", "$",
	"5%", "(c)", "[", "{", "<", ">", "!", "?", ";", ":", ",", ":)", "°", "…", "^", "`", "~", "|",
	"*", "#", "US$", "and/or", "\"", "m²", "javaScript", "privacy", "cookies", "terms of", "Ipsum",
	"\x7f", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
};
#define PARTS ((uint32_t)(sizeof(parts) / sizeof(parts[0])))

static struct err err;
static uint32_t seed = 1;

static uint32_t
below(uint32_t n)
{
	return ((seed = seed * 1103515245 + 12345) >> 8) % n;
}

static str
make_text(char text[TEXT])
{
	ptrdiff_t n = 0, most = below(TEXT - 60);

	while (n < most) {
		const char *p = below(3) == 0 ? " " : parts[below(PARTS)];

		memcpy(text + n, p, strlen(p));
		n += (ptrdiff_t)strlen(p);
	}
	return (str){ text, n };
}

#ifdef __x86_64__
static bool
same_bits(const struct english_simd *simd, str text)
{
	struct english_bits a[TEXT / 64 + 1], b[TEXT / 64 + 1];

	english_simd_base.bits(text.p, text.n, a);
	simd->bits(text.p, text.n, b);
	return memcmp(a, b, (size_t)(text.n / 64 + 1) * sizeof(*a)) == 0;
}
#endif

/* What the look sees, by the letter. */
static int
seen(str text)
{
	static const char *const phrase[] = { "vas", "vac", "kie", "ms o", "psu", "[", "{" };
	static const char *const end[] = { "\xc2\x85", "\u2028", "\u2029" };
	int see = 0;
	struct buf b = { 0 };

	buf_add(&b, text);
	buf_byte(&b, '\0');
	for (ptrdiff_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)b.p[i];

		if (c < ' ' && c != '\n' && c != '\t')
			see |= QUALITY_LINE_ENDS;
		b.p[i] = c == '\0' ? '\1' : b.p[i];
	}
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		see |= strstr(b.p, end[i]) != NULL ? QUALITY_LINE_ENDS : 0;
	for (size_t i = 0; i < sizeof(phrase) / sizeof(phrase[0]); i++)
		see |= strcasestr(b.p, phrase[i]) != NULL ? QUALITY_PHRASES : 0;
	if (strchr(b.p, '#') != NULL || strstr(b.p, "...") != NULL || strstr(b.p, "…") != NULL)
		see |= QUALITY_SIGNS;
	buf_free(&b);
	return see;
}

/* The words behind n blanks are those without, farther on. */
static bool
moves(const struct english *r, str text, ptrdiff_t n)
{
	struct english_words a = { 0 }, b = { 0 };
	char *far = malloc((size_t)(text.n + n));	/* so that no byte too many is read */
	bool same;

	memset(far, ' ', (size_t)n);
	memcpy(far + n, text.p, (size_t)text.n);
	same = english_split(r, text, &a, &err) == 0 &&
	    english_split(r, (str){ far, n + text.n }, &b, &err) == 0 && a.n == b.n;
	for (ptrdiff_t i = 0; same && i < a.n; i++) {
		struct english_word x = a.word[i], y = b.word[i];

		same = x.hash == y.hash && x.at + (uint32_t)n == y.at && x.bytes == y.bytes &&
		    x.chars == y.chars && x.flags == y.flags &&
		    x.hash == english_hash((str){ text.p + x.at, x.bytes });
	}
	free(far);
	english_words_free(&a);
	english_words_free(&b);
	return same;
}

/* A piece with a letter of more than a byte is cut by other code than one without. */
static bool
walks(const struct english *r, str piece)
{
	struct english_words a = { 0 }, b = { 0 };
	struct english_piece x = { .p = piece.p, .end = piece.p + piece.n };
	bool same;

	b.limit = x.end;
	same = english_split(r, piece, &a, &err) == 0 && english_piece(r, piece.p, &x, &b) == 0 &&
	    a.n == b.n && (a.n == 0 ||
	    memcmp(a.word, b.word, (size_t)a.n * sizeof(*a.word)) == 0);
	english_words_free(&a);
	english_words_free(&b);
	return same;
}

int
main(void)
{
	struct english *r = english_new(&err);
	bool bits = true, looks = true, moved = true, walked = true;
	char text[TEXT];

	for (int i = 0; i < 20000; i++) {
		str s = make_text(text), piece = { text, 1 + below(70) };

		moved &= moves(r, s, below(140));
		looks &= quality_simd_base.look(s.p, s.n) == seen(s);
#ifdef __x86_64__
		if (isa_best() >= ISA_LEVEL_AVX2) {
			bits &= same_bits(&english_simd_avx2, s);
			looks &= quality_simd_avx2.look(s.p, s.n) == seen(s);
		}
		if (isa_best() >= ISA_LEVEL_AVX512) {
			bits &= same_bits(&english_simd_avx512, s);
			looks &= quality_simd_avx512.look(s.p, s.n) == seen(s);
		}
#endif
		for (ptrdiff_t k = 0; k < piece.n; k++)
			text[k] = (char)('!' + below('~' - '!' + 1));
		walked &= walks(r, piece);
	}
	ok(bits, "what bytes are");
	ok(looks, "one look");
	ok(moved, "words behind blanks");
	ok(walked, "words of a piece that nothing is known of");
	english_free(r);
	return tap_done();
}
