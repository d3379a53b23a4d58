#include "text/dedup.h"

#include "base/hash.h"

const struct dedup_method *const dedup_methods[] = { &dedup_exact, &dedup_near, NULL };

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

str
dedup_name(const struct record *r, struct err *err)
{
	str id = r->member[0].value;
	char hex[35];

	if (id.p == NULL || str_eq(id, S("null"))) {
		hex[0] = '"';
		hash128_hex(hash128_of(r->text), hex + 1);
		hex[33] = '"';
		id = (str){ hex, 34 };
	}
	return arena_str(r->scratch, id, err);
}

int
dedup_tell(struct dedup *d, const struct record *r, str name, str kept_name, int64_t kept,
    double jaccard, struct err *err)
{
	if (d->clusters == NULL)
		return 0;
	buf_reset(&d->line);
	buf_add(&d->line, S("{\"id\":"));
	buf_add(&d->line, name);
	buf_fmt(&d->line, ",\"index\":%lld,\"kept_id\":", (long long)r->index);
	buf_add(&d->line, kept_name);
	buf_fmt(&d->line, ",\"kept_index\":%lld,\"jaccard\":%.6g,\"method\":\"%s\"}\n",
	    (long long)kept, jaccard, d->method->name);
	if (buf_ok(&d->line, err) < 0)
		return -1;
	return out_write(d->clusters, d->line.p, d->line.n, err);
}
