/*
 * llm-convert - a model from one format to another
 *
 * Reads a model directory or a GGUF file, and writes the other: a GGUF file
 * when the output is named so, else a directory (config.json,
 * generation_config.json, safetensors and the tokenizer's files).  The output
 * appears whole or not at all.  Memory: the largest tensor as fp32, two or
 * three times; time: one pass over the weights.
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
set_type(void *into, const char *arg, struct err *err)
{
	static const struct {
		const char	*name;
		dtype		 type;
	} names[] = {
		{ "f32", DTYPE_F32 }, { "bf16", DTYPE_BF16 }, { "f16", DTYPE_F16 },
		{ "fp32", DTYPE_F32 }, { "fp16", DTYPE_F16 },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(arg, names[i].name) == 0) {
			*(dtype *)into = names[i].type;
			return 0;
		}
	return err_set(err, ERR_ARG, "'%s' is not f32, bf16 or f16", arg);
}

static const struct opt opts[] = {
	{ 'o', "output", OPT_STR, AT(output), "PATH", "a file NAME.gguf, or a directory to make" },
	{ 't', "type", OPT_CALL, AT(type), "NAME", "of the weights: f32, bf16, f16 (as they are)",
	    .call = set_type },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-convert", .synopsis = "-o PATH model",
	.summary = "turn a model into another format", .opts = opts,
};

static int
to_directory(const struct convert *c, const char *from, struct err *err)
{
	char aside[MODEL_PATH];
	int ret;

	if (model_aside(c->output, aside, err) < 0)
		return -1;
	ret = convert_to_directory(from, c->type, aside, err);
	return model_settle(aside, c->output, ret, err);
}

int
main(int argc, char **argv)
{
	struct convert c = { .type = DTYPE_NONE };
	char **files = tool_start(&tool, argc, argv, &c);
	struct err err;
	int ret;

	if (*files == NULL || files[1] != NULL)
		tool_usage(*files == NULL ? "no model" : "more than one model");
	if (c.output == NULL)
		tool_usage("no -o PATH");
	ret = str_ends(str_of(c.output), S(".gguf")) ?
	    convert_to_gguf(*files, c.type, c.output, &err) : to_directory(&c, *files, &err);
	if (ret < 0)
		tool_fail(NULL, &err);
	return tool_finish(0);
}
