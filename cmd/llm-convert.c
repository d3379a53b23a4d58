/*
 * llm-convert - a model from one format to another
 *
 * Reads a GGUF file and makes a model directory of it: config.json,
 * generation_config.json, model.safetensors and the tokenizer's files.  The
 * directory appears whole or not at all.  Memory: three times the largest
 * tensor as fp32; time: one pass over the weights.
 */
#include <string.h>

#include "model/convert.h"
#include "model/model.h"
#include "tool/tool.h"

struct convert {
	const char	*output;
	dtype		 type;
};

#define AT(field) offsetof(struct convert, field)

static int
set_dtype(void *into, const char *arg, struct err *err)
{
	static const struct {
		const char	*name;
		dtype		 type;
	} names[] = { { "fp32", DTYPE_F32 }, { "bf16", DTYPE_BF16 }, { "fp16", DTYPE_F16 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(arg, names[i].name) == 0) {
			*(dtype *)into = names[i].type;
			return 0;
		}
	return err_set(err, ERR_ARG, "'%s' is not fp32, bf16 or fp16", arg);
}

static const struct opt opts[] = {
	{ 'o', "output", OPT_STR, AT(output), "DIR", "model directory to make" },
	{ 0, "dtype", OPT_CALL, AT(type), "NAME", "type of the weights: fp32, bf16, fp16 (fp32)",
	    .call = set_dtype },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-convert", .synopsis = "-o DIR file.gguf",
	.summary = "turn a model into another format", .opts = opts,
};

int
main(int argc, char **argv)
{
	struct convert c = { .type = DTYPE_F32 };
	char **files = tool_start(&tool, argc, argv, &c);
	char aside[MODEL_PATH];
	struct gguf *f;
	struct err err;
	int ret;

	if (*files == NULL || files[1] != NULL)
		tool_usage(*files == NULL ? "no file" : "more than one file");
	if ((f = gguf_open(*files, &err)) == NULL)
		tool_fail(NULL, &err);
	if (c.output == NULL)
		tool_usage("no -o DIR");
	if (model_aside(c.output, aside, &err) < 0)
		tool_fail(NULL, &err);
	if ((ret = convert_gguf(f, c.type, aside, &err)) < 0)
		err_wrap(&err, "%s", *files);
	if (model_settle(aside, c.output, ret, &err) < 0)
		tool_fail(NULL, &err);
	gguf_close(f);
	return tool_finish(0);
}
