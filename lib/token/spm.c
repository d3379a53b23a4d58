#include "token/spm.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "text/unicode.h"
#include "token/sentence.h"
#include "token/tokenizer.h"
#include "token/tokenizer_save.h"

#define PIECES_MAX	((int64_t)1 << 22)	/* as of tokenizer.h's reader */

/* ---- protocol buffers ---- */

enum { WIRE_NUMBER, WIRE_8, WIRE_BYTES, WIRE_4 = 5 };

struct field {
	uint64_t	number;
	unsigned	wire;
	uint64_t	value;
	float		real;
	str		bytes;
};

static bool
varint(str *m, uint64_t *x)
{
	*x = 0;
	for (int i = 0; i < 10 && i < m->n; i++) {
		*x |= (uint64_t)(m->p[i] & 0x7f) << 7 * i;
		if ((m->p[i] & 0x80) == 0) {
			*m = (str){ m->p + i + 1, m->n - i - 1 };
			return true;
		}
	}
	return false;
}

/* Take a field off a message: 1, 0 at the end, -1. */
static int
next(str *m, struct field *f)
{
	uint64_t key, n;
	uint32_t bits = 0;

	if (m->n == 0)
		return 0;
	if (!varint(m, &key))
		return -1;
	f->number = key >> 3;
	f->wire = key & 7;
	if (f->wire == WIRE_NUMBER)
		return varint(m, &f->value) ? 1 : -1;
	n = f->wire == WIRE_8 ? 8 : 4;
	if ((f->wire == WIRE_BYTES && !varint(m, &n)) || n > (uint64_t)m->n ||
	    (f->wire != WIRE_BYTES && f->wire != WIRE_8 && f->wire != WIRE_4))
		return -1;
	f->bytes = (str){ m->p, (ptrdiff_t)n };
	if (f->wire == WIRE_4) {
		for (int i = 0; i < 4; i++)
			bits |= (uint32_t)(uint8_t)m->p[i] << 8 * i;
		memcpy(&f->real, &bits, sizeof(bits));
	}
	*m = (str){ m->p + n, m->n - (ptrdiff_t)n };
	return 1;
}

/* ---- the model ---- */

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };
enum { MODEL_UNIGRAM = 1, MODEL_BPE };

struct piece {
	str	text;
	float	score;
	uint8_t	type;
};

struct model {
	struct piece	*piece;
	int64_t		 n, cap;
	uint64_t	 kind, bos, eos, pad;
	int64_t		 unknown;
	bool		 bytes, suffix;
	bool		 prefix, trim, escape;
	str		 map;
};

static int
read_piece(struct model *m, str message, struct err *err)
{
	struct piece p = { .type = TYPE_NORMAL };
	struct field f;
	int got;

	while ((got = next(&message, &f)) > 0) {
		if (f.number == 1 && f.wire == WIRE_BYTES)
			p.text = f.bytes;
		else if (f.number == 2 && f.wire == WIRE_4)
			p.score = f.real;
		else if (f.number == 3 && f.wire == WIRE_NUMBER)
			p.type = f.value > TYPE_BYTE ? 0 : (uint8_t)f.value;
	}
	if (got < 0 || p.text.n == 0 || p.type == 0 || isnan(p.score) || utf8_bad(p.text) >= 0)
		return err_set(err, ERR_FORMAT, "piece %lld is not one of SentencePiece",
		    (long long)m->n);
	if (p.type == TYPE_UNKNOWN && m->unknown >= 0)
		return err_set(err, ERR_FORMAT, "pieces %lld and %lld are both unknown",
		    (long long)m->unknown, (long long)m->n);
	if (p.type == TYPE_UNKNOWN)
		m->unknown = m->n;
	if (m->n == m->cap) {
		int64_t cap = 2 * m->cap + 1024;
		struct piece *to = realloc(m->piece, (size_t)cap * sizeof(*to));

		if (m->n == PIECES_MAX)
			return err_set(err, ERR_LIMIT, "more than %lld pieces",
			    (long long)PIECES_MAX);
		if (to == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		m->piece = to;
		m->cap = cap;
	}
	m->piece[m->n++] = p;
	return 0;
}

static int
read_trainer(struct model *m, str message)
{
	struct field f;
	int got;

	while ((got = next(&message, &f)) > 0) {
		if (f.wire != WIRE_NUMBER)
			continue;
		switch (f.number) {
		case 3:		m->kind = f.value; break;
		case 24:	m->suffix = f.value != 0; break;
		case 35:	m->bytes = f.value != 0; break;
		case 41:	m->bos = f.value; break;
		case 42:	m->eos = f.value; break;
		case 43:	m->pad = f.value; break;
		default:	break;
		}
	}
	return got;
}

static int
read_normalizer(struct model *m, str message)
{
	struct field f;
	int got;

	while ((got = next(&message, &f)) > 0) {
		if (f.number == 2 && f.wire == WIRE_BYTES)
			m->map = f.bytes;
		else if (f.number == 3 && f.wire == WIRE_NUMBER)
			m->prefix = f.value != 0;
		else if (f.number == 4 && f.wire == WIRE_NUMBER)
			m->trim = f.value != 0;
		else if (f.number == 5 && f.wire == WIRE_NUMBER)
			m->escape = f.value != 0;
	}
	return got;
}

static int
check(const struct model *m, struct err *err)
{
	if (m->kind != MODEL_UNIGRAM && m->kind != MODEL_BPE)
		return err_set(err, ERR_FORMAT, "a model of SentencePiece that is neither Unigram "
		    "nor BPE is not supported");
	if (m->suffix || !m->escape)
		return err_set(err, ERR_FORMAT, "a model of SentencePiece with %s is not "
		    "supported", m->suffix ? "treat_whitespace_as_suffix" :
		    "escape_whitespaces off");
	if (m->unknown < 0)
		return err_set(err, ERR_FORMAT, "no piece of the model is the unknown one");
	for (int64_t i = 0; i < m->n; i++) {
		if (m->piece[i].type == TYPE_UNUSED && m->kind == MODEL_BPE)
			return err_set(err, ERR_FORMAT, "piece %lld is unused: that is not "
			    "supported in BPE", (long long)i);
		if (m->piece[i].type == TYPE_BYTE && (!m->bytes ||
		    sentence_byte(m->piece[i].text) < 0))
			return err_set(err, ERR_FORMAT, "piece %lld is no byte", (long long)i);
	}
	return 0;
}

static int
read_model(struct model *m, str file, struct err *err)
{
	struct field f;
	ptrdiff_t all = file.n;
	int got;

	*m = (struct model){ .kind = MODEL_UNIGRAM, .bos = 1, .eos = 2, .pad = UINT64_MAX,
	    .unknown = -1, .prefix = true, .trim = true, .escape = true };
	while ((got = next(&file, &f)) > 0) {
		if (f.wire != WIRE_BYTES)
			continue;
		if (f.number == 1 && read_piece(m, f.bytes, err) < 0)
			return -1;
		if ((f.number == 2 && (got = read_trainer(m, f.bytes)) < 0) ||
		    (f.number == 3 && (got = read_normalizer(m, f.bytes)) < 0))
			break;
	}
	if (got < 0)
		return err_set(err, ERR_FORMAT, "no model of SentencePiece, or damaged, before "
		    "byte %td", all - file.n);
	return check(m, err);
}

bool
spm_is(str file)
{
	struct field f;
	str piece;

	/* The first field is a piece, whose first one is its text. */
	if (next(&file, &f) <= 0 || f.number != 1 || f.wire != WIRE_BYTES)
		return false;
	piece = f.bytes;
	return next(&piece, &f) > 0 && f.number == 1 && f.wire == WIRE_BYTES && f.bytes.n > 0 &&
	    (file.n == 0 || file.p[0] == '\n' || file.p[0] == 0x12 || file.p[0] == 0x1a);
}

/* ---- as a tokenizer ---- */

static int
make_form(struct spm_form *f, const struct model *m, struct err *err)
{
	struct darts_key *key = calloc((size_t)m->n, sizeof(*key));
	int64_t n = 0;
	int ret;

	*f = (struct spm_form){ .prefix = m->prefix, .trim = m->trim,
	    .unknown = (int32_t)m->unknown };
	if (key == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < m->n; i++)
		if (m->piece[i].type == TYPE_USER)
			key[n++] = (struct darts_key){ m->piece[i].text, (int32_t)i };
	ret = spm_form(f, m->map, key, n, err);
	free(key);
	return ret;
}

double
spm_user_score(ptrdiff_t n)
{
	return (double)(float)(0.1 * (double)(n - 1));
}

struct lists {
	str	*token;
	uint8_t	*added;
	float	*score;
	double	*logp;
};

static void
fill(const struct model *m, struct lists *l)
{
	bool unigram = m->kind == MODEL_UNIGRAM;

	for (int64_t i = 0; i < m->n; i++) {
		const struct piece *p = &m->piece[i];
		bool special = p->type == TYPE_UNKNOWN || p->type == TYPE_CONTROL;

		l->token[i] = p->text;
		l->score[i] = p->score;
		l->logp[i] = special || p->type == TYPE_UNUSED ? (double)NAN :
		    p->type == TYPE_USER ? spm_user_score(p->text.n) : (double)p->score;
		l->added[i] = special ? ADDED_SPECIAL :
		    p->type == TYPE_USER && !unigram ? ADDED_PLAIN : ADDED_NOT;
	}
}

static void
set_role(const struct model *m, uint64_t id, str *token, int32_t *number)
{
	if (id >= (uint64_t)m->n || m->piece[id].type != TYPE_CONTROL)
		return;
	*token = m->piece[id].text;
	if (number != NULL)
		*number = (int32_t)id;
}

static struct tokenizer *
make(const struct model *m, struct lists *l, struct err *err)
{
	bool unigram = m->kind == MODEL_UNIGRAM;
	struct tokenizer_parts parts = { .n = (int32_t)m->n, .token = l->token,
	    .added = l->added, .score = unigram ? NULL : l->score, .logp = l->logp,
	    .sentence = true, .prefix = m->prefix || m->trim, .unigram = unigram,
	    .fallback = m->bytes, .words = m->trim && m->prefix, .unk_id = (int32_t)m->unknown,
	    .bos_id = -1, .eos_id = -1, .unk = m->piece[m->unknown].text };
	struct spm_form form;
	struct tokenizer *t = NULL;

	fill(m, l);
	set_role(m, m->bos, &parts.bos, &parts.bos_id);
	set_role(m, m->eos, &parts.eos, &parts.eos_id);
	set_role(m, m->pad, &parts.pad, NULL);
	parts.spm = &form;
	if (make_form(&form, m, err) == 0)
		t = tokenizer_make(&parts, err);
	spm_free(&form);
	return t;
}

struct tokenizer *
spm_tokenizer(str file, struct err *err)
{
	struct model m;
	struct lists l = { 0 };
	struct tokenizer *t = NULL;

	if (read_model(&m, file, err) == 0) {
		l.token = calloc((size_t)m.n, sizeof(*l.token));
		l.added = calloc((size_t)m.n, sizeof(*l.added));
		l.score = calloc((size_t)m.n, sizeof(*l.score));
		l.logp = calloc((size_t)m.n, sizeof(*l.logp));
		if (l.token == NULL || l.added == NULL || l.score == NULL || l.logp == NULL)
			err_set(err, ERR_NOMEM, "out of memory");
		else
			t = make(&m, &l, err);
	}
	free(l.token);
	free(l.added);
	free(l.score);
	free(l.logp);
	free(m.piece);
	return t;
}
