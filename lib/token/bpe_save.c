#include "token/bpe_save.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/stream.h"
#include "token/bytemap.h"
#include "token/known.h"

/* Bytes as the characters that stand for them in tokenizer.json, quoted. */
static void
quote_bytes(struct buf *out, struct buf *tmp, const struct bytemap *map, str s)
{
	buf_reset(tmp);
	for (ptrdiff_t i = 0; i < s.n; i++) {
		unsigned c = map->to[(uint8_t)s.p[i]];

		if (c >= 0x80)
			buf_byte(tmp, (char)(0xc0 | c >> 6));
		buf_byte(tmp, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
	}
	json_quote(out, buf_str(tmp));
	out->failed |= tmp->failed;
}

static void
put_token(struct buf *out, struct buf *tmp, const struct bytemap *map,
    const struct bpe_model *m, int32_t id)
{
	if (id < m->nspecial)
		json_quote(out, m->token[id]);
	else
		quote_bytes(out, tmp, map, m->token[id]);
}

static void
put_added(struct buf *b, const struct bpe_model *m)
{
	buf_add(b, S("  \"added_tokens\": ["));
	for (int32_t i = 0; i < m->nspecial; i++) {
		buf_fmt(b, "%s\n    {\"id\": %d, \"content\": ", i > 0 ? "," : "", (int)i);
		json_quote(b, m->token[i]);
		buf_add(b, S(", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
		    "\"normalized\": false, \"special\": true}"));
	}
	buf_add(b, S("\n  ],\n"));
}

static void
put_byte_level(struct buf *b, bool use_regex)
{
	buf_fmt(b, "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
	    "\"trim_offsets\": true, \"use_regex\": %s}", use_regex ? "true" : "false");
}

static void
put_pre_tokenizer(struct buf *b, enum scan pattern)
{
	buf_add(b, S("  \"pre_tokenizer\": "));
	if (pattern == SCAN_NONE || pattern == SCAN_GPT2) {
		put_byte_level(b, pattern == SCAN_GPT2);
	} else {
		buf_add(b, S("{\"type\": \"Sequence\", \"pretokenizers\": [\n"
		    "    {\"type\": \"Split\", \"pattern\": {\"Regex\": "));
		json_quote(b, str_of(scan_pattern(pattern)));
		buf_add(b, S("}, \"behavior\": \"Isolated\", \"invert\": false},\n    "));
		put_byte_level(b, false);
		buf_add(b, S("]}"));
	}
	buf_add(b, S(",\n"));
}

static void
put_model(struct buf *b, const struct bpe_model *m)
{
	struct buf tmp = { 0 };
	struct bytemap map;

	bytemap_init(&map);
	buf_add(b, S("  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
	    "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n"
	    "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
	    "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {"));
	for (int32_t i = 0; i < m->n; i++) {
		buf_add(b, i > 0 ? S(",\n      ") : S("\n      "));
		put_token(b, &tmp, &map, m, i);
		buf_fmt(b, ": %d", (int)i);
	}
	buf_add(b, S("\n    },\n    \"merges\": ["));
	for (int64_t i = 0; i < m->nmerges; i++) {
		buf_add(b, i > 0 ? S(",\n      [") : S("\n      ["));
		put_token(b, &tmp, &map, m, m->merge[i][0]);
		buf_add(b, S(", "));
		put_token(b, &tmp, &map, m, m->merge[i][1]);
		buf_byte(b, ']');
	}
	buf_add(b, S("\n    ]\n  }\n"));
	buf_free(&tmp);
}

/* The first special token that has one of these names, or the first of all. */
static str
pick(const struct bpe_model *m, const char *const *known)
{
	for (; *known != NULL; known++)
		for (int32_t i = 0; i < m->nspecial; i++)
			if (str_eq(m->token[i], str_of(*known)))
				return m->token[i];
	return m->token[0];
}

static void
put_ends(struct buf *b, const struct bpe_model *m)
{
	if (m->nspecial == 0)
		return;
	buf_add(b, S("  \"bos_token\": "));
	json_quote(b, pick(m, known_bos));
	buf_add(b, S(",\n  \"eos_token\": "));
	json_quote(b, pick(m, known_eos));
}

static int
write_in(const char *dir, const char *name, struct buf *b, struct err *err)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return err_set(err, ERR_ARG, "%s: name too long", dir);
	if (buf_ok(b, err) < 0 || file_write(path, buf_str(b), err) < 0)
		return -1;
	buf_reset(b);
	return 0;
}

int
bpe_save(const struct bpe_model *m, enum scan pattern, const char *dir, struct err *err)
{
	struct buf b = { 0 };
	int ret = -1;

	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return err_sys(err, "%s", dir);
	buf_add(&b, S("{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n"
	    "  \"clean_up_tokenization_spaces\": false"));
	buf_add(&b, m->nspecial > 0 ? S(",\n") : S(""));
	put_ends(&b, m);
	buf_add(&b, S("\n}\n"));
	if (write_in(dir, "tokenizer_config.json", &b, err) < 0)
		goto out;
	buf_add(&b, S("{\n"));
	put_ends(&b, m);
	buf_add(&b, S("\n}\n"));
	if (write_in(dir, "special_tokens_map.json", &b, err) < 0)
		goto out;
	buf_add(&b, S("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n"
	    "  \"padding\": null,\n"));
	put_added(&b, m);
	buf_add(&b, S("  \"normalizer\": null,\n"));
	put_pre_tokenizer(&b, pattern);
	buf_add(&b, S("  \"post_processor\": null,\n  \"decoder\": "));
	put_byte_level(&b, true);
	buf_add(&b, S(",\n"));
	put_model(&b, m);
	buf_add(&b, S("}\n"));
	ret = write_in(dir, "tokenizer.json", &b, err);
out:
	buf_free(&b);
	return ret;
}
