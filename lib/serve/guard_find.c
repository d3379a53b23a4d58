#include <assert.h>

#include "serve/guard_impl.h"

#define BEHIND_MAX	64	/* characters: GUARD_BEHIND is more than their bytes */
#define PATTERN_MAX	4096	/* bytes of a pattern */
#define STEPS		20000	/* of PCRE2 from one place */
#define LONGS		1000	/* places of a text where a match could be too long */

/* ---- patterns ---- */

/* What a match would depend on besides the text. */
static int
check_pattern(str regex, struct err *err)
{
	if (regex.n == 0 || regex.n > PATTERN_MAX)
		return err_set(err, ERR_FORMAT, "a pattern of %td bytes", regex.n);
	for (ptrdiff_t i = 0; i + 1 < regex.n; i++) {
		char c = regex.p[i], next = regex.p[i + 1];

		if (c == '(' && next == '*')
			return err_set(err, ERR_FORMAT, "(* is not for patterns of rules");
		if (c == '\\' && (next == 'G' || next == 'K'))
			return err_set(err, ERR_FORMAT, "\\%c is not for patterns of rules", next);
		i += c == '\\';
	}
	return 0;
}

pcre2_code *
guard_compile(str regex, uint32_t options, struct err *err)
{
	pcre2_compile_context *context;
	pcre2_code *code = NULL;
	PCRE2_UCHAR why[160] = "";
	PCRE2_SIZE at;
	uint32_t behind;
	int error;

	if (check_pattern(regex, err) < 0)
		return NULL;
	if ((context = pcre2_compile_context_create(NULL)) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	code = pcre2_compile((PCRE2_SPTR)regex.p, (PCRE2_SIZE)regex.n,
	    options | PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &at, context);
	pcre2_compile_context_free(context);
	if (code == NULL) {
		pcre2_get_error_message(error, why, sizeof(why));
		err_set(err, ERR_FORMAT, "the pattern's byte %zu: %s", (size_t)at, (char *)why);
		return NULL;
	}
	pcre2_pattern_info(code, PCRE2_INFO_MAXLOOKBEHIND, &behind);
	if (behind > BEHIND_MAX) {
		err_set(err, ERR_LIMIT, "a pattern that looks behind %u characters, at most %d",
		    (unsigned)behind, BEHIND_MAX);
		pcre2_code_free(code);
		return NULL;
	}
	/* Where there is no JIT it is slower, and the same. */
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
	return code;
}

int
guard_matcher_init(struct guard_matcher *m, struct err *err)
{
	m->match = pcre2_match_data_create(1, NULL);
	m->context = pcre2_match_context_create(NULL);
	m->stack = pcre2_jit_stack_create(32 << 10, 1 << 20, NULL);
	if (m->match == NULL || m->context == NULL || m->stack == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	pcre2_set_match_limit(m->context, STEPS);
	pcre2_jit_stack_assign(m->context, NULL, m->stack);
	return 0;
}

void
guard_matcher_free(struct guard_matcher *m)
{
	pcre2_match_data_free(m->match);
	pcre2_match_context_free(m->context);
	pcre2_jit_stack_free(m->stack);
}

static void
add(struct buf *found, ptrdiff_t start, ptrdiff_t end, int rule, enum pii_kind kind)
{
	struct guard_found f = { start, end, rule, kind };

	buf_add(found, (str){ (const char *)&f, sizeof(f) });
}

/* The end of a window of so many bytes from at, on a character, or of the text. */
static ptrdiff_t
window_end(str text, ptrdiff_t at, ptrdiff_t window)
{
	ptrdiff_t end = at + window;

	if (end >= text.n)
		return text.n;
	while (((unsigned char)text.p[end] & 0xc0) == 0x80)
		end--;
	return end;
}

static int
match(const struct guard_rule *rule, struct guard_matcher *m, str text, ptrdiff_t at,
    uint32_t options)
{
	return pcre2_match(rule->code, (PCRE2_SPTR)text.p, (PCRE2_SIZE)text.n, (PCRE2_SIZE)at,
	    options | PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, m->match, m->context);
}

/*
 * PCRE2's hard partial matching tells what is so whatever text follows.  A place where that is
 * not known with the whole window after it is decided as if the text ended with the window.  So
 * each place's fate depends on the text alone: no call sees more than the window of the place
 * where it begins, and thus of none after it.
 */
static int
find_pattern(const struct guard_rule *rule, int number, struct guard_matcher *m,
    struct guard_scan *scan, str text, bool more, struct buf *found)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->match);

	while (scan->safe < text.n) {
		ptrdiff_t at = scan->safe, end = window_end(text, at, GUARD_WINDOW);
		bool all = text.n - at >= GUARD_WINDOW, goes_on = more || end < text.n;
		str window = { text.p, end };
		int got = match(rule, m, window, at, goes_on ? PCRE2_PARTIAL_HARD : 0);

		if (got == PCRE2_ERROR_PARTIAL && (ptrdiff_t)v[0] == at) {
			if (!all)
				return 0;
			got = ++scan->longs > LONGS ? PCRE2_ERROR_MATCHLIMIT :
			    match(rule, m, window, at, PCRE2_ANCHORED);
			end = at + 1;
			while (end < text.n && ((unsigned char)text.p[end] & 0xc0) == 0x80)
				end++;
		}
		if (got >= 0) {
			add(found, (ptrdiff_t)v[0], (ptrdiff_t)v[1], number, 0);
			scan->safe = (ptrdiff_t)v[1];
		} else if (got == PCRE2_ERROR_NOMATCH) {
			scan->safe = end;
		} else if (got == PCRE2_ERROR_PARTIAL) {
			scan->safe = (ptrdiff_t)v[0];
		} else {
			scan->failed = true;
			return -1;
		}
	}
	return 0;
}

/* ---- personal data, words ---- */

/* Windows as those of patterns: what is not known at the end of one is decided as at the end. */
static void
find_pii(const struct guard_rule *rule, int number, struct guard_scan *scan, str text, bool more,
    struct buf *found)
{
	struct pii_scan *p = &scan->pii;
	bool again = true;

	p->rules = &rule->pii;
	while (again) {
		ptrdiff_t from = p->safe, end = window_end(text, from, GUARD_PII);
		bool all = text.n - from >= GUARD_PII, goes_on = more || end < text.n;
		str window = { text.p, end };
		struct pii_span span;

		while (pii_next(p, window, goes_on, &span) > 0)
			add(found, span.start, span.end, number, span.kind);
		if (all && p->safe == from)
			while (pii_next(p, window, false, &span) > 0)
				add(found, span.start, span.end, number, span.kind);
		again = end < text.n && p->safe > from;
	}
	scan->safe = p->safe;
}

static void
find_words(const struct guard_rule *rule, int number, struct guard_scan *scan, str text,
    bool more, struct buf *found)
{
	ptrdiff_t start, end;

	while (automaton_next(rule->words, &scan->walk, text, more, &start, &end))
		add(found, start, end, number, 0);
	scan->safe = scan->walk.safe;
}

int
guard_find(const struct guard_rule *rule, int number, struct guard_matcher *m,
    struct guard_scan *scan, str text, bool more, struct buf *found)
{
	int ret = 0;

	if (scan->failed)
		scan->safe = text.n;
	else if (rule->kind == GUARD_PATTERN)
		ret = find_pattern(rule, number, m, scan, text, more, found);
	else if (rule->kind == GUARD_PII_KINDS)
		find_pii(rule, number, scan, text, more, found);
	else if (rule->kind == GUARD_WORDS && rule->words != NULL)
		find_words(rule, number, scan, text, more, found);
	else
		scan->safe = text.n;
	return ret;
}

void
guard_forget(const struct guard_rule *rule, struct guard_scan *scan, ptrdiff_t n)
{
	assert(n <= scan->safe);
	scan->safe -= n;
	scan->walk.at -= n;
	scan->walk.safe -= n;
	if (rule->kind == GUARD_PII_KINDS)
		pii_forget(&scan->pii, n);
}
