/*
 * foreign_impl - numbers in other programs' token files
 */
#ifndef FMT_FOREIGN_IMPL_H
#define FMT_FOREIGN_IMPL_H

#define LLMC_HEADER	1024		/* bytes: 256 i32: magic, version, tokens, zeros */
#define LLMC_MAGIC16	20240520
#define LLMC_VERSION16	1
#define LLMC_MAGIC32	20240801
#define LLMC_VERSION32	7

/*
 * Megatron's index: magic, u64 version 1, u8 type (1 u8, 4 i32, 5 i64, 8 u16),
 * u64 sequences, u64 document bounds; i32 lengths, i64 offsets, i64 bounds.
 */
#define MEGATRON_MAGIC	"MMIDIDX\0"	/* with the literal's own NUL: 9 bytes */
#define MEGATRON_HEADER	34
#define MEGATRON_U16	65500		/* vocabularies below are stored in u16 */

#define FOREIGN_PATH	4096

#endif
