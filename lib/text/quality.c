#include "text/quality.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/quality_impl.h"

static const struct {
	const char *name;
	int (*judge)(struct quality_run *run, struct err *err);
} families[QUALITY_FAMILIES] = {
	[FAMILY_GOPHER] = { "gopher", quality_gopher },
	[FAMILY_REP] = { "gopher-rep", quality_repeat },
	[FAMILY_C4] = { "c4", quality_c4 },
	[FAMILY_MC4] = { "mc4", quality_mc4 },
	[FAMILY_FINEWEB] = { "fineweb", quality_fineweb },
	[FAMILY_LINES] = { "lines", quality_line_rules },
	[FAMILY_NEMO] = { "nemo", quality_nemo },
	[FAMILY_CODE] = { "code", quality_code },
	[FAMILY_TOKENS] = { "tokens", quality_tokens },
	[FAMILY_WORDS] = { "words", quality_bad_words },
	[FAMILY_URL] = { "url", quality_url },
};

/* Rules of one value are neighbours. */
static void
name_values(struct quality *q)
{
	str last = S("");

	for (int i = 0; i < QUALITY_RULES; i++) {
		struct quality_name *to = &q->name[i];
		str rest = str_of(quality_rules[i].name), family = str_cut(&rest, '.');

		if (quality_rules[i].bound == BOUND_PARAMETER)
			continue;
		if (str_starts(rest, S("min-")) || str_starts(rest, S("max-")))
			rest = (str){ rest.p + 4, rest.n - 4 };
		to->n = (uint8_t)snprintf(to->p, sizeof(to->p), "%.*s.%.*s", STR_ARG(family),
		    STR_ARG(rest));
		if (str_eq(last, (str){ to->p, to->n }))
			to->n = 0;
		else
			last = (str){ to->p, to->n };
	}
}

int
quality_init(struct quality *q, struct err *err)
{
	*q = (struct quality){ 0 };
	for (int i = 0; i < QUALITY_RULES; i++)
		q->limit[i] = quality_rules[i].limit;
	name_values(q);
	if (quality_stop_words(q, err) < 0)
		return -1;
	q->words = english_new(err);
	return q->words == NULL ? -1 : 0;
}

void
quality_free(struct quality *q)
{
	english_free(q->words);
	q->words = NULL;
	for (int i = 0; i < QUALITY_LISTS; i++)
		quality_list_free(q, i);
}

void
quality_state_free(struct quality_state *s)
{
	english_words_free(&s->words);
	buf_free(&s->text[0]);
	buf_free(&s->text[1]);
	buf_free(&s->line);
	buf_free(&s->items);
	buf_free(&s->table);
	buf_free(&s->grams);
	buf_free(&s->place[0]);
	buf_free(&s->place[1]);
	buf_free(&s->sums);
}

int
quality_family_of(int rule)
{
	str name = str_of(quality_rules[rule].name);
	str head = str_cut(&name, '.');

	for (int i = 0; i < QUALITY_FAMILIES; i++)
		if (str_eq(head, str_of(families[i].name)))
			return i;
	return -1;
}

/* Does name mean the rule?  "gopher" is both Gopher families. */
static bool
means(str name, int rule)
{
	str rest = str_of(quality_rules[rule].name), full = rest;
	str head = str_cut(&rest, '.');

	if (str_eq(name, full) || str_eq(name, head))
		return true;
	if (str_eq(name, S("gopher")) && str_eq(head, S("gopher-rep")))
		return true;
	return (str_starts(rest, S("min-")) || str_starts(rest, S("max-"))) &&
	    name.n == full.n - 4 && str_starts(name, (str){ head.p, head.n + 1 }) &&
	    str_ends(name, (str){ rest.p + 4, rest.n - 4 });
}

static void
add_family(struct quality *q, int family)
{
	for (int i = 0; i < q->nfamilies; i++)
		if (q->family[i] == family)
			return;
	q->family[q->nfamilies++] = family;
}

int
quality_select(struct quality *q, str names, struct err *err)
{
	while (names.p != NULL) {
		str name = str_cut(&names, ',');
		bool on = !str_starts(name, S("-")), found = false;

		if (!on)
			name = (str){ name.p + 1, name.n - 1 };
		for (int i = 0; i < QUALITY_RULES; i++) {
			if (!means(name, i) || quality_rules[i].bound == BOUND_PARAMETER)
				continue;
			found = true;
			q->on[i] = on;
			if (on)
				add_family(q, quality_family_of(i));
		}
		if (!found)
			return err_set(err, ERR_ARG, "no rule '%.*s'", STR_ARG(name));
	}
	return 0;
}

int
quality_set(struct quality *q, str setting, struct err *err)
{
	str value = setting, name = str_cut(&value, '=');
	char number[64], *end;
	double x;

	if (value.p == NULL || value.n == 0 || value.n >= (ptrdiff_t)sizeof(number))
		return err_set(err, ERR_ARG, "'%.*s' is not rule=number", STR_ARG(setting));
	memcpy(number, value.p, (size_t)value.n);
	number[value.n] = '\0';
	x = strtod(number, &end);
	if (*end == '%' && end[1] == '\0')
		x /= 100;
	else if (*end != '\0')
		return err_set(err, ERR_ARG, "'%s' is no number", number);
	if (!isfinite(x) || x < 0)
		return err_set(err, ERR_ARG, "'%s' is no limit", number);
	for (int i = 0; i < QUALITY_RULES; i++)
		if (str_eq(name, str_of(quality_rules[i].name))) {
			if (quality_rules[i].unit[0] == '\0')
				return err_set(err, ERR_ARG, "rule '%.*s' has no limit",
				    STR_ARG(name));
			q->limit[i] = x;
			return 0;
		}
	return err_set(err, ERR_ARG, "no rule '%.*s' with a limit", STR_ARG(name));
}

int
quality_value_find(const struct quality *q, str name)
{
	for (int i = 0; i < QUALITY_RULES; i++)
		if (q->name[i].n > 0 && str_eq(name, (str){ q->name[i].p, q->name[i].n }))
			return i;
	return -1;
}

int
quality_words(struct quality_run *run, struct err *err)
{
	if (run->have_words)
		return 0;
	if (english_split(run->q->words, run->text, &run->s->words, err) < 0)
		return -1;
	run->have_words = true;
	return 0;
}

ptrdiff_t
quality_chars(struct quality_run *run)
{
	if (run->chars < 0)
		run->chars = utf8_count(run->text);
	return run->chars;
}

void
quality_look(struct quality_run *run)
{
	if (run->seen < 0)
		run->seen = run->text.n > 0 ? quality_simd()->look(run->text.p, run->text.n) : 0;
}

struct quality_lines
quality_lines(struct quality_run *run)
{
	struct quality_lines l = { run->text.p, run->text.p + run->text.n, false };

	quality_look(run);
	l.plain = (run->seen & QUALITY_LINE_ENDS) == 0;
	return l;
}

bool
quality_line(struct quality_lines *l, str *line)
{
	const char *p = l->at, *q;

	if (p == l->end)
		return false;
	if (l->plain) {
		q = memchr(p, '\n', (size_t)(l->end - p));
		*line = (str){ p, (q != NULL ? q : l->end) - p };
		l->at = q != NULL ? q + 1 : l->end;
		return true;
	}
	for (q = p; q < l->end; q++) {
		unsigned char c = (unsigned char)*q;
		const char *next = q;

		if ((c >= ' ' && c != 0xc2 && c != 0xe2) || c == '\t')
			continue;
		if ((uni_class(utf8_next(&next, l->end)) & UNI_LINE) == 0)
			continue;
		*line = (str){ p, q - p };
		if (c == '\r' && next < l->end && *next == '\n')
			next++;
		l->at = next;
		return true;
	}
	*line = (str){ p, l->end - p };
	l->at = l->end;
	return true;
}

uint32_t *
quality_table(struct quality_state *s, ptrdiff_t n, uint64_t *mask, struct err *err)
{
	ptrdiff_t size = 64;
	void *p;

	while (size < 2 * n)
		size *= 2;
	buf_reset(&s->table);
	s->table.limit = PTRDIFF_MAX / 4;
	p = buf_room(&s->table, size * (ptrdiff_t)sizeof(uint32_t));
	if (p == NULL) {
		buf_ok(&s->table, err);
		return NULL;
	}
	memset(p, 0, (size_t)size * sizeof(uint32_t));
	*mask = (uint64_t)size - 1;
	return p;
}

int
quality_item_add(struct quality_state *s, str item, int64_t chars, struct err *err)
{
	struct quality_item *i = (void *)buf_room(&s->items, (ptrdiff_t)sizeof(*i));

	if (i == NULL)
		return buf_ok(&s->items, err);
	i->hash = hash64(item);
	i->chars = chars;
	s->items.n += (ptrdiff_t)sizeof(*i);
	return 0;
}

int
quality_items_end(struct quality_state *s, struct quality_repeats *r, struct err *err)
{
	const struct quality_item *item = (const void *)s->items.p;
	ptrdiff_t n = s->items.n / (ptrdiff_t)sizeof(*item);
	uint64_t mask;
	uint32_t *slot = quality_table(s, n, &mask, err);

	if (slot == NULL)
		return -1;
	*r = (struct quality_repeats){ .items = n };
	for (ptrdiff_t i = 0; i < n; i++) {
		uint64_t k = quality_slot(item[i].hash, mask);

		while (slot[k] != 0 && item[slot[k] - 1].hash != item[i].hash)
			k = (k + 1) & mask;
		if (slot[k] == 0) {
			slot[k] = (uint32_t)i + 1;
		} else {
			r->repeated++;
			r->chars += item[i].chars;
		}
	}
	buf_reset(&s->items);
	return 0;
}

struct buf *
quality_edit_start(struct quality_run *run)
{
	struct buf *b = &run->s->text[0];

	if (b->p != NULL && run->text.p >= b->p && run->text.p < b->p + b->cap)
		b = &run->s->text[1];

	buf_reset(b);
	b->limit = PTRDIFF_MAX / 4;
	return b;
}

void
quality_edit_end(struct quality_run *run, const struct buf *b)
{
	if (run->trial)
		return;
	run->text = b->n > 0 ? uni_trim(buf_str(b)) : S("");
	run->have_words = false;
	run->chars = run->seen = -1;
}

int64_t
quality_count_tokens(struct quality_run *run, struct err *err)
{
	if (run->q->count != NULL)
		return run->q->count(run->s->counter, run->text, err);
	return quality_words(run, err) < 0 ? -1 : run->s->words.n;
}

/* What the edits of a family removed, into the verdict; as values too where they are wanted. */
static void
note_removed(struct quality_run *run, int family)
{
	for (int i = 0; i < QUALITY_RULES; i++) {
		enum quality_bound bound = quality_rules[i].bound;

		if ((bound != BOUND_LINE && bound != BOUND_EDIT) || quality_family_of(i) != family)
			continue;
		if (!run->trial)
			run->v->removed[i] = run->removed[i];
		if (run->value != NULL && edits(run, i))
			run->value[i] = (double)run->removed[i];
	}
}

static int
judge_family(struct quality_run *run, int family, struct err *err)
{
	int got;

	run->trial = run->value != NULL && !quality_selected(run->q, family);
	got = families[family].judge(run, err);
	if (quality_edits(family))
		note_removed(run, family);
	return got;
}

static void
start(struct quality_run *run, str text)
{
	run->text = text;
	run->chars = run->seen = -1;
	*run->v = (struct quality_verdict){ .rule = -1, .text = text };
}

static int
finish(struct quality_run *run, str text)
{
	run->v->text = run->text;
	run->v->edited = !str_eq(run->text, text);
	return 0;
}

int
quality_measure(const struct quality *q, struct quality_state *s, str text,
    double value[QUALITY_RULES], struct quality_verdict *v, struct err *err)
{
	struct quality_run run = { .q = q, .s = s, .v = v, .value = value };

	start(&run, text);
	for (int i = 0; i < q->nfamilies; i++) {
		int got = judge_family(&run, q->family[i], err);

		if (got < 0)
			return -1;
		if (got > 0)
			break;
	}
	return finish(&run, text);
}

int
quality_judge(const struct quality *q, struct quality_state *s, str text,
    struct quality_verdict *v, struct err *err)
{
	return quality_measure(q, s, text, NULL, v, err);
}

int
quality_signals(const struct quality *q, struct quality_state *s, str text,
    unsigned which, double value[QUALITY_RULES], struct quality_verdict *v, struct err *err)
{
	struct quality_run run = { .q = q, .s = s, .v = v, .value = value };
	unsigned edited = 0;

	start(&run, text);
	for (int i = 0; i < QUALITY_RULES; i++)
		value[i] = (double)NAN;
	for (int i = 0; i < q->nfamilies; i++)
		if (quality_edits(q->family[i])) {
			if (judge_family(&run, q->family[i], err) < 0)
				return -1;
			edited |= 1u << q->family[i];
		}
	for (int i = 0; i < QUALITY_FAMILIES; i++)
		if ((which & ~edited & 1u << i) != 0 && judge_family(&run, i, err) < 0)
			return -1;
	return finish(&run, text);
}

int
quality_url_values(const struct quality *q, struct quality_state *s,
    double value[QUALITY_RULES], struct err *err)
{
	struct quality_verdict v;
	struct quality_run run = { .q = q, .s = s, .v = &v, .value = value };

	start(&run, S(""));
	return judge_family(&run, FAMILY_URL, err) < 0 ? -1 : 0;
}

void
quality_apply(const struct quality *q, const double value[QUALITY_RULES],
    struct quality_verdict *v)
{
	v->rule = -1;
	for (int i = 0; i < q->nfamilies; i++)
		for (int k = 0; k < QUALITY_RULES; k++) {
			if (!q->on[k] || quality_family_of(k) != q->family[i] ||
			    !quality_breaks(k, value[k], q->limit[k]))
				continue;
			v->rule = k;
			v->value = value[k];
			return;
		}
}

bool
quality_edits(int family)
{
	return family == FAMILY_C4 || family == FAMILY_LINES;
}

bool
quality_selected(const struct quality *q, int family)
{
	for (int i = 0; i < QUALITY_RULES; i++)
		if (q->on[i] && quality_family_of(i) == family)
			return true;
	return false;
}

bool
quality_breaks(int rule, double value, double limit)
{
	switch (quality_rules[rule].bound) {
	case BOUND_LOWER:
		return value < limit;
	case BOUND_UPPER:
		return value > limit;
	default:
		return false;
	}
}
