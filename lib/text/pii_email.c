/* E-mail addresses, and users with passwords in URLs. */
#include "text/pii_impl.h"
#include "text/unicode.h"

#define LOCAL_MAX 64 /* bytes before the @ (RFC 5321) */
#define DOMAIN_MAX 253
#define LABEL_MAX 63

/* Last labels that are names of files and units, not of domains. */
static const char no_domain[] =
    "png jpg jpeg gif svg webp ico bmp pdf html htm css js json xml yaml yml "
    "txt tar gz tgz zip deb "
    "rpm exe dll conf cfg log patch diff service socket target timer mount "
    "slice scope device path "
    "swap automount so lst tmp bak";

/*
 * The letter that ends at *at, where it is one of an alphabet: Chinese, Japanese and Thai stand
 * beside an address without a blank and are no part of it.
 */
static bool
alphabetic_before(struct look *l, ptrdiff_t *at)
{
	const char *p = l->s + *at;
	int32_t c = utf8_prev(l->s, &p);

	if (c >= 0x0e00 || (uni_class(c) & UNI_LETTER) == 0)
		return false;
	*at = p - l->s;
	return true;
}

/* The start of the part before the @ (or a blank) at end, or end when there is none. */
static ptrdiff_t
local_start(struct look *l, ptrdiff_t end)
{
	ptrdiff_t low = end - LOCAL_MAX > l->low ? end - LOCAL_MAX : l->low, i = end;

	while (i > low) {
		unsigned c = look_at(l, i - 1);

		if (c >= 0x80) {
			ptrdiff_t k = i;

			if (!alphabetic_before(l, &k) || k < low)
				break;
			i = k;
			continue;
		}
		if (!is_alnum(c) && c != '.' && c != '_' && c != '-' && c != '+' && c != '\'')
			break;
		if (c == '.' && look_at(l, i) == '.')
			break;
		i--;
	}
	if (i == low && low > l->low)
		return end;
	while (i < end && strchr(".-+'", look_at(l, i)) != NULL)
		i++;
	/* \n of a string, as it is written in a program. */
	if (i > l->low && look_at(l, i - 1) == '\\' && strchr("nrt", look_at(l, i)) != NULL)
		i++;
	return i;
}

/* Where the label at i ends. */
static ptrdiff_t
label_end(struct look *l, ptrdiff_t i)
{
	ptrdiff_t start = i;

	for (;;) {
		unsigned c = look_at(l, i);

		if (is_alnum(c) || (c == '-' && i > start)) {
			i++;
		} else if (c >= 0x80) {
			const char *p = l->s + i, *end = l->s + l->n;
			int32_t u = utf8_next(&p, end);

			/* One that is cut here is another when it is whole. */
			look_at(l, i + (c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1));
			if (u >= 0x0e00 || (uni_class(u) & (UNI_LETTER | UNI_MARK)) == 0)
				break;
			i = p - l->s;
		} else {
			break;
		}
		if (i - start > LABEL_MAX)
			return start;
	}
	while (i > start && look_at(l, i - 1) == '-')
		i--;
	return i;
}

/* Letters of one case, or a capital and small ones; letters that are not ASCII; xn--. */
static bool
is_top(str s)
{
	int upper = 0, small = 0;

	if (s.n < 2 || s.n > 24)
		return false;
	if (s.n > 4 && (s.p[0] | 0x20) == 'x' && (s.p[1] | 0x20) == 'n' && s.p[2] == '-')
		return true;
	for (ptrdiff_t i = 0; i < s.n; i++) {
		unsigned c = (unsigned char)s.p[i];

		if (is_upper(c))
			upper++;
		else if (is_letter(c))
			small++;
		else if (c < 0x80)
			return false;
	}
	return upper == 0 || small == 0 || (upper == 1 && is_upper((unsigned char)s.p[0]));
}

/* The end of the domain at i, or -1. */
static ptrdiff_t
domain_end(struct look *l, ptrdiff_t i)
{
	ptrdiff_t start = i;
	str top = { NULL, 0 };
	bool small = false; /* the label before is in small letters */

	for (int labels = 0; i - start <= DOMAIN_MAX; labels++) {
		ptrdiff_t e = label_end(l, i);
		bool capital = is_upper(look_at(l, i));

		/* "to me@here.org.Then" ends with the sentence. */
		if (e == i || (top.p != NULL && small && capital))
			break;
		top = (str){ l->s + i, e - i };
		if (labels == 0 || !is_top(top))
			top.p = NULL;
		small = !capital;
		i = e;
		if (look_at(l, i) != '.')
			break;
		i++;
	}
	if (top.p == NULL || i - start > DOMAIN_MAX || word_in(top, no_domain))
		return -1;
	return top.p + top.n - l->s;
}

/* host:path, which ssh copies to and git clones from. */
static bool
is_remote_path(struct look *l, ptrdiff_t i)
{
	if (look_at(l, i) != ':')
		return false;
	for (ptrdiff_t k = i + 1; k < i + 64; k++) {
		unsigned c = look_at(l, k);

		if (c == '/' || (c == '.' && look_is(l, k, ".git")))
			return true;
		if (!is_alnum(c) && c != '~' && c != '-' && c != '_' && c != '.')
			return false;
	}
	return false;
}

/* The @ at start of a name is that of a URL's user: "://" is before it, without a slash between. */
static bool
is_in_url(struct look *l, ptrdiff_t start)
{
	for (ptrdiff_t i = start; i > 0 && i > start - LOCAL_MAX; i--) {
		unsigned c = look_at(l, i - 1);

		if (c == '/')
			return look_at(l, i - 2) == '/' && look_at(l, i - 3) == ':';
		if (c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '@' || c == '=')
			return false;
	}
	return false;
}

static bool
ends_before(struct look *l, ptrdiff_t i, const char *text)
{
	return look_is(l, i - (ptrdiff_t)strlen(text), text);
}

/* <20240101.1@host> names a message. */
static bool
is_message_id(struct look *l, ptrdiff_t start)
{
	return look_at(l, start - 1) == '<' &&
	    (ends_before(l, start, "essage-ID: <") || ends_before(l, start, "essage-Id: <") ||
		ends_before(l, start, "In-Reply-To: <") || ends_before(l, start, "References: <"));
}

bool
pii_email(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	unsigned before = look_at(l, at - 1), after;
	ptrdiff_t start, end;

	if (!wanted(l, PII_EMAIL) ||
	    (!is_alnum(before) && before < 0x80 && before != '_' && before != '-' && before != '+'))
		return false;
	after = look_at(l, at + 1);
	if (!is_alnum(after) && after < 0x80)
		return false;
	start = local_start(l, at);
	if (start == at || is_in_url(l, start) || is_message_id(l, start))
		return false;
	end = domain_end(l, at + 1);
	if (end < 0)
		return false;
	after = look_at(l, end);
	if (after == '@' || after == '(' || is_remote_path(l, end))
		return false;
	*span = (struct pii_span){ start, end, PII_EMAIL };
	return true;
}

/* Behind "[at]" or " [dot] " at i, or -1. */
static ptrdiff_t
hidden(struct look *l, ptrdiff_t i, const char *word)
{
	static const char open[] = "([{<", close[] = ")]}>";
	const char *p;

	i += look_at(l, i) == ' ';
	if (look_at(l, i) == 0 || (p = strchr(open, look_at(l, i))) == NULL)
		return -1;
	for (i++; *word != '\0'; word++, i++)
		if (lower(look_at(l, i)) != (unsigned char)*word)
			return -1;
	if (look_at(l, i) != (unsigned char)close[p - open])
		return -1;
	i++;
	return i + (look_at(l, i) == ' ');
}

/* name [at] host [dot] org, name(at)host.org */
bool
pii_hidden_email(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	ptrdiff_t local = at - (look_at(l, at - 1) == ' '), i, start, end = -1;
	int dots = 0;

	if (!wanted(l, PII_EMAIL) || (i = hidden(l, at, "at")) < 0)
		return false;
	start = local_start(l, local);
	if (start == local)
		return false;
	for (ptrdiff_t first = i; i - first < DOMAIN_MAX; dots++) {
		ptrdiff_t e = label_end(l, i), next;

		if (e == i)
			break;
		if (dots > 0 && is_top((str){ l->s + i, e - i }))
			end = e;
		next = hidden(l, e, "dot");
		if (next < 0 && look_at(l, e) == '.')
			next = e + 1;
		if (next < 0)
			break;
		i = next;
	}
	if (end < 0)
		return false;
	*span = (struct pii_span){ start, end, PII_EMAIL };
	return true;
}

/* scheme://user:password@host: what is before the @. */
bool
pii_login(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	ptrdiff_t start = at + 3, colon = -1;

	if (look_at(l, at + 1) != '/' || look_at(l, at + 2) != '/' || !wanted(l, PII_LOGIN) ||
	    !is_alnum(look_at(l, at - 1)))
		return false;
	for (ptrdiff_t i = start; i < start + PII_BEHIND; i++) {
		unsigned c = look_at(l, i);

		if (c <= ' ' || strchr("/?#\"'<>`\\|", c) != NULL)
			return false;
		if (c == ':' && colon < 0)
			colon = i;
		if (c == '@') {
			unsigned host = look_at(l, i + 1);

			if (colon < 0 || (!is_alnum(host) && host != '[') ||
			    is_placeholder((str){ l->s + colon + 1, i - colon - 1 }))
				return false;
			*span = (struct pii_span){ start, i, PII_LOGIN };
			return true;
		}
	}
	return false;
}
