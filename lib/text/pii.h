/*
 * pii - personal data and secrets in a text: where they are, and what to write instead
 *
 * Candidates are found a vector at a time (an @, a digit, a colon, a long word, ...), and each
 * is verified by hand-written rules around it: lengths, check digits, prefixes, whole words
 * before it.  No rule looks farther than PII_BEHIND back, or ahead without a bound, so time is
 * linear in the text whatever it is.
 *
 * A text may come in pieces (a model's answer, say): then a span is given as soon as nothing
 * that follows can change it, and spans are those of the whole text.
 *
 * Takes UTF-8; offsets are bytes.  Nothing here is allocated or kept but what is appended.
 */
#ifndef TEXT_PII_H
#define TEXT_PII_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum pii_kind {
	PII_EMAIL, PII_PHONE, PII_IPV4, PII_IPV6, PII_CARD, PII_IBAN, PII_SSN, PII_KEY,
	PII_PASSWORD, PII_LOGIN, PII_KINDS
};

struct pii_kind_info {
	const char	*name;
	const char	*what;
};

extern const struct pii_kind_info pii_kinds[PII_KINDS];

struct pii_rules {
	unsigned	 kinds;		/* bits */
	bool		 local;		/* IP addresses of private and reserved networks too */
};

/*
 * Take kinds from names, separated by commas: kinds, "ip", "secret", "all"; "-name" takes one
 * back.  Return 0 or -1.
 */
int pii_select(struct pii_rules *r, str names, struct err *err);

struct pii_span {
	ptrdiff_t	 start, end;
	enum pii_kind	 kind;
};

#define PII_BEHIND	256	/* bytes before pii_scan.safe that a later call may look at */
#define PII_MARKS	16	/* blocks of 64 bytes */

/* A walk along one text.  With rules set and the rest zero it is at the start. */
struct pii_scan {
	const struct pii_rules *rules;
	ptrdiff_t	 safe;		/* no later span begins before it */
	/* private */
	ptrdiff_t	 next, end;	/* where to look from; end of the last span */
	ptrdiff_t	 seen, base;	/* length of the text, start of the marks */
	int		 block, nblocks;
	uint64_t	 mark[PII_MARKS];
};

/*
 * The next span: 1, or 0 when there is none.  Spans come in order and do not overlap.  With more
 * the text goes on behind text.n: 0 says that more of it is needed, and text before scan->safe
 * is done.  The next call then has a longer text.
 */
int pii_next(struct pii_scan *scan, str text, bool more, struct pii_span *span);

/* The first n bytes of the text are gone, n at most safe - PII_BEHIND. */
void pii_forget(struct pii_scan *scan, ptrdiff_t n);

/* Append what stands for a kind, or for another name: <NAME>, in upper case. */
void pii_tag(struct buf *out, const char *name);

/* Append a text with the tags of their kinds in place of all spans. */
void pii_hide(const struct pii_rules *rules, str text, struct buf *out);

/*
 * Pseudonyms: another value of the same kind and form that depends on the value (spelled in
 * whatever way) and the key, and tells nothing of the value without the key.  Addresses,
 * American phone numbers and SSNs are ones that are never given to anybody.
 */
struct pii_key {
	unsigned char	k[64];
};

/* From the bytes of a key file.  Return 0, or -1 when they are fewer than 16. */
int pii_key_init(struct pii_key *key, str bytes, struct err *err);

/* Append the pseudonym of value, as it was found, to out. */
void pii_fake(const struct pii_key *key, enum pii_kind kind, str value, struct buf *out);

#endif
