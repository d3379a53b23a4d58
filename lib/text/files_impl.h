/*
 * files_impl - what files.c needs to know of names and first bytes
 */
#ifndef TEXT_FILES_IMPL_H
#define TEXT_FILES_IMPL_H

#include "base/buf.h"
#include "base/str.h"

enum container { CONTAINER_NONE, CONTAINER_ARCHIVE, CONTAINER_7Z, CONTAINER_PACKED,
	CONTAINER_WARC };

/* What a file is by its first bytes. */
enum container container_of(str head);

/* Append "!path", with path as a label: no empty parts, no "." and "..". */
void label_add(struct buf *label, str path);

/* The last part of a label without a compression suffix, into name. */
void label_name(struct buf *name, str label);

#endif
