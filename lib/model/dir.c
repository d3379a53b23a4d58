#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/stream.h"
#include "model/gguf_impl.h"
#include "token/tokenizer.h"

#define PATH MODEL_PATH

static const char *const model_files[] = {
	"config.json", "generation_config.json", "model.safetensors",
	"model.safetensors.index.json", NULL
};

static const char *const tokenizer_files[] = {
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
	"added_tokens.json", "chat_template.jinja", "vocab.json", "merges.txt",
	"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "qwen.tiktoken",
	"tokenizer.tiktoken", NULL
};

/* pooling.h's, and the directory that holds the first. */
static const char *const pooling_files[] = {
	"1_Pooling/config.json", "modules.json", "sentence_bert_config.json", NULL
};

static int
join(char *path, const char *dir, const char *name, struct err *err)
{
	if (snprintf(path, PATH, "%s/%s", dir, name) >= PATH)
		return err_set(err, ERR_ARG, "%s: name too long", dir);
	return 0;
}

static int
copy(const char *from, const char *to, struct err *err)
{
	str bytes;
	int ret;

	if (file_map(from, &bytes, err) < 0)
		return err_wrap(err, "%s", from);
	ret = file_write(to, bytes, err);
	file_unmap(bytes);
	return ret < 0 ? err_wrap(err, "%s", to) : 0;
}

static int
copy_gguf(const char *from, const char *to, struct err *err)
{
	struct gguf *f = gguf_open(from, err);
	str kind;
	int ret = 0;

	if (f == NULL)
		return -1;
	if (!gguf_text(gguf_find_key(f, "tokenizer.ggml.model"), &kind) ||
	    !str_eq(kind, S("no_vocab")))
		ret = gguf_tokens_save(f, to, err);
	gguf_close(f);
	return ret < 0 ? err_wrap(err, "%s", from) : 0;
}

struct tokenizer *
model_tokenizer(const char *path, struct err *err)
{
	struct tokenizer *t;
	struct gguf *f;

	if (!gguf_is(path))
		return tokenizer_load(path, err);
	if ((f = gguf_open(path, err)) == NULL)
		return NULL;
	if ((t = gguf_tokenizer(f, err)) == NULL)
		err_wrap(err, "%s", path);
	gguf_close(f);
	return t;
}

int
model_copy_tokenizer(const char *from, const char *to, struct err *err)
{
	char in[PATH], out[PATH];
	struct stat st;

	if (stat(from, &st) < 0)
		return err_sys(err, "%s", from);
	if (!S_ISDIR(st.st_mode) && gguf_is(from))
		return copy_gguf(from, to, err);
	if (!S_ISDIR(st.st_mode))
		return join(out, to, str_ends(str_of(from), S(".model")) ? "tokenizer.model" :
		    str_ends(str_of(from), S(".tiktoken")) ? "tokenizer.tiktoken" :
		    "tokenizer.json", err) < 0 ? -1 : copy(from, out, err);
	for (int i = 0; tokenizer_files[i] != NULL; i++) {
		if (join(in, from, tokenizer_files[i], err) < 0 ||
		    join(out, to, tokenizer_files[i], err) < 0)
			return -1;
		if (stat(in, &st) == 0 && copy(in, out, err) < 0)
			return -1;
	}
	return 0;
}

static int
remove_files(const char *dir, const char *const *name, struct err *err)
{
	char path[PATH];

	for (; *name != NULL; name++) {
		if (join(path, dir, *name, err) < 0)
			return -1;
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(err, "%s", path);
	}
	return 0;
}

/* Weights in several files: model-00001-of-00002.safetensors ... */
static int
remove_parts(const char *dir, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int ret = 0;

	if (d == NULL)
		return err_sys(err, "%s", dir);
	while ((e = readdir(d)) != NULL) {
		str name = str_of(e->d_name);

		if (str_starts(name, S("model-")) && str_ends(name, S(".safetensors")) &&
		    unlinkat(dirfd(d), e->d_name, 0) < 0)
			ret = err_sys(err, "%s/%s", dir, e->d_name);
	}
	closedir(d);
	return ret;
}

int
model_remove(const char *dir, struct err *err)
{
	char sub[PATH];

	if (join(sub, dir, "1_Pooling", err) < 0 || remove_files(dir, model_files, err) < 0 ||
	    remove_files(dir, tokenizer_files, err) < 0 || remove_parts(dir, err) < 0 ||
	    remove_files(dir, pooling_files, err) < 0)
		return -1;
	if (rmdir(sub) < 0 && errno != ENOENT)
		return err_sys(err, "%s", sub);
	return rmdir(dir) < 0 ? err_sys(err, "%s", dir) : 0;
}

int
model_aside(const char *dir, char *aside, struct err *err)
{
	size_t n = strlen(dir);
	struct stat st;

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (stat(dir, &st) == 0)
		return err_set(err, ERR_ARG, "%s: exists", dir);
	for (int i = 0; i < 100; i++) {
		if (snprintf(aside, PATH, "%.*s.%ld-%d", (int)n, dir, (long)getpid(), i) >= PATH)
			return err_set(err, ERR_ARG, "%s: name too long", dir);
		if (mkdir(aside, 0777) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return err_sys(err, "%s: cannot make it", dir);
}

int
model_settle(const char *aside, const char *dir, int status, struct err *err)
{
	struct err ignored;

	if (status == 0 && rename(aside, dir) == 0)
		return 0;
	if (status == 0)
		err_sys(err, "%s: cannot make it", dir);
	model_remove(aside, &ignored);
	return -1;
}
