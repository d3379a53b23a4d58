/*
 * decode_impl - the parts of the decoder
 */
#ifndef DECODE_IMPL_H
#define DECODE_IMPL_H

#include "ptx_impl.h"

bool has(const struct stmt *t, const char *what);
/* Index of the first name that is among the parts, or -1. */
int which(const struct stmt *t, const char *const *names, int n);
uint32_t operand(struct parse *c, struct slice s, int type, uint8_t *width);
void add_dst(struct parse *c, struct insn *in, struct slice s, int type);
void add_src(struct parse *c, struct insn *in, struct slice s, int type);
void add_address(struct parse *c, struct insn *in, struct slice s);

/* Each fills the instruction if it is one of its kind.  decode_more.c */
bool decode_flow(struct parse *c, struct insn *in, const struct stmt *t);
bool decode_memory(struct parse *c, struct insn *in, const struct stmt *t);
bool decode_warp(struct parse *c, struct insn *in, const struct stmt *t);

#endif
