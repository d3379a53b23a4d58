/*
 * shard_convert - token files of other programs, to and from shards
 *
 *	nanogpt		16-bit ids and nothing else (nanoGPT's train.bin); an end
 *			token closes each document
 *	llmc		llm.c's .bin: 256 numbers of header, then 16-bit (magic
 *			20240520, version 1) or 32-bit ids (20240801, 7); an end
 *			token opens each document
 *	megatron	Megatron-LM's PREFIX.bin with ids and PREFIX.idx with lengths
 *
 * None of them knows how many bytes of text a document was made from, so
 * imported documents have 0.  Imports map the file; exports hold 4 bytes for
 * each piece at most.
 */
#ifndef FMT_SHARD_CONVERT_H
#define FMT_SHARD_CONVERT_H

#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "fmt/shard.h"
#include "fmt/shard_list.h"

enum foreign { FOREIGN_NONE, FOREIGN_NANOGPT, FOREIGN_LLMC, FOREIGN_MEGATRON };

/* By name, or FOREIGN_NONE. */
enum foreign foreign_of(const char *name);

struct foreign_file;

/* Map path (of megatron: PREFIX, PREFIX.bin or PREFIX.idx) and check all but the ids. */
struct foreign_file *foreign_open(enum foreign f, const char *path, struct err *err);

/* Largest id plus one, at least 1; 16-bit files have 65536. */
int foreign_vocab(const struct foreign_file *f, int32_t *vocab, struct err *err);

/*
 * Put its documents.  eos ends (nanogpt) or begins (llmc) one; -1: the file is
 * one document.  Megatron's boundaries are in its index, and eos is not used.
 */
int foreign_read(const struct foreign_file *f, int32_t eos, struct shard_writer *to,
    struct err *err);

/* Of the whole content. */
uint64_t foreign_hash(const struct foreign_file *f);
void foreign_close(struct foreign_file *f);

/* Over a list of files that ends with NULL: the largest of their vocabularies. */
int foreign_vocab_all(enum foreign f, char *const *files, int32_t *vocab, struct err *err);

/*
 * Put the documents of all files; each is added to provenance, unless that is
 * NULL.  Finishes to, or aborts it on failure.
 */
int foreign_import(enum foreign f, char *const *files, int32_t eos, struct shard_writer *to,
    json_t *provenance, struct err *err);

struct foreign_writer;

/*
 * Write to path (of megatron: PREFIX or PREFIX.bin) atomically.  llmc's header has
 * the number of tokens: that of info, or where it is -1 written at the end,
 * which a pipe does not allow.
 */
struct foreign_writer *foreign_create(enum foreign f, const char *path,
    const struct shard_info *info, struct err *err);

/*
 * Tokens in order, without padding; each segment is a document of megatron's, or
 * the item where start is NULL.
 */
int foreign_put(struct foreign_writer *w, const struct shard_item *item, struct err *err);
int foreign_finish(struct foreign_writer *w, struct err *err);	/* frees */
void foreign_abort(struct foreign_writer *w);			/* NULL is allowed */

/*
 * All of it: files, a list that ends with NULL, into path.  Of llmc the files
 * are read twice, for their number of tokens.
 */
int foreign_export(enum foreign f, char *const *files, const char *path, struct err *err);

#endif
