#include "token/tokenizer_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/stream.h"
#include "token/tiktoken.h"
#include "token/tokenizer_save.h"

static struct tokenizer *
new(struct err *err)
{
	struct tokenizer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else
		t->bos = t->eos = t->names.unknown = -1;
	return t;
}

struct tokenizer *
tokenizer_parse(str file, struct err *err)
{
	struct tokenizer *t = new(err);

	if (t == NULL)
		return NULL;
	if (tokenizer_read(t, file, NULL, err) == 0 && ends_find(t, NULL, err) == 0)
		return t;
	tokenizer_free(t);
	return NULL;
}

struct tokenizer *
tokenizer_make(const struct tokenizer_parts *parts, struct err *err)
{
	struct tokenizer *t = new(err);
	struct tokenizer_parts frame = *parts;
	struct buf text = { .n = 0 };
	int ret = -1;

	/* What is small goes through its text; the lists, which are not, go straight. */
	if (!parts->wordpiece)
		frame.n = 0;
	frame.nmerges = 0;
	if (t != NULL && tokenizer_text(&frame, &text, err) == 0) {
		ret = tokenizer_read(t, buf_str(&text), parts->wordpiece ? NULL : parts, err);
		if (t->bos < 0 && parts->bos.p != NULL)
			t->bos = parts->bos_id;
		if (t->eos < 0 && parts->eos.p != NULL)
			t->eos = parts->eos_id;
		if (ret == 0)
			ret = ends_find(t, NULL, err);
	}
	buf_free(&text);
	if (ret == 0)
		return t;
	tokenizer_free(t);
	return NULL;
}

/* The tokenizer of a directory; what is there in its place is named. */
static int
file_inside(const char *dir, char *path, size_t size, struct err *err)
{
	static const char *const names[] = {
		"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
		"qwen.tiktoken", "tokenizer.tiktoken", NULL
	};
	static const char *const others[] = {
		"latest/tokenizer.json", "vocab.json", "vocab.txt", NULL
	};
	const char *name = file_first(dir, names), *other = file_first(dir, others);

	if (name != NULL && snprintf(path, size, "%s/%s", dir, name) < (int)size)
		return 0;
	errno = ENOENT;
	if (name != NULL || other == NULL)
		return err_sys(err, "%s/tokenizer.json", dir);
	if (other == others[0])
		return err_sys(err, "%s is a run, its model is %s/latest: tokenizer.json", dir,
		    dir);
	return err_sys(err, "%s: %s is not read, tokenizer.json is needed", dir, other);
}

/* By what the file begins with; name is the path's last part, or what it is said to be. */
static struct tokenizer *
load_bytes(str file, str name, struct err *err)
{
	struct tokenizer *t;
	ptrdiff_t at = 0;

	if (spm_is(file))
		return spm_tokenizer(file, err);
	if (tiktoken_is(file))
		return tiktoken_tokenizer(file, name, err);
	while (at < file.n && strchr(" \t\r\n", file.p[at]) != NULL)
		at++;
	if (at == file.n || file.p[at] != '{') {
		err_set(err, ERR_FORMAT, "neither a tokenizer.json, nor a model of SentencePiece, "
		    "nor tiktoken's ranks");
		return NULL;
	}
	if ((t = new(err)) == NULL || tokenizer_read(t, file, NULL, err) == 0)
		return t;
	tokenizer_free(t);
	return NULL;
}

/* "cl100k=FILE" is a file and what it is; the name of any other tells itself. */
static const char *
said_path(const char *path, str *name)
{
	str rest = str_of(path), before = str_cut(&rest, '=');
	const char *slash = strrchr(path, '/');

	if (rest.p != NULL && tiktoken_known(before)) {
		*name = before;
		return rest.p;
	}
	*name = str_of(slash != NULL ? slash + 1 : path);
	return path;
}

struct tokenizer *
tokenizer_load(const char *path, struct err *err)
{
	struct tokenizer *t = NULL;
	struct arena arena = { 0 };
	char inside[4096];
	struct stat st;
	const char *dir = NULL;
	str file, name;

	path = said_path(path, &name);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		dir = path;
		if (file_inside(dir, inside, sizeof(inside), err) < 0)
			return NULL;
		path = said_path(inside, &name);
	}
	if (arena_init(&arena, TOKENIZER_FILE_MAX + 4096, err) < 0)
		goto fail;
	file = file_slurp(&arena, path, TOKENIZER_FILE_MAX, err);
	if (file.p == NULL)
		goto fail;
	if ((t = load_bytes(file, name, err)) == NULL) {
		err_wrap(err, "%s", path);
		goto fail;
	}
	if (ends_find(t, dir, err) < 0)
		goto fail;
	arena_free(&arena);
	return t;
fail:
	arena_free(&arena);
	tokenizer_free(t);
	return NULL;
}

void
tokenizer_free(struct tokenizer *t)
{
	if (t == NULL)
		return;
	free(t->kind);
	free(t->name);
	free(t->bytes);
	free(t->text);
	free(t->pool);
	free(t->cuts);
	buf_free(&t->decoded);
	strmap_free(&t->by_bytes);
	strmap_free(&t->by_name);
	bpe_free(&t->bpe);
	unigram_free(&t->unigram);
	match_free(&t->match);
	normal_free(&t->normalizer);
	spm_free(&t->spm);
	pretoken_free(t->pre);
	decoders_free(&t->decoders);
	added_free(&t->raw);
	added_free(&t->normal);
	free(t);
}

int32_t
tokenizer_vocab(const struct tokenizer *t)
{
	return t->n;
}

hash128
tokenizer_fingerprint(const struct tokenizer *t)
{
	return t->fingerprint;
}

int32_t
tokenizer_bos(const struct tokenizer *t)
{
	return t->bos;
}

int32_t
tokenizer_eos(const struct tokenizer *t)
{
	return t->eos;
}

int32_t
tokenizer_unknown(const struct tokenizer *t)
{
	return t->wordpiece.on ? t->wordpiece.unknown : t->unigram.on ? t->unigram.unknown :
	    t->names.on ? t->names.unknown : -1;
}

bool
tokenizer_adds_bos(const struct tokenizer *t)
{
	return t->add_bos;
}

bool
tokenizer_adds_eos(const struct tokenizer *t)
{
	return t->add_eos;
}

int32_t
tokenizer_id(const struct tokenizer *t, str token)
{
	int32_t id = strmap_find(&t->by_name, token);
	char *bytes;
	ptrdiff_t n;

	if (id >= 0 || (bytes = malloc((size_t)token.n + 1)) == NULL)
		return id;
	if ((n = vocab_bytes(t, token, bytes)) >= 0)
		id = strmap_find(&t->by_bytes, (str){ bytes, n });
	free(bytes);
	return id;
}

bool
tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
	return id >= 0 && id < t->n && (t->kind[id] & TOKEN_SPECIAL) != 0;
}

str
tokenizer_bytes(const struct tokenizer *t, int32_t id)
{
	if (id < 0 || id >= t->n)
		return (str){ NULL, 0 };
	return t->text != NULL ? t->text[id] : t->bytes[id];
}
