/*
 * settings - a tool's options as JSON, to be kept with a run and given back
 */
#ifndef TOOL_SETTINGS_H
#define TOOL_SETTINGS_H

#include "base/json.h"
#include "tool/tool.h"

/*
 * The named options (long names, of groups too; the list ends with NULL) as an
 * object: those that were given on the command line, or all of them.  A string
 * that is NULL is left out.  NULL when memory ends.
 */
json_t *settings_get(const struct tool *t, const void *into, const char *const *names,
    bool given_only);

/* Set *into from such an object.  0, or -1 for a name or a type that is not the tool's. */
int settings_put(const struct tool *t, void *into, const json_t *settings, struct err *err);

#endif
