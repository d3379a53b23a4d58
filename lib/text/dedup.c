#include "text/dedup.h"

const struct dedup_method *const dedup_methods[] = {
	&dedup_exact, &dedup_url, &dedup_near, &dedup_substring, &dedup_sentence, &dedup_line,
	&dedup_paragraph, NULL,
};

const struct dedup_method *
dedup_method_of(const char *name)
{
	for (const struct dedup_method *const *m = dedup_methods; *m != NULL; m++)
		if (strcmp((*m)->name, name) == 0)
			return *m;
	return NULL;
}

bool
dedup_takes(const struct dedup_method *m, const char *option)
{
	for (const char *const *name = m->takes; *name != NULL; name++)
		if (strcmp(*name, option) == 0)
			return true;
	return false;
}

int
dedup_open(struct dedup *d, const struct dedup_method *m, struct err *err)
{
	d->method = m;
	return m->open(d, err);
}

void
dedup_close(struct dedup *d)
{
	d->method->close(d);
	spill_free(&d->spill);
	buf_free(&d->line);
}

int
dedup_settings(const struct dedup *d, struct buf *b, struct err *err)
{
	buf_reset(b);
	buf_fmt(b, "{\"type\":\"%s\",\"field\":", d->method->name);
	json_quote(b, d->field);
	if (d->method->settings != NULL)
		d->method->settings(d, b);
	buf_byte(b, '}');
	return buf_ok(b, err);
}

str
dedup_name(const struct record *r, struct err *err)
{
	str id = r->member[0].value;
	char hex[35];

	if (!json_given(id)) {
		hex[0] = '"';
		hash128_hex(hash128_of(r->text), hex + 1);
		hex[33] = '"';
		id = (str){ hex, 34 };
	}
	return arena_str(r->scratch, id, err);
}

int
dedup_map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct dedup *d = ctx;
	struct dedup_sign *s = arena_new(r->scratch, struct dedup_sign, 1, err);

	if (s == NULL)
		return RECORD_BAD;
	if ((d->named || d->clusters != NULL) && (s->name = dedup_name(r, err)).p == NULL)
		return RECORD_BAD;
	if (d->method->sign(d, state, r, s, err) < 0)
		return RECORD_BAD;
	r->tag[0] = (uint64_t)(uintptr_t)s;
	return RECORD_KEEP;
}

int
dedup_order(void *ctx, struct record *r, struct err *err)
{
	struct dedup *d = ctx;
	const struct dedup_sign *s = (const struct dedup_sign *)(uintptr_t)r->tag[0];
	struct near_hit hit;
	int got = d->method->find(d, s, &hit, err);

	if (got == 0)
		return d->method->add(d, s, r->index, err) < 0 ? RECORD_BAD : RECORD_KEEP;
	if (got > 0 && d->clusters != NULL && dedup_tell(d, r->index, s->name, hit.number,
	    hit.name, hit.jaccard, err) < 0)
		got = -1;
	return got < 0 ? RECORD_BAD : RECORD_DROP;
}

int
dedup_tell(struct dedup *d, int64_t index, str name, int64_t kept, str kept_name,
    double jaccard, struct err *err)
{
	buf_reset(&d->line);
	buf_add(&d->line, S("{\"id\":"));
	buf_add(&d->line, name);
	buf_fmt(&d->line, ",\"index\":%lld,\"kept_id\":", (long long)index);
	buf_add(&d->line, kept_name);
	if (kept >= 0)
		buf_fmt(&d->line, ",\"kept_index\":%lld", (long long)kept);
	else
		buf_add(&d->line, S(",\"kept_index\":null"));
	buf_fmt(&d->line, ",\"jaccard\":%.6g,\"method\":\"%s\"}\n", jaccard, d->method->name);
	if (buf_ok(&d->line, err) < 0)
		return -1;
	return out_write(d->clusters, d->line.p, d->line.n, err);
}
