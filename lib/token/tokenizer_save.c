#include "token/tokenizer_save.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/stream.h"
#include "token/bytemap.h"
#include "token/patterns.h"
#include "token/wordpiece.h"

#define MARK "\xe2\x96\x81"

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
    const struct tokenizer_parts *t, int32_t id)
{
	if (t->bytes && t->added[id] == ADDED_NOT)
		quote_bytes(out, tmp, map, t->token[id]);
	else
		json_quote(out, t->token[id]);
}

static void
put_added(struct buf *b, const struct tokenizer_parts *t)
{
	const char *comma = "";

	buf_add(b, S("  \"added_tokens\": ["));
	for (int32_t i = 0; i < t->n; i++) {
		if (t->added[i] == ADDED_NOT)
			continue;
		buf_fmt(b, "%s\n    {\"id\": %d, \"content\": ", comma, (int)i);
		json_quote(b, t->token[i]);
		buf_fmt(b, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
		    "\"normalized\": false, \"special\": %s}",
		    t->added[i] == ADDED_SPECIAL ? "true" : "false");
		comma = ",";
	}
	buf_add(b, S("\n  ],\n"));
}

static void
put_metaspace(struct buf *b, const struct tokenizer_parts *t)
{
	buf_fmt(b, "{\"type\": \"Metaspace\", \"replacement\": \"" MARK "\", "
	    "\"prepend_scheme\": \"%s\", \"split\": true}", t->prefix ? "always" : "never");
}

/* The cuts that come before ByteLevel's own, if any. */
static void
put_pre_tokenizer(struct buf *b, const struct tokenizer_parts *t)
{
	const struct pattern pattern = { t->pattern, t->digits, t->regex };

	buf_add(b, S("  \"pre_tokenizer\": "));
	if (t->wordpiece) {
		buf_add(b, S("{\"type\": \"BertPreTokenizer\"},\n"));
		return;
	}
	if (t->unigram) {
		if (t->words)
			buf_add(b, S("{\"type\": \"Sequence\", \"pretokenizers\": ["
			    "{\"type\": \"WhitespaceSplit\"},\n    "));
		put_metaspace(b, t);
		buf_add(b, t->words ? S("]},\n") : S(",\n"));
		return;
	}
	if (t->sentence) {
		buf_add(b, S("null,\n"));
		return;
	}
	pattern_text(b, &pattern);
	buf_add(b, S(",\n"));
}

/* n texts, with what begins the first and ends each. */
static void
put_sequences(struct buf *b, const struct tokenizer_parts *t, int n)
{
	if (t->add_bos) {
		buf_add(b, S("{\"SpecialToken\": {\"id\": "));
		json_quote(b, t->bos);
		buf_add(b, S(", \"type_id\": 0}}, "));
	}
	for (int i = 0; i < n; i++) {
		buf_fmt(b, "%s{\"Sequence\": {\"id\": \"%c\", \"type_id\": %d}}",
		    i > 0 ? ", " : "", 'A' + i, i);
		if (!t->add_eos)
			continue;
		buf_add(b, S(", {\"SpecialToken\": {\"id\": "));
		json_quote(b, t->eos);
		buf_fmt(b, ", \"type_id\": %d}}", i);
	}
}

static void
put_special(struct buf *b, str token, int32_t id)
{
	json_quote(b, token);
	buf_add(b, S(": {\"id\": "));
	json_quote(b, token);
	buf_fmt(b, ", \"ids\": [%d], \"tokens\": [", (int)id);
	json_quote(b, token);
	buf_add(b, S("]}"));
}

/* What puts a token before or behind each text. */
static void
put_post_processor(struct buf *b, const struct tokenizer_parts *t)
{
	buf_add(b, S("  \"post_processor\": "));
	if (t->wordpiece) {
		buf_add(b, S("{\"type\": \"BertProcessing\", \"sep\": ["));
		json_quote(b, t->eos);
		buf_fmt(b, ", %d], \"cls\": [", (int)t->eos_id);
		json_quote(b, t->bos);
		buf_fmt(b, ", %d]},\n", (int)t->bos_id);
		return;
	}
	if (!t->add_bos && !t->add_eos) {
		buf_add(b, S("null,\n"));
		return;
	}
	buf_add(b, S("{\"type\": \"TemplateProcessing\",\n    \"single\": ["));
	put_sequences(b, t, 1);
	buf_add(b, S("],\n    \"pair\": ["));
	put_sequences(b, t, 2);
	buf_add(b, S("],\n    \"special_tokens\": {"));
	if (t->add_bos)
		put_special(b, t->bos, t->bos_id);
	if (t->add_bos && t->add_eos)
		buf_add(b, S(", "));
	if (t->add_eos)
		put_special(b, t->eos, t->eos_id);
	buf_add(b, S("}},\n"));
}

static void
put_vocab(struct buf *b, struct buf *tmp, const struct bytemap *map,
    const struct tokenizer_parts *t)
{
	const char *comma = "";

	buf_add(b, S("    \"vocab\": {"));
	for (int32_t i = 0; i < t->n; i++) {
		if (t->token[i].p == NULL)
			continue;
		buf_fmt(b, "%s\n      ", comma);
		put_token(b, tmp, map, t, i);
		buf_fmt(b, ": %d", (int)i);
		comma = ",";
	}
	buf_add(b, S("\n    }"));
}

static void
put_wordpiece(struct buf *b, const struct tokenizer_parts *t)
{
	buf_add(b, S("  \"model\": {\n    \"type\": \"WordPiece\",\n    \"unk_token\": "));
	json_quote(b, t->unk);
	buf_fmt(b, ",\n    \"continuing_subword_prefix\": \"##\",\n"
	    "    \"max_input_chars_per_word\": %d,\n", WORDPIECE_LONGEST);
	put_vocab(b, NULL, NULL, t);
	buf_add(b, S("\n  }\n"));
}

/* Ids that are no piece, among those that are, have names that no text has. */
static void
put_unigram(struct buf *b, const struct tokenizer_parts *t)
{
	int32_t n = t->n;

	while (n > 0 && (t->token[n - 1].p == NULL || isnan(t->logp[n - 1])))
		n--;
	buf_add(b, S("  \"model\": {\n    \"type\": \"Unigram\",\n    \"unk_id\": "));
	if (t->unk_id >= 0)
		buf_fmt(b, "%d", (int)t->unk_id);
	else
		buf_add(b, S("null"));
	buf_fmt(b, ",\n    \"byte_fallback\": %s,\n    \"vocab\": [",
	    t->fallback ? "true" : "false");
	for (int32_t i = 0; i < n; i++) {
		bool piece = t->token[i].p != NULL && !isnan(t->logp[i]);
		bool name = piece || (t->token[i].p != NULL && t->added[i] != ADDED_NOT);

		buf_add(b, i > 0 ? S(",\n      [") : S("\n      ["));
		if (name)
			json_quote(b, t->token[i]);
		else
			buf_fmt(b, "\"\\ufffd\\uffff%d\"", (int)i);
		buf_fmt(b, ", %.17g]", piece ? t->logp[i] : 0.0);
	}
	buf_add(b, S("\n    ]\n  }\n"));
}

static void
put_model(struct buf *b, const struct tokenizer_parts *t)
{
	struct buf tmp = { 0 };
	struct bytemap map;
	const char *sentence = t->sentence ? "true" : "false";

	if (t->wordpiece) {
		put_wordpiece(b, t);
		return;
	}
	if (t->unigram) {
		put_unigram(b, t);
		return;
	}
	bytemap_init(&map);
	buf_fmt(b, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
	    "    \"unk_token\": ");
	if (t->sentence && t->unk.p != NULL)
		json_quote(b, t->unk);
	else
		buf_add(b, S("null"));
	buf_fmt(b, ",\n    \"continuing_subword_prefix\": null,\n"
	    "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": %s,\n"
	    "    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n",
	    sentence, sentence, t->ignore_merges ? "true" : "false");
	put_vocab(b, &tmp, &map, t);
	buf_add(b, S(",\n    \"merges\": ["));
	for (int64_t i = 0; i < t->nmerges; i++) {
		buf_add(b, i > 0 ? S(",\n      [") : S("\n      ["));
		put_token(b, &tmp, &map, t, t->merge[i][0]);
		buf_add(b, S(", "));
		put_token(b, &tmp, &map, t, t->merge[i][1]);
		buf_byte(b, ']');
	}
	buf_add(b, S("\n    ]\n  }\n"));
	buf_free(&tmp);
}

/* The tokens with a part to play, each after what came before. */
static void
put_roles(struct buf *b, const struct tokenizer_parts *t, const char *before)
{
	const struct {
		const char	*key;
		str		 token;
	} role[] = {
		{ t->wordpiece ? "cls_token" : "bos_token", t->bos },
		{ t->wordpiece ? "sep_token" : "eos_token", t->eos },
		{ "unk_token", t->unk }, { "pad_token", t->pad },
	};

	for (size_t i = 0; i < sizeof(role) / sizeof(*role); i++) {
		if (role[i].token.p == NULL)
			continue;
		buf_fmt(b, "%s  \"%s\": ", before, role[i].key);
		json_quote(b, role[i].token);
		before = ",\n";
	}
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

static int
save_config(const struct tokenizer_parts *t, const char *dir, struct buf *b, struct err *err)
{
	buf_fmt(b, "{\n  \"tokenizer_class\": \"%s\",\n  \"clean_up_tokenization_spaces\": %s",
	    t->wordpiece ? "BertTokenizer" : "PreTrainedTokenizerFast",
	    t->wordpiece ? "true" : "false");
	put_roles(b, t, ",\n");
	if (t->chat_template.p != NULL) {
		buf_add(b, S(",\n  \"chat_template\": "));
		json_quote(b, t->chat_template);
	}
	buf_add(b, S("\n}\n"));
	if (write_in(dir, "tokenizer_config.json", b, err) < 0)
		return -1;
	buf_add(b, S("{\n"));
	put_roles(b, t, "");
	buf_add(b, S("\n}\n"));
	return write_in(dir, "special_tokens_map.json", b, err);
}

static void
put_normalizer(struct buf *b, const struct tokenizer_parts *t)
{
	buf_add(b, S("  \"normalizer\": "));
	if (t->wordpiece) {
		buf_add(b, S("{\"type\": \"BertNormalizer\", \"clean_text\": true, "
		    "\"handle_chinese_chars\": true, \"strip_accents\": null, "
		    "\"lowercase\": true},\n"));
		return;
	}
	if (t->unigram && t->charsmap.p != NULL) {
		buf_add(b, S("{\"type\": \"Precompiled\", \"precompiled_charsmap\": \""));
		base64_encode(b, t->charsmap);
		buf_add(b, S("\"},\n"));
		return;
	}
	if (t->unigram) {
		buf_add(b, S("null,\n"));
		return;
	}
	if (!t->sentence) {
		buf_add(b, t->nfc ? S("{\"type\": \"NFC\"},\n") : S("null,\n"));
		return;
	}
	buf_add(b, S("{\"type\": \"Sequence\", \"normalizers\": ["));
	if (t->prefix)
		buf_add(b, S("{\"type\": \"Prepend\", \"prepend\": \"" MARK "\"}, "));
	buf_add(b, S("{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \""
	    MARK "\"}]},\n"));
}

static void
put_decoder(struct buf *b, const struct tokenizer_parts *t)
{
	buf_add(b, S("  \"decoder\": "));
	if (t->wordpiece) {
		buf_add(b, S("{\"type\": \"WordPiece\", \"prefix\": \"##\", "
		    "\"cleanup\": true},\n"));
		return;
	}
	if (!t->sentence) {
		buf_add(b, S("{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
		    "\"trim_offsets\": true, \"use_regex\": true}"));
		buf_add(b, S(",\n"));
		return;
	}
	if (t->unigram && !t->fallback) {
		put_metaspace(b, t);
		buf_add(b, S(",\n"));
		return;
	}
	buf_add(b, S("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", "
	    "\"pattern\": {\"String\": \"" MARK "\"}, \"content\": \" \"}, "
	    "{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}"));
	if (t->prefix)
		buf_add(b, S(", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, "
		    "\"stop\": 0}"));
	buf_add(b, S("]},\n"));
}

int
tokenizer_text(const struct tokenizer_parts *t, struct buf *b, struct err *err)
{
	buf_add(b, S("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n"
	    "  \"padding\": null,\n"));
	put_added(b, t);
	put_normalizer(b, t);
	put_pre_tokenizer(b, t);
	put_post_processor(b, t);
	put_decoder(b, t);
	put_model(b, t);
	buf_add(b, S("}\n"));
	return buf_ok(b, err);
}

int
tokenizer_save(const struct tokenizer_parts *t, const char *dir, struct err *err)
{
	struct buf b = { 0 };
	int ret = -1;

	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return err_sys(err, "%s", dir);
	if (save_config(t, dir, &b, err) == 0 && tokenizer_text(t, &b, err) == 0)
		ret = write_in(dir, "tokenizer.json", &b, err);
	buf_free(&b);
	return ret;
}
