/* Keys whose form says what they are, and what is assigned to names that say so. */
#include "text/pii_impl.h"

#include <math.h>

/* ---- keys ---- */

enum { IN_ALNUM, IN_UPPER, IN_HEX, IN_DASH, IN_ANY };

static bool
is_in(unsigned c, int set)
{
	switch (set) {
	case IN_ALNUM:
		return is_alnum(c);
	case IN_UPPER:
		return is_upper(c) || is_digit(c);
	case IN_HEX:
		return is_digit(c) || c - 'a' < 6;
	case IN_DASH:
		return is_alnum(c) || c == '-';
	default:
		return is_alnum(c) || c == '-' || c == '_';
	}
}

/* A prefix, and how many characters of a set follow.  Those that end in . are in two parts. */
static const struct form {
	const char *prefix;
	unsigned char set;
	short least, most;
} forms[] = {
	{ "AGE-SECRET-KEY-1", IN_UPPER, 58, 58 },
	{ "AIza", IN_ANY, 35, 35 },
	{ "AKIA", IN_UPPER, 16, 16 },
	{ "ASIA", IN_UPPER, 16, 16 }, /* AWS */
	{ "ABIA", IN_UPPER, 16, 16 },
	{ "ACCA", IN_UPPER, 16, 16 },
	{ "EAACEdEose0cBA", IN_ALNUM, 20, 400 },
	{ "NRAK-", IN_UPPER, 27, 27 },
	{ "PMAK-", IN_DASH, 59, 59 },
	{ "SK", IN_HEX, 32, 32 }, /* Twilio */
	{ "dapi", IN_HEX, 32, 32 },
	{ "dckr_pat_", IN_ANY, 27, 40 },
	{ "doo_v1_", IN_HEX, 64, 64 },
	{ "dop_v1_", IN_HEX, 64, 64 },
	{ "dor_v1_", IN_HEX, 64, 64 },
	{ "figd_", IN_ANY, 38, 60 },
	{ "ghp_", IN_ALNUM, 36, 255 },
	{ "gho_", IN_ALNUM, 36, 255 },
	{ "ghu_", IN_ALNUM, 36, 255 },
	{ "ghs_", IN_ALNUM, 36, 255 },
	{ "ghr_", IN_ALNUM, 36, 255 },
	{ "github_pat_", IN_ANY, 60, 255 },
	{ "glpat-", IN_ANY, 20, 80 },
	{ "gldt-", IN_ANY, 20, 80 },
	{ "glrt-", IN_ANY, 20, 80 },
	{ "glsa_", IN_ANY, 36, 60 },
	{ "gsk_", IN_ALNUM, 48, 60 },
	{ "hf_", IN_ALNUM, 34, 40 },
	{ "lin_api_", IN_ALNUM, 40, 40 },
	{ "npm_", IN_ALNUM, 36, 36 },
	{ "nvapi-", IN_ANY, 60, 80 },
	{ "pscale_", IN_ANY, 32, 80 },
	{ "pypi-AgE", IN_ANY, 50, 400 },
	{ "r8_", IN_ALNUM, 37, 40 },
	{ "rk_live_", IN_ALNUM, 16, 255 },
	{ "rk_test_", IN_ALNUM, 16, 255 },
	{ "rubygems_", IN_HEX, 48, 48 },
	{ "shpat_", IN_HEX, 32, 32 },
	{ "shpca_", IN_HEX, 32, 32 },
	{ "shppa_", IN_HEX, 32, 32 },
	{ "shpss_", IN_HEX, 32, 32 },
	{ "sk-", IN_ANY, 32, 255 }, /* OpenAI, Anthropic */
	{ "sk_live_", IN_ALNUM, 16, 255 },
	{ "sk_test_", IN_ALNUM, 16, 255 },
	{ "sntrys_", IN_ANY, 40, 400 },
	{ "sq0atp-", IN_ANY, 22, 22 },
	{ "sq0csp-", IN_ANY, 43, 43 },
	{ "tskey-", IN_DASH, 20, 80 },
	{ "whsec_", IN_ALNUM, 24, 80 },
	{ "xai-", IN_ALNUM, 70, 90 },
	{ "xapp-", IN_DASH, 30, 255 },
	{ "xoxa-", IN_DASH, 20, 255 },
	{ "xoxb-", IN_DASH, 20, 255 },
	{ "xoxe-", IN_DASH, 20, 255 },
	{ "xoxp-", IN_DASH, 20, 255 },
	{ "xoxr-", IN_DASH, 20, 255 },
	{ "xoxs-", IN_DASH, 20, 255 },
};

ptrdiff_t
key_prefix(str key)
{
	static const char *const others[] = { "eyJ", "SG.", "ya29.", "hvs.", "hvb." };

	for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++)
		if (str_starts(key, str_of(forms[k].prefix)))
			return (ptrdiff_t)strlen(forms[k].prefix);
	for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
		if (str_starts(key, str_of(others[k])))
			return (ptrdiff_t)strlen(others[k]);
	return 0;
}

/* Where forms may be, by first letter: "AENPSd...". */
static bool
may_be_key(unsigned c)
{
	return c != 0 && strchr("AENPSdfghlnprstwxey", (int)c) != NULL;
}

/* The characters of a set at i, at most most and one more. */
static ptrdiff_t
run(struct look *l, ptrdiff_t i, int set, int most)
{
	ptrdiff_t n = 0;

	while (n <= most && is_in(look_at(l, i + n), set))
		n++;
	return n;
}

/* A placeholder like ghp_xxxxxxxx has few different characters, my-long-name no digit. */
static bool
is_random(struct look *l, ptrdiff_t i, ptrdiff_t n)
{
	unsigned char seen[256] = { 0 };
	int different = 0, digits = 0, upper = 0;

	for (ptrdiff_t k = i; k < i + n; k++) {
		unsigned c = look_at(l, k);

		different += !seen[c];
		seen[c] = 1;
		digits += is_digit(c);
		upper += is_upper(c);
	}
	return different >= 8 && (digits > 0 || upper > 2) &&
	    !(n >= 7 && look_is(l, i + n - 7, "EXAMPLE"));
}

/* eyJ....eyJ....signature at i: a JSON web token's end, or -1. */
static ptrdiff_t
jwt_end(struct look *l, ptrdiff_t i)
{
	ptrdiff_t n = run(l, i, IN_ANY, 4096), m;

	if (!look_is(l, i, "eyJ") || n < 17 || look_at(l, i + n) != '.')
		return -1;
	i += n + 1;
	m = run(l, i, IN_ANY, 16384);
	if (!look_is(l, i, "eyJ") || m < 10 || look_at(l, i + m) != '.')
		return -1;
	i += m + 1;
	n = run(l, i, IN_ANY, 4096);
	return n >= 20 && n <= 4096 ? i + n : -1;
}

/* At i: parts with full stops between. */
static bool
dotted_key(struct look *l, ptrdiff_t i, struct pii_span *span)
{
	static const struct {
		const char *prefix;
		short least, most;
	} parts[] = { { "ya29.", 30, 400 }, { "hvs.", 24, 200 }, { "hvb.", 100, 400 } };
	ptrdiff_t n, end;

	for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
		ptrdiff_t body = i + (ptrdiff_t)strlen(parts[k].prefix);

		if (!look_is(l, i, parts[k].prefix))
			continue;
		n = run(l, body, IN_ANY, parts[k].most);
		*span = (struct pii_span){ i, body + n, PII_KEY };
		return n >= parts[k].least && n <= parts[k].most;
	}
	/* SendGrid */
	if (look_is(l, i, "SG.")) {
		*span = (struct pii_span){ i, i + 69, PII_KEY };
		return run(l, i + 3, IN_ANY, 22) == 22 && look_at(l, i + 25) == '.' &&
		    run(l, i + 26, IN_ANY, 43) == 43;
	}
	if (look_at(l, i) != 'e' || (end = jwt_end(l, i)) < 0)
		return false;
	*span = (struct pii_span){ i, end, PII_KEY };
	return true;
}

/* A key begins at i. */
static bool
key_at(struct look *l, ptrdiff_t i, struct pii_span *span)
{
	if (i < l->low || !may_be_key(look_at(l, i)) || is_alnum(look_at(l, i - 1)))
		return false;
	for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++) {
		const struct form *f = &forms[k];
		ptrdiff_t body, n;

		if ((unsigned char)f->prefix[0] != look_at(l, i) || !look_is(l, i, f->prefix))
			continue;
		body = i + (ptrdiff_t)strlen(f->prefix);
		n = run(l, body, f->set, f->most);
		if (n < f->least || n > f->most || is_alnum(look_at(l, body + n)) ||
		    !is_random(l, body, n))
			continue;
		*span = (struct pii_span){ i, body + n, PII_KEY };
		return true;
	}
	return dotted_key(l, i, span);
}

/* A long word begins at at; the part of a key before a full stop may be a short one. */
bool
pii_token(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	ptrdiff_t i = at;

	if (!wanted(l, PII_KEY))
		return false;
	if (look_at(l, at - 1) == '.' &&
	    (key_at(l, at - 3, span) || key_at(l, at - 4, span) || key_at(l, at - 5, span)))
		return true;
	while (look_at(l, i) == '-' || look_at(l, i) == '_')
		if (i++ - at > PII_LONG)
			return false;
	return key_at(l, i, span);
}

#define PEM_MAX 16384 /* bytes of one private key */
#define PEM_LEAST 40 /* characters of Base64; an example has dots */

/* at is the dash before BEGIN.  A key that is cut off goes as far as it is one. */
bool
pii_pem(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	ptrdiff_t i = at + 7, head = i, base64 = 0;

	if (!look_is(l, at, "-BEGIN ") || !wanted(l, PII_KEY) || at - 4 < l->low ||
	    !look_is(l, at - 4, "----"))
		return false;
	while (i - head < 40 &&
	    (is_upper(look_at(l, i)) || look_at(l, i) == ' ' || is_digit(look_at(l, i))))
		i++;
	if (!(look_is(l, i - 11, "PRIVATE KEY") || look_is(l, i - 17, "PRIVATE KEY BLOCK")) ||
	    !look_is(l, i, "-----"))
		return false;
	for (i += 5; i - at < PEM_MAX; i++) {
		unsigned c = look_at(l, i);

		/* Headers: "Proc-Type: 4,ENCRYPTED"; line ends as \n. */
		if (is_alnum(c) || c == '+' || c == '/' || c == '=')
			base64++;
		else if (c == 0 || strchr(" \t\r\n\\:,.\"", c) == NULL) {
			if (c != '-' || look_at(l, i + 1) == '-')
				break;
		}
	}
	if (base64 < PEM_LEAST)
		return false;
	if (look_is(l, i, "-----END ")) {
		head = i + 9;
		for (i = head; i - head < 40 && (is_upper(look_at(l, i)) || look_at(l, i) == ' ');
		     i++)
			;
		for (int k = 0; k < 5 && look_at(l, i) == '-'; k++)
			i++;
	}
	*span = (struct pii_span){ at - 4, i, PII_KEY };
	return true;
}

/* ---- assignments ---- */

#define NAME_MOST 48
#define VALUE_MAX 128

enum secret { NO_SECRET, A_PASSWORD, A_PASS, A_TOKEN };

/* What a name like db_password, "clientSecret" or X-Api-Key is the name of. */
static enum secret
secret_of(const char *name, int n)
{
	char part[2][NAME_MOST]; /* the last two words, in small letters */
	int len[2] = { 0, 0 }, end = n;
	str last, both;
	char joined[2 * NAME_MOST];

	for (int p = 0; p < 2; p++) {
		int i;

		while (end > 0 && !is_alnum((unsigned char)name[end - 1]))
			end--;
		for (i = end; i > 0 && is_alnum((unsigned char)name[i - 1]); i--)
			if (i < end && is_upper((unsigned char)name[i]) &&
			    !is_upper((unsigned char)name[i - 1]))
				break;
		for (int k = i; k < end; k++)
			part[p][len[p]++] = (char)lower((unsigned char)name[k]);
		end = i;
	}
	last = (str){ part[0], len[0] };
	memcpy(joined, part[1], (size_t)len[1]);
	memcpy(joined + len[1], part[0], (size_t)len[0]);
	both = (str){ joined, len[0] + len[1] };
	if (str_ends(last, S("password")) || str_ends(last, S("passwd")) ||
	    word_in(last, "pwd passphrase passcode passwort kennwort userpwd psk"))
		return A_PASSWORD;
	if (len[1] > 0 && word_in(last, "pass pw"))
		return A_PASS;
	/* Those of pages and of requests that are sent again are no secrets. */
	if (word_in(both,
		"nexttoken pagetoken clienttoken requesttoken keytoken synctoken "
		"continuationtoken"))
		return NO_SECRET;
	if (str_ends(last, S("secret")) || str_ends(last, S("token")) ||
	    str_ends(last, S("apikey")) ||
	    word_in(last, "authorization credentials accesskey secretkey") ||
	    word_in(both,
		"apikey accesskey secretkey privatekey authkey signingkey encryptionkey "
		"accountkey sharedkey masterkey appkey servicekey xkey"))
		return A_TOKEN;
	return NO_SECRET;
}

/* What is before i ends in this, in capitals or small letters. */
static bool
ends_in(struct look *l, ptrdiff_t i, const char *end)
{
	for (ptrdiff_t n = (ptrdiff_t)strlen(end); n > 0; n--)
		if (lower(look_at(l, --i)) != (unsigned char)end[n - 1])
			return false;
	return true;
}

/* The name before i may be one that secret_of() knows: most names are not. */
static bool
may_be_secret(struct look *l, ptrdiff_t i)
{
	switch (lower(look_at(l, i - 1))) {
	case 'd':
		return ends_in(l, i, "sword") || ends_in(l, i, "swd") || ends_in(l, i, "pwd");
	case 'e':
		return ends_in(l, i, "phrase") || ends_in(l, i, "passcode");
	case 'k':
		return ends_in(l, i, "psk");
	case 'n':
		return ends_in(l, i, "token") || ends_in(l, i, "authorization");
	case 's':
		return ends_in(l, i, "pass") || ends_in(l, i, "credentials");
	case 't':
		return ends_in(l, i, "secret") || ends_in(l, i, "wort");
	case 'w':
		return ends_in(l, i, "pw");
	case 'y':
		return ends_in(l, i, "key");
	default:
		return false;
	}
}

/* The name that ends before i, blanks and quotes between; its length, and where in *start. */
static int
name_before(struct look *l, ptrdiff_t i, ptrdiff_t *start)
{
	ptrdiff_t end;

	for (int k = 0; k < 3 && look_at(l, i - 1) == ' '; k++)
		i--;
	if (look_at(l, i - 1) == ']')
		i--;
	if (look_at(l, i - 1) == '"' || look_at(l, i - 1) == '\'' || look_at(l, i - 1) == '`')
		i--;
	if (!may_be_secret(l, i))
		return 0;
	end = i;
	while (end - i < NAME_MOST - 1) {
		unsigned c = look_at(l, i - 1);

		if (!is_alnum(c) && c != '_' && c != '-' && c != '.')
			break;
		i--;
	}
	*start = i;
	return (int)(end - i);
}

static bool
contains(str s, const char *word)
{
	ptrdiff_t n = (ptrdiff_t)strlen(word);

	for (ptrdiff_t i = 0; i + n <= s.n; i++) {
		ptrdiff_t k = 0;

		while (k < n && lower((unsigned char)s.p[i + k]) == (unsigned char)word[k])
			k++;
		if (k == n)
			return true;
	}
	return false;
}

bool
is_placeholder(str v)
{
	static const char *const says[] = {
		"your",
		"example",
		"placeholder",
		"change",
		"replace",
		"dummy",
		"redacted",
		"xxx",
		"***",
		"...",
		"todo",
		"insert",
		"<",
		">",
		"${",
		"{{",
		"$(",
		"%(",
		"%s",
	};
	/* With a digit they may be somebody's. */
	static const char *const weak[] = {
		"password",
		"passwd",
		"secret",
		"token",
		"apikey",
		"api_key",
	};
	bool digit = false;

	if (v.n == 0 || v.p[0] == '$' || v.p[0] == '%' || v.p[0] == '{' || v.p[0] == '[')
		return true;
	for (ptrdiff_t i = 0; i < v.n; i++)
		digit |= is_digit((unsigned char)v.p[i]);
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++)
		if (contains(v, says[i]))
			return true;
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		if (!digit && contains(v, weak[i]))
			return true;
	return word_in(v,
	    "pw pwd pass passphrase sample string str text value "
	    "required optional none null nil true false yes no "
	    "undefined default empty hidden prompt stdin env file "
	    "input test testing foobar username "
	    "unset enabled disabled varchar bytes boolean integer "
	    "object function return encrypted");
}

/* Bits per character. */
static double
entropy(str v)
{
	int count[256] = { 0 };
	double bits = 0;

	for (ptrdiff_t i = 0; i < v.n; i++)
		count[(unsigned char)v.p[i]]++;
	for (int c = 0; c < 256; c++)
		if (count[c] > 0)
			bits -= count[c] * log2((double)count[c] / (double)v.n);
	return bits / (double)v.n;
}

/* Counts of a value's characters. */
struct classes {
	int upper, small, digit, sign, odd;
	int changes; /* from a small letter to a capital, and back */
};

static struct classes
classes_of(str v)
{
	struct classes k = { 0 };

	for (ptrdiff_t i = 0; i < v.n; i++) {
		unsigned c = (unsigned char)v.p[i];

		k.changes += i > 0 && is_letter(c) && is_letter((unsigned char)v.p[i - 1]) &&
		    is_upper(c) != is_upper((unsigned char)v.p[i - 1]);
		if (is_upper(c))
			k.upper++;
		else if (is_letter(c))
			k.small++;
		else if (is_digit(c))
			k.digit++;
		else if (c != 0 && strchr("()[]{};,`|\\<>", c) != NULL)
			k.odd++;
		else
			k.sign++;
	}
	return k;
}

/* Words with full stops, dashes or underscores between: config.password, my-secret-name. */
static bool
is_name(str v, const struct classes *k)
{
	for (ptrdiff_t i = 0; i < v.n; i++) {
		unsigned c = (unsigned char)v.p[i];

		if (!is_letter(c) && c != '.' && c != '_' && c != '-' && c != ':' && c != '/')
			return false;
	}
	return k->sign > 0;
}

/* What stands for a value in a program: self.oauth2_token, KEY_1.  Random letters have no signs. */
static bool
is_code(str v, const struct classes *k)
{
	bool dots = false, lines = false;

	for (ptrdiff_t i = 0; i < v.n; i++) {
		unsigned c = (unsigned char)v.p[i];

		if (!is_alnum(c) && c != '_' && c != '.' && c != '$')
			return false;
		if (is_digit(c) && (i == 0 || v.p[i - 1] == '.'))
			return false;
		dots |= c == '.';
		lines |= c == '_' || c == '$';
	}
	return dots || (lines && k->digit <= 2 + v.n / 16);
}

/*
 * How a value was written: the fewer signs there are that it is one, the more it must be like
 * one.
 */
struct written {
	bool quoted; /* in quotes, or the text of an XML element */
	bool tight; /* password=value */
};

static bool
is_password(str v, struct written how)
{
	struct classes k = classes_of(v);

	if (v.n < 6 || v.n > 64 || k.odd > 0 || is_placeholder(v) || is_name(v, &k) ||
	    (!how.quoted && is_code(v, &k)))
		return false;
	if (v.p[0] == '/' || v.p[0] == '~' || v.p[0] == '.' || contains(v, "://") ||
	    contains(v, "->"))
		return false;
	if (k.digit > 0)
		return k.small + k.upper > 0;
	if (k.sign > 0 && k.small + k.upper > 3)
		return how.quoted || how.tight;
	/* Letters alone. */
	return k.sign == 0 &&
	    (how.quoted || k.changes > 6 || (how.tight && v.n >= 8 && k.small > 0));
}

static bool
is_token_value(str v, struct written how)
{
	struct classes k = classes_of(v);

	return v.n >= 16 && k.odd == 0 && k.digit > 0 && k.small + k.upper > 0 &&
	    !is_placeholder(v) && v.p[0] != '/' && !contains(v, "://") && entropy(v) >= 3.0 &&
	    (how.quoted || !is_code(v, &k));
}

static bool
is_secret(str v, enum secret what, struct written how)
{
	struct classes k = classes_of(v);

	if (what == A_TOKEN)
		return is_token_value(v, how);
	/* Passes are of compilers too. */
	if (what == A_PASS && (k.digit == 0 || !(how.quoted || how.tight)))
		return false;
	return is_password(v, how);
}

/* The value at i: up to a quote, a blank or what ends it. */
static str
value_at(struct look *l, ptrdiff_t i, unsigned quote)
{
	ptrdiff_t n = 0;

	for (; n <= VALUE_MAX; n++) {
		unsigned c = look_at(l, i + n);

		if (c <= ' ' || c == quote || (quote == 0 && strchr(",;&\"'<)", c) != NULL))
			break;
	}
	if (n > VALUE_MAX || i + n > l->n || (quote != 0 && look_at(l, i + n) != quote))
		return (str){ NULL, 0 };
	while (quote == 0 && n > 0 && (l->s[i + n - 1] == '.' || l->s[i + n - 1] == ':'))
		n--;
	return (str){ l->s + i, n };
}

/* Behind the sign at i: "=", ":", "=>", ":=", and Bearer. */
static ptrdiff_t
skip_sign(struct look *l, ptrdiff_t i, bool *tight)
{
	static const char *const scheme[] = { "Bearer ", "Basic ", "Token ", "token ", "bearer " };
	ptrdiff_t from;

	i += look_at(l, i + 1) == '>' || (look_at(l, i) == ':' && look_at(l, i + 1) == '=') ? 2 : 1;
	from = i;
	while (i - from < 4 && (look_at(l, i) == ' ' || look_at(l, i) == '\t'))
		i++;
	*tight = i == from;
	for (size_t k = 0; k < sizeof(scheme) / sizeof(scheme[0]); k++)
		if (look_at(l, i) == (unsigned char)scheme[k][0] && look_is(l, i, scheme[k]))
			return i + (ptrdiff_t)strlen(scheme[k]);
	return i;
}

bool
pii_assigned(struct look *l, ptrdiff_t at, struct pii_span *span)
{
	unsigned sign = look_at(l, at), before = look_at(l, at - 1), quote,
		 follows = look_at(l, at + 1);
	struct written how = { 0 };
	ptrdiff_t name, i;
	enum secret what;
	int n;
	str v;

	if (!wanted(l, PII_PASSWORD) || before == '=' || before == '!' || before == ':' ||
	    before == '<' || before == '>' || before == '-' || follows == (sign == ':' ? ':' : '='))
		return false;
	n = name_before(l, at, &name);
	if (n < 3 || (sign == '>' && look_at(l, name - 1) != '<'))
		return false;
	what = secret_of(l->s + name, n);
	if (what == NO_SECRET)
		return false;
	i = skip_sign(l, at, &how.tight);
	how.tight &= sign == '=';
	quote = look_at(l, i);
	if (sign == '>')
		quote = '<';
	else if (quote == '"' || quote == '\'' || quote == '`')
		i++;
	else
		quote = 0;
	how.quoted = quote != 0;
	/* A known key is one, whatever it is assigned to. */
	if (wanted(l, PII_KEY) && key_at(l, i, span))
		return true;
	v = value_at(l, i, quote);
	if (v.p == NULL || !is_secret(v, what, how))
		return false;
	*span = (struct pii_span){ i, i + v.n, PII_PASSWORD };
	return true;
}
