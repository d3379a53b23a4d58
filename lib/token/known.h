/*
 * known - the names by which models call the ends of a text
 */
#ifndef TOKEN_KNOWN_H
#define TOKEN_KNOWN_H

/* Ended by NULL, the likelier ones first. */
extern const char *const known_bos[];
extern const char *const known_eos[];

#endif
