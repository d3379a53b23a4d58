#include "text/pii_impl.h"

#include <stdlib.h>

/* What a word before a number says of it; sorted. */
static const struct {
	char		word[14];
	unsigned char	says;
} words[] = {
	{ "account", SAYS_OTHER }, { "acct", SAYS_OTHER }, { "addr", SAYS_IP },
	{ "address", SAYS_IP }, { "addresses", SAYS_IP }, { "amex", SAYS_CARD },
	{ "appendix", SAYS_VERSION }, { "arxiv", SAYS_OTHER }, { "asin", SAYS_OTHER },
	{ "barcode", SAYS_OTHER }, { "batch", SAYS_OTHER }, { "bios", SAYS_VERSION },
	{ "birth", SAYS_OTHER }, { "birthdate", SAYS_OTHER }, { "birthday", SAYS_OTHER },
	{ "born", SAYS_OTHER }, { "bug", SAYS_OTHER }, { "build", SAYS_VERSION },
	{ "builds", SAYS_VERSION }, { "bytes", SAYS_OTHER }, { "call", SAYS_CALL },
	{ "called", SAYS_CALL }, { "calling", SAYS_CALL }, { "calls", SAYS_CALL },
	{ "card", SAYS_CARD }, { "cardnumber", SAYS_CARD }, { "cards", SAYS_CARD },
	{ "carte", SAYS_CARD }, { "cat", SAYS_OTHER }, { "catalog", SAYS_OTHER },
	{ "catalogue", SAYS_OTHER }, { "cc", SAYS_CARD }, { "ccn", SAYS_CARD },
	{ "cell", SAYS_PHONE }, { "cellphone", SAYS_PHONE }, { "cellular", SAYS_PHONE },
	{ "chapter", SAYS_VERSION }, { "checksum", SAYS_OTHER }, { "clause", SAYS_VERSION },
	{ "commit", SAYS_OTHER }, { "contact", SAYS_CALL },
	{ "contacts", SAYS_CALL }, { "container", SAYS_OTHER }, { "crc", SAYS_OTHER },
	{ "credit", SAYS_CARD }, { "creditcard", SAYS_CARD }, { "cve", SAYS_OTHER },
	{ "debit", SAYS_CARD }, { "dial", SAYS_PHONE }, { "dialed", SAYS_PHONE },
	{ "dialled", SAYS_PHONE }, { "discover", SAYS_CARD }, { "dns", SAYS_IP },
	{ "dob", SAYS_OTHER }, { "doc", SAYS_OTHER }, { "docket", SAYS_OTHER },
	{ "document", SAYS_OTHER }, { "doi", SAYS_OTHER }, { "driver", SAYS_VERSION },
	{ "ean", SAYS_OTHER }, { "epoch", SAYS_OTHER }, { "fax", SAYS_PHONE },
	{ "figure", SAYS_VERSION }, { "firmware", SAYS_VERSION }, { "free", SAYS_CALL },
	{ "gateway", SAYS_IP }, { "gid", SAYS_OTHER }, { "gtin", SAYS_OTHER },
	{ "handy", SAYS_PHONE }, { "helpline", SAYS_PHONE }, { "host", SAYS_IP },
	{ "hostname", SAYS_IP }, { "hotline", SAYS_PHONE }, { "id", SAYS_OTHER },
	{ "identifier", SAYS_VERSION }, { "ids", SAYS_OTHER }, { "inet", SAYS_IP },
	{ "invoice", SAYS_OTHER }, { "ip", SAYS_IP }, { "ips", SAYS_IP }, { "ipv4", SAYS_IP },
	{ "isbn", SAYS_OTHER }, { "iso", SAYS_VERSION }, { "issn", SAYS_OTHER },
	{ "issue", SAYS_OTHER }, { "item", SAYS_OTHER | SAYS_VERSION },
	{ "items", SAYS_OTHER }, { "itin", SAYS_SSN }, { "karte", SAYS_CARD },
	{ "kartennummer", SAYS_CARD }, { "kernel", SAYS_VERSION }, { "kontakt", SAYS_CALL },
	{ "kreditkarte", SAYS_CARD }, { "landline", SAYS_PHONE }, { "latencies", SAYS_OTHER },
	{ "latency", SAYS_OTHER }, { "lccn", SAYS_OTHER }, { "licence", SAYS_OTHER },
	{ "license", SAYS_OTHER }, { "lot", SAYS_OTHER }, { "mastercard", SAYS_CARD },
	{ "md5", SAYS_OTHER }, { "mobil", SAYS_PHONE }, { "mobile", SAYS_PHONE },
	{ "model", SAYS_OTHER }, { "models", SAYS_OTHER }, { "móvil", SAYS_PHONE },
	{ "nameserver", SAYS_IP }, { "oclc", SAYS_OTHER }, { "oid", SAYS_VERSION },
	{ "oids", SAYS_VERSION }, { "order", SAYS_OTHER }, { "orders", SAYS_OTHER },
	{ "package", SAYS_VERSION }, { "page", SAYS_OTHER }, { "pager", SAYS_PHONE },
	{ "pages", SAYS_OTHER }, { "pan", SAYS_CARD }, { "paragraph", SAYS_VERSION },
	{ "part", SAYS_OTHER }, { "parts", SAYS_OTHER }, { "patch", SAYS_VERSION },
	{ "patent", SAYS_OTHER }, { "peer", SAYS_IP }, { "ph", SAYS_PHONE },
	{ "phone", SAYS_PHONE }, { "phones", SAYS_PHONE }, { "pid", SAYS_OTHER },
	{ "ping", SAYS_IP }, { "pmid", SAYS_OTHER }, { "port", SAYS_OTHER },
	{ "portable", SAYS_PHONE }, { "ports", SAYS_OTHER }, { "product", SAYS_OTHER },
	{ "reach", SAYS_CALL }, { "reached", SAYS_CALL }, { "ref", SAYS_OTHER },
	{ "reference", SAYS_OTHER }, { "references", SAYS_OTHER },
	{ "release", SAYS_VERSION }, { "released", SAYS_VERSION },
	{ "releases", SAYS_VERSION }, { "remote", SAYS_IP }, { "replace", SAYS_OTHER },
	{ "replaces", SAYS_OTHER }, { "require", SAYS_VERSION }, { "requires", SAYS_VERSION },
	{ "reservations", SAYS_CALL }, { "resolver", SAYS_IP }, { "rev", SAYS_VERSION },
	{ "revision", SAYS_VERSION }, { "rfc", SAYS_OTHER }, { "ring", SAYS_CALL },
	{ "router", SAYS_IP }, { "row", SAYS_OTHER }, { "rows", SAYS_OTHER },
	{ "section", SAYS_VERSION }, { "sections", SAYS_VERSION }, { "security", SAYS_SSN },
	{ "serial", SAYS_OTHER }, { "serials", SAYS_OTHER }, { "server", SAYS_IP },
	{ "shipment", SAYS_OTHER }, { "signal", SAYS_CALL }, { "sku", SAYS_OTHER },
	{ "sms", SAYS_PHONE }, { "social", SAYS_SSN }, { "ssn", SAYS_SSN },
	{ "ssns", SAYS_SSN }, { "step", SAYS_VERSION }, { "subnet", SAYS_IP },
	{ "table", SAYS_VERSION }, { "tarjeta", SAYS_CARD }, { "taxpayer", SAYS_SSN },
	{ "tel", SAYS_PHONE }, { "telefax", SAYS_PHONE }, { "telefon", SAYS_PHONE },
	{ "telefone", SAYS_PHONE }, { "telefono", SAYS_PHONE }, { "telefoon", SAYS_PHONE },
	{ "telephone", SAYS_PHONE }, { "telephones", SAYS_PHONE },
	{ "teléfono", SAYS_PHONE }, { "text", SAYS_CALL }, { "texted", SAYS_CALL },
	{ "texting", SAYS_CALL }, { "ticket", SAYS_OTHER }, { "timestamp", SAYS_OTHER },
	{ "timestamps", SAYS_OTHER }, { "traceroute", SAYS_IP }, { "tracking", SAYS_OTHER },
	{ "transaction", SAYS_OTHER }, { "ts", SAYS_OTHER }, { "txn", SAYS_OTHER },
	{ "tél", SAYS_PHONE }, { "téléphone", SAYS_PHONE }, { "uid", SAYS_OTHER },
	{ "upc", SAYS_OTHER }, { "update", SAYS_VERSION }, { "updated", SAYS_VERSION },
	{ "updates", SAYS_VERSION }, { "upgrade", SAYS_VERSION },
	{ "upgraded", SAYS_VERSION }, { "upgrading", SAYS_VERSION }, { "v", SAYS_VERSION },
	{ "value", SAYS_OTHER }, { "values", SAYS_OTHER }, { "ver", SAYS_VERSION },
	{ "version", SAYS_VERSION }, { "versions", SAYS_VERSION }, { "visa", SAYS_CARD },
	{ "voicemail", SAYS_PHONE }, { "whatsapp", SAYS_PHONE }, { "whois", SAYS_IP },
	{ "zip", SAYS_OTHER }, { "☎", SAYS_PHONE }, { "☎️", SAYS_PHONE },
	{ "☏", SAYS_PHONE }, { "✆", SAYS_PHONE }, { "📞", SAYS_PHONE },
	{ "📠", SAYS_PHONE }, { "📱", SAYS_PHONE },
};

#define NWORDS ((int)(sizeof(words) / sizeof(words[0])))
#define BACK 72 /* bytes that are looked at */

static unsigned
word_says(const char *word)
{
	int low = 0, high = NWORDS;

	while (low < high) {
		int mid = (low + high) / 2, c = strcmp(word, words[mid].word);

		if (c == 0)
			return words[mid].says;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return 0;
}

/* Letters, and bytes of characters that are not ASCII. */
static bool
in_word(unsigned c)
{
	return is_letter(c) || c >= 0x80;
}

/* A walk back from a number. */
struct back {
	struct look *l;
	ptrdiff_t i, low;
	int lines; /* that were left */
	int words; /* and numbers */
	char word[sizeof(words[0].word)], later[sizeof(words[0].word)];
};

/* A full stop at i ends a sentence, and is not that of "Tel." or "No." */
static bool
ends_sentence(struct look *l, ptrdiff_t i)
{
	int n = 0;

	if (look_at(l, i) != '.' || !(look_at(l, i + 1) == ' ' || look_at(l, i + 1) == '\n'))
		return false;
	while (n < 6 && is_letter(look_at(l, i - 1 - n)))
		n++;
	return n >= 6 || is_digit(look_at(l, i - 1));
}

/* To the end of the word before; false where there is none that counts. */
static bool
skip_back(struct back *b)
{
	while (b->i > b->low && !in_word(look_at(b->l, b->i - 1))) {
		unsigned c = look_at(b->l, --b->i);

		if (c == '\n' && (b->words > 0 || b->lines++ > 0))
			return false;
		if (ends_sentence(b->l, b->i))
			return false;
		if (is_digit(c) && !is_digit(look_at(b->l, b->i + 1)) &&
		    !is_digit(look_at(b->l, b->i + 2)))
			b->words++;
	}
	return b->i > b->low;
}

/* The word that ends at i, or the last part of one likeThis; false when the walk is over. */
static bool
word_back(struct back *b)
{
	struct look *l = b->l;
	ptrdiff_t end = b->i;

	for (; b->i > b->low && in_word(look_at(l, b->i - 1)); b->i--)
		if (b->i < end && is_upper(look_at(l, b->i)) && !is_upper(look_at(l, b->i - 1)) &&
		    look_at(l, b->i - 1) < 0x80)
			break;
	if (b->i == b->low && b->low > 0)
		return false;
	memcpy(b->later, b->word, sizeof(b->word));
	memset(b->word, 0, sizeof(b->word));
	if (end - b->i < (ptrdiff_t)sizeof(b->word))
		for (ptrdiff_t k = b->i; k < end; k++)
			b->word[k - b->i] = (char)lower(look_at(l, k));
	b->words++;
	return true;
}

static unsigned
said(struct back *b)
{
	str word = str_of(b->word);

	/* P/N, a part number. */
	if (strcmp(b->word, "n") == 0 && look_at(b->l, b->i - 1) == '/' &&
	    lower(look_at(b->l, b->i - 2)) == 'p')
		return SAYS_OTHER;
	if (word_in(word, "call calls called text texted ring reach phone") &&
	    word_in(str_of(b->later), "me us him her them"))
		return SAYS_PHONE;
	if (word_in(word, "my your his her our their") && strcmp(b->later, "number") == 0)
		return SAYS_PHONE;
	return word_says(b->word);
}

unsigned
words_say(struct look *l, ptrdiff_t start, unsigned which, int most)
{
	struct back b = { .l = l, .i = start, .low = start > BACK ? start - BACK : 0 };

	while (skip_back(&b) && word_back(&b) && b.words <= most) {
		unsigned says = said(&b) & which;

		/* What speaks against it reaches less far. */
		if (b.words > 3 || b.lines > 0)
			says &= ~(unsigned)SAYS_OTHER;
		if (b.words > 5 || b.lines > 0)
			says &= ~(unsigned)SAYS_VERSION;
		if (says != 0)
			return says;
	}
	return 0;
}

bool
word_in(str s, const char *list)
{
	for (;;) {
		ptrdiff_t i = 0;

		while (i < s.n && list[i] != '\0' &&
		    lower((unsigned char)s.p[i]) == (unsigned char)list[i])
			i++;
		if (i == s.n && (list[i] == ' ' || list[i] == '\0'))
			return true;
		while (*list != ' ')
			if (*list++ == '\0')
				return false;
		list++;
	}
}

bool
look_is(struct look *l, ptrdiff_t i, const char *text)
{
	for (; *text != '\0'; text++, i++)
		if (look_at(l, i) != (unsigned char)*text)
			return false;
	return true;
}
