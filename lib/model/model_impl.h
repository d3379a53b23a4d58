/*
 * model_impl - between the files of lib/model
 */
#ifndef MODEL_MODEL_IMPL_H
#define MODEL_MODEL_IMPL_H

#include "model/model.h"

/* Set bos_token_id and eos_token_id of o.  Return 0 or -1. */
int config_write_tokens(const struct config *c, json_t *o, struct err *err);

#endif
