#include "model/convert.h"

#include "model/export.h"
#include "model/gguf_impl.h"
#include "model/pooling.h"

int
convert_to_directory(const char *from, dtype type, const char *dir, struct err *err)
{
	struct model m = { .dev = NULL };
	int ret = -1;

	if (model_open(&m, from, err) == 0 && model_save(&m, dir, type, 0, err) == 0 &&
	    model_copy_tokenizer(from, dir, err) == 0)
		ret = pooling_save(from, m.config.width, dir, err);
	model_free(&m);
	return ret;
}

int
convert_to_gguf(const char *from, dtype type, const char *path, struct err *err)
{
	struct export x = { .n = 0 };
	int ret = -1;

	if (export_open(&x, from, err) == 0)
		ret = export_save(&x, path, type, err);
	export_close(&x);
	return ret;
}
