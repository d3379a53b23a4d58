/*
 * entities_impl - character references of HTML, as its standard reads them
 */
#ifndef TEXT_ENTITIES_IMPL_H
#define TEXT_ENTITIES_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entity {
	char	 name[32];		/* without & and ; */
	int32_t	 c[2];			/* characters; the second may be 0 */
	bool	 bare;			/* known without the ; too */
};

extern const struct entity entities[];
extern const int entities_n;

/* What its characters take in UTF-8, at most. */
#define ENTITY_BYTES 8

/*
 * The reference at p, which is at an ampersand: its bytes, with its characters in out
 * and their bytes in *n; or 0 when there is none.  In the value of an attribute fewer
 * names go without a semicolon.  At most one byte more comes out than goes in.
 */
ptrdiff_t entity_at(const char *p, const char *end, bool attribute, char out[ENTITY_BYTES],
    int *n);

#endif
