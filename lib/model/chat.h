/*
 * chat - the chat template that comes with a model
 */
#ifndef MODEL_CHAT_H
#define MODEL_CHAT_H

#include "token/template.h"

/*
 * path: a model directory (chat_template.jinja, additional_chat_templates, or
 * tokenizer_config.json), a GGUF file, or a file that is a template itself
 * (named *.jinja).  name: that of one of several ("tool_use"); NULL: the one
 * that is meant for all.  NULL when there is none, or it is not understood.
 */
struct template *template_load(const char *path, const char *name, struct err *err);

#endif
