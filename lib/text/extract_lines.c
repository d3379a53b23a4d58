#include "base/hash.h"
#include "base/json.h"
#include "text/extract_impl.h"

enum { KEY_TEXT, KEY_ID, KEY_SOURCE, KEY_FIELD, KEYS };

/* Append one line as a record.  Return 1, 0 when its text is too short, -1. */
static int
convert(struct item *it, struct member *m, str field, str line, int64_t number,
    int64_t min_bytes, struct err *err)
{
	const str keys[KEYS] = { S("text"), S("id"), S("source"), field };
	bool renamed = !str_eq(field, keys[KEY_TEXT]);
	struct json_member v[KEYS];
	struct json_set set[4];
	char id[36] = "\"";
	int n = 0;
	str text;

	if (json_scan(line, keys, renamed ? KEYS : KEY_FIELD, v, err) < 0)
		return -1;
	if (!renamed)
		v[KEY_FIELD] = v[KEY_TEXT];
	if (v[KEY_FIELD].value.p == NULL)
		return err_set(err, ERR_FORMAT, "no key '%.*s'", STR_ARG(field));
	if (json_text(v[KEY_FIELD].value, &m->utf8, &text, err) < 0)
		return -1;
	if (text.n < min_bytes)
		return 0;
	if (renamed) {
		set[n++] = (struct json_set){ keys[KEY_TEXT], v[KEY_FIELD].value };
		set[n++] = (struct json_set){ field, { NULL, 0 } };
	}
	if (v[KEY_ID].value.p == NULL) {
		hash128_hex(hash128_of(text), id + 1);
		id[33] = '"';
		set[n++] = (struct json_set){ keys[KEY_ID], { id, 34 } };
	}
	if (v[KEY_SOURCE].value.p == NULL) {
		struct buf label = { 0 };

		buf_add(&label, buf_str(&it->label));
		buf_fmt(&label, ":%lld", (long long)number);
		buf_reset(&m->scratch);
		json_quote(&m->scratch, buf_str(&label));
		buf_free(&label);
		set[n++] = (struct json_set){ keys[KEY_SOURCE], buf_str(&m->scratch) };
	}
	it->text_bytes += text.n;
	if (n == 0)
		buf_add(&it->record, line);
	else if (json_splice(&it->record, line, set, n, err) < 0)
		return -1;
	buf_byte(&it->record, '\n');
	return 1;
}

void
lines_convert(struct item *it, struct member *m, str field, int64_t min_bytes,
    bool keep_going)
{
	str rest = buf_str(&it->bytes);
	int64_t number = it->line;

	while (rest.p != NULL) {
		str line = str_cut(&rest, '\n');
		ptrdiff_t mark = it->record.n;
		struct err why;
		int got;

		number++;
		while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
			line.n--;
		if (line.n == 0)
			continue;
		if ((got = convert(it, m, field, line, number, min_bytes, &why)) < 0) {
			it->record.n = mark;
			item_fail(it, number, &why);
			if (!keep_going)
				return;
		} else {
			it->records += got;
		}
	}
}
