#include "model/chat.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/stream.h"
#include "fmt/gguf.h"

#define PATH 4096

static struct template *
none(const char *path, const char *name, struct err *err)
{
	err_set(err, ERR_FORMAT, "%s: no chat template%s%s%s", path, name != NULL ? " '" : "",
	    name != NULL ? name : "", name != NULL ? "'" : "");
	return NULL;
}

static struct template *
parse(const char *path, str source, struct err *err)
{
	struct template *t = template_parse(source, err);

	if (t == NULL)
		err_wrap(err, "%s", path);
	return t;
}

static struct template *
from_file(const char *path, struct err *err)
{
	struct template *t;
	str source;

	if (file_map(path, &source, err) < 0) {
		err_wrap(err, "%s", path);
		return NULL;
	}
	t = parse(path, source, err);
	file_unmap(source);
	return t;
}

static struct template *
from_gguf(const char *path, const char *name, struct err *err)
{
	struct gguf *f = gguf_open(path, err);
	struct template *t = NULL;
	char key[256];
	str source;

	if (f == NULL) {
		err_wrap(err, "%s", path);
		return NULL;
	}
	snprintf(key, sizeof(key), "tokenizer.chat_template%s%s", name != NULL ? "." : "",
	    name != NULL ? name : "");
	if (gguf_text(gguf_find_key(f, key), &source))
		t = parse(path, source, err);
	else
		none(path, name, err);
	gguf_close(f);
	return t;
}

/* chat_template: a text, or a list of {"name": ..., "template": ...}. */
static struct template *
from_config(const char *path, const char *name, struct err *err)
{
	json_t *doc = json_doc_load(path, err), *item;
	const json_t *v = json_object_get(doc, "chat_template"), *found = NULL;
	struct template *t;
	size_t i;

	if (doc == NULL) {
		err_wrap(err, "%s", path);
		return NULL;
	}
	if (json_is_string(v) && name == NULL)
		found = v;
	json_array_foreach((json_t *)v, i, item) {
		const char *is = json_string_value(json_object_get(item, "name"));

		if (is != NULL && strcmp(is, name != NULL ? name : "default") == 0)
			found = json_object_get(item, "template");
	}
	if (json_is_string(found))
		t = parse(path, (str){ json_string_value(found),
		    (ptrdiff_t)json_string_length(found) }, err);
	else
		t = none(path, name, err);
	json_decref(doc);
	return t;
}

struct template *
template_load(const char *path, const char *name, struct err *err)
{
	char file[PATH];
	struct stat st;

	if (stat(path, &st) < 0) {
		err_sys(err, "%s", path);
		return NULL;
	}
	if (!S_ISDIR(st.st_mode))
		return str_ends(str_of(path), S(".jinja")) ? from_file(path, err) :
		    from_gguf(path, name, err);
	if (snprintf(file, sizeof(file), name == NULL ? "%s/chat_template.jinja" :
	    "%s/additional_chat_templates/%s.jinja", path, name) >= PATH) {
		err_set(err, ERR_ARG, "%s: name too long", path);
		return NULL;
	}
	if (stat(file, &st) == 0)
		return from_file(file, err);
	snprintf(file, sizeof(file), "%s/tokenizer_config.json", path);
	return stat(file, &st) == 0 ? from_config(file, name, err) : none(path, name, err);
}
