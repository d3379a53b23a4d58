/*
 * kind - what a file holds, by its name and first bytes
 */
#ifndef TEXT_KIND_H
#define TEXT_KIND_H

#include "base/str.h"

enum kind {
	KIND_BINARY,
	KIND_ASSET,	/* text for machines: style sheets, scripts, message catalogues */
	KIND_HTML,
	KIND_XML,
	KIND_PDF,
	KIND_MAN,	/* source of a manual page */
	KIND_LINES,	/* JSON lines with the field */
	KIND_TEXT,
};

/* name: without directories and compression suffix. */
enum kind kind_of(str name, str head, str field);

#endif
