#include "token/tiktoken.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "token/bytemap.h"
#include "token/scan.h"
#include "token/tokenizer.h"
#include "token/tokenizer_save.h"

#define RANKS_MAX	((int64_t)1 << 21)
#define EXTRA		1152		/* special tokens, at most */
#define NAME		48		/* bytes of one */

struct special {
	int32_t		 id;
	const char	*name;
};

/*
 * first: the id of special[0], and the others', where theirs is 0, follow.  fill:
 * names of more, by number from fill_from on, up to the id end.
 */
static const struct known {
	const char	*name;
	int32_t		 ranks, first;
	enum scan	 pattern;
	bool		 nfc, bos;
	struct special	 special[16];
	const char	*fill;
	int32_t		 fill_from, end;
} known[] = {
	{ "gpt2", 50256, 50256, SCAN_GPT2, .special = { { 0, "<|endoftext|>" } } },
	{ "r50k", 50256, 50256, SCAN_GPT2, .special = { { 0, "<|endoftext|>" } } },
	{ "p50k_edit", 0, 50256, SCAN_GPT2, .special = { { 0, "<|endoftext|>" },
	    { 50281, "<|fim_prefix|>" }, { 0, "<|fim_middle|>" }, { 0, "<|fim_suffix|>" } } },
	{ "p50k", 50280, 50256, SCAN_GPT2, .special = { { 0, "<|endoftext|>" } } },
	{ "cl100k", 100256, 100257, SCAN_CL100K, .special = { { 0, "<|endoftext|>" },
	    { 0, "<|fim_prefix|>" }, { 0, "<|fim_middle|>" }, { 0, "<|fim_suffix|>" },
	    { 100276, "<|endofprompt|>" } } },
	{ "o200k_harmony", 0, 199998, SCAN_O200K, .special = { { 0, "<|startoftext|>" },
	    { 0, "<|endoftext|>" }, { 200002, "<|return|>" }, { 0, "<|constrain|>" },
	    { 200005, "<|channel|>" }, { 0, "<|start|>" }, { 0, "<|end|>" }, { 0, "<|message|>" },
	    { 200012, "<|call|>" }, { 200018, "<|endofprompt|>" } },
	    .fill = "<|reserved_%d|>", .fill_from = 200019, .end = 201088 },
	{ "o200k", 199998, 199999, SCAN_O200K, .special = { { 0, "<|endoftext|>" },
	    { 200018, "<|endofprompt|>" } } },
	{ "llama3", 128000, 128000, SCAN_LLAMA3, .bos = true, .special = {
	    { 0, "<|begin_of_text|>" }, { 0, "<|end_of_text|>" },
	    { 0, "<|reserved_special_token_0|>" }, { 0, "<|reserved_special_token_1|>" },
	    { 0, "<|finetune_right_pad_id|>" }, { 0, "<|step_id|>" },
	    { 0, "<|start_header_id|>" }, { 0, "<|end_header_id|>" }, { 0, "<|eom_id|>" },
	    { 0, "<|eot_id|>" }, { 0, "<|python_tag|>" }, { 0, "<|image|>" } },
	    .fill = "<|reserved_special_token_%d|>", .fill_from = 2, .end = 128256 },
	{ "qwen", 151643, 151643, SCAN_QWEN2, .nfc = true, .special = {
	    { 0, "<|endoftext|>" }, { 0, "<|im_start|>" }, { 0, "<|im_end|>" } },
	    .fill = "<|extra_%d|>", .end = 151851 },
};

#define KNOWN	(sizeof(known) / sizeof(*known))

struct ranks {
	int32_t		 n;		/* highest id + 1 */
	int64_t		 count;
	str		*token;
	uint8_t		*added;
	struct buf	 names;		/* of tokens, which are characters for bytes */
	char		 special[EXTRA][NAME];
	int32_t		 nspecial;
};

/* "aGVsbG8= 15339": false at the end of file. */
static bool
next_line(str *file, str *bytes, str *rank)
{
	str line;

	do {
		if (file->p == NULL)
			return false;
		line = str_cut(file, '\n');
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
	} while (line.n == 0);
	*bytes = str_cut(&line, ' ');
	*rank = line;
	return true;
}

static int64_t
number(str s)
{
	int64_t x = 0;

	if (s.n < 1 || s.n > 9)
		return -1;
	for (ptrdiff_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		x = 10 * x + s.p[i] - '0';
	}
	return x;
}

bool
tiktoken_is(str file)
{
	struct buf bytes = { 0 };
	struct err ignored;
	str text, rank;
	bool is = next_line(&file, &text, &rank) && text.n > 0 && number(rank) >= 0 &&
	    base64_decode(&bytes, text, &ignored) == 0;

	buf_free(&bytes);
	return is;
}

bool
tiktoken_known(str name)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (str_eq(name, str_of(known[i].name)))
			return true;
	return false;
}

static const struct known *
find_known(str name, int64_t count)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (str_starts(name, str_of(known[i].name)))
			return &known[i];
	for (size_t i = 0; i < KNOWN; i++)
		if (count == known[i].ranks)
			return &known[i];
	return NULL;
}

/* ---- the file ---- */

static int
measure(struct ranks *r, str file, struct err *err)
{
	int64_t line = 0, id;
	str text, rank;

	while (next_line(&file, &text, &rank)) {
		line++;
		if ((id = number(rank)) < 0 || id >= RANKS_MAX)
			return err_set(err, ERR_FORMAT, "line %lld is not Base64 and a rank below "
			    "%lld", (long long)line, (long long)RANKS_MAX);
		if (id >= r->n)
			r->n = (int32_t)id + 1;
	}
	r->count = line;
	return 0;
}

/* The name of a token: the characters that stand for its bytes. */
static void
put_name(struct ranks *r, const struct bytemap *map, str bytes)
{
	for (ptrdiff_t i = 0; i < bytes.n; i++) {
		unsigned c = map->to[(uint8_t)bytes.p[i]];

		if (c >= 0x80)
			buf_byte(&r->names, (char)(0xc0 | c >> 6));
		buf_byte(&r->names, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
	}
}

static int
read_ranks(struct ranks *r, str file, struct err *err)
{
	struct buf bytes = { 0 };
	struct bytemap map;
	ptrdiff_t room = 2 * file.n + 16;	/* so that names stay where they are */
	str text, rank;
	int64_t line = 0, id;
	int ret = buf_room(&r->names, room) == NULL ? buf_ok(&r->names, err) : 0;

	bytemap_init(&map);
	while (ret == 0 && next_line(&file, &text, &rank)) {
		ptrdiff_t from = r->names.n;

		line++;
		id = number(rank);
		buf_reset(&bytes);
		if ((ret = base64_decode(&bytes, text, err)) < 0) {
			err_wrap(err, "line %lld", (long long)line);
			break;
		}
		put_name(r, &map, buf_str(&bytes));
		if (bytes.n == 0 || r->token[id].p != NULL)
			ret = err_set(err, ERR_FORMAT, "line %lld: %s", (long long)line,
			    bytes.n == 0 ? "a token without bytes" : "a rank that was there");
		r->token[id] = (str){ r->names.p + from, r->names.n - from };
	}
	buf_free(&bytes);
	return ret;
}

/* ---- special tokens ---- */

static int
put_special(struct ranks *r, int32_t id, const char *name, struct err *err)
{
	if (r->token[id].p != NULL)
		return err_set(err, ERR_FORMAT, "rank %d is that of the special token %s",
		    (int)id, name);
	r->token[id] = str_of(name);
	r->added[id] = ADDED_SPECIAL;
	return 0;
}

static int
put_specials(struct ranks *r, const struct known *k, struct err *err)
{
	int32_t id = k->first;

	for (int i = 0; i < 16 && k->special[i].name != NULL; i++, id++) {
		if (k->special[i].id != 0)
			id = k->special[i].id;
		if (put_special(r, id, k->special[i].name, err) < 0)
			return -1;
	}
	for (int n = k->fill_from; k->fill != NULL && id < k->end; n++, id++) {
		char *name = r->special[r->nspecial++];

		snprintf(name, NAME, k->fill, n);
		if (put_special(r, id, name, err) < 0)
			return -1;
	}
	return 0;
}

/* Highest id + 1, special tokens counted. */
static int32_t
ids_of(const struct known *k)
{
	int32_t id = k->first;

	for (int i = 0; i < 16 && k->special[i].name != NULL; i++, id++)
		if (k->special[i].id != 0)
			id = k->special[i].id;
	return id > k->end ? id : k->end;
}

static struct tokenizer *
make(struct ranks *r, const struct known *k, str file, struct err *err)
{
	struct tokenizer_parts parts = { .pattern = k->pattern, .nfc = k->nfc, .ranks = true,
	    .ignore_merges = true, .unk_id = -1 };

	if (read_ranks(r, file, err) < 0 || put_specials(r, k, err) < 0)
		return NULL;
	parts.n = r->n;
	parts.token = r->token;
	parts.added = r->added;
	if (k->bos) {
		parts.add_bos = true;
		parts.bos_id = k->first;
		parts.bos = r->token[k->first];
	}
	return tokenizer_make(&parts, err);
}

struct tokenizer *
tiktoken_tokenizer(str file, str name, struct err *err)
{
	struct ranks *r = calloc(1, sizeof(*r));
	const struct known *k;
	struct tokenizer *t = NULL;

	if (r == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
	} else if (measure(r, file, err) == 0) {
		if ((k = find_known(name, r->count)) != NULL) {
			r->n = r->n > ids_of(k) ? r->n : ids_of(k);
			r->token = calloc((size_t)r->n, sizeof(*r->token));
			r->added = calloc((size_t)r->n, 1);
			if (r->token == NULL || r->added == NULL)
				err_set(err, ERR_NOMEM, "out of memory");
			else
				t = make(r, k, file, err);
		} else {
			err_set(err, ERR_FORMAT, "%lld ranks are of no tokenizer that is known: "
			    "which pattern?  NAME=FILE, NAME one of gpt2, r50k, p50k, p50k_edit, "
			    "cl100k, o200k, o200k_harmony, llama3, qwen", (long long)r->count);
		}
		buf_free(&r->names);
		free(r->token);
		free(r->added);
	}
	free(r);
	return t;
}
