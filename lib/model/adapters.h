/*
 * adapters - several adapters beside one model, each row by one of them or none
 *
 * Of plain LoRA (adapter.h): the matrices of the model stay as they are, of
 * whatever type, and a row adds s B A x of the adapter that its sequence has.
 * Rows come sorted by adapter, so that two products of groups of rows do all.
 * They serve generation alone.
 */
#ifndef MODEL_ADAPTERS_H
#define MODEL_ADAPTERS_H

#include "base/str.h"
#include "model/model.h"

#define ADAPTERS_MAX 256

struct adapter_named {
	str		 name;
	const char	*dir;
};

/*
 * They go to model.adapters before the model is declared or loaded, which then
 * loads theirs too.  They are the caller's, and must outlive the model.
 */
struct adapters *adapters_open(const struct adapter_named *named, int n, struct err *err);
void adapters_free(struct adapters *a);
int adapters_count(const struct adapters *a);

/* The number of one, from 1 on, or 0. */
int adapters_find(const struct adapters *a, str name);
str adapters_name(const struct adapters *a, int number);

#endif
