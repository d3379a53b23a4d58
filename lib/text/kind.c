#include "text/kind.h"

#include <strings.h>

#include "base/json.h"
#include "text/encoding.h"

static bool
has_suffix(str name, const char *suffix)
{
	ptrdiff_t n = (ptrdiff_t)strlen(suffix);

	return name.n > n && strncasecmp(name.p + name.n - n, suffix, (size_t)n) == 0;
}

static bool
in_list(str name, const char (*list)[8], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (has_suffix(name, list[i]))
			return true;
	return false;
}

/* Names that say what no look at the bytes can. */
static bool
is_asset(str name, str head)
{
	static const char list[][8] = {
		".css", ".js", ".mjs", ".map", ".po", ".pot", ".svg", ".xsl", ".xslt",
		".dtd", ".ent", ".rng", ".xsd", ".inv", ".ps", ".eps", ".fig", ".xpm",
		".ppm", ".pgm", ".pbm", ".qhp", ".hhc", ".hhk", ".hhp", ".ncx", ".opf",
		".devhelp", ".tag", ".sgf", ".md5sums", ".asc", ".sig", ".info",
	};

	return in_list(name, list, sizeof(list) / sizeof(list[0])) ||
	    str_starts(head, S("%!PS")) || str_starts(head, S("/* XPM */")) ||
	    (str_starts(head, S("This is ")) && memmem(head.p, (size_t)head.n,
	    "produced by makeinfo", 20) != NULL);
}

static bool
contains(str s, const char *word)
{
	ptrdiff_t n = (ptrdiff_t)strlen(word);

	for (ptrdiff_t i = 0; i + n <= s.n; i++)
		if ((s.p[i] | 32) == (word[0] | 32) &&
		    strncasecmp(s.p + i, word, (size_t)n) == 0)
			return true;
	return false;
}

/* Without a byte order mark and blank space at the start. */
static str
trimmed(str s)
{
	if (str_starts(s, S("\357\273\277")))
		s = (str){ s.p + 3, s.n - 3 };
	while (s.n > 0 && (*s.p == ' ' || *s.p == '\n' || *s.p == '\t' || *s.p == '\r')) {
		s.p++;
		s.n--;
	}
	return s;
}

/*
 * Markup by its first bytes.  UTF-16 has NULs between them, but its pages come
 * with a name in practice.
 */
static enum kind
markup(str s)
{
	str start = { s.p, s.n < 2048 ? s.n : 2048 };

	if (s.n == 0 || *s.p != '<')
		return KIND_TEXT;
	if (str_starts_like(s, "<!doctype html") || str_starts_like(s, "<html") ||
	    contains(start, "<html") || contains(start, "<!doctype html"))
		return KIND_HTML;
	if (contains(start, "<svg"))
		return KIND_ASSET;
	if (str_starts_like(s, "<?xml") || str_starts_like(s, "<!doctype") ||
	    str_starts_like(s, "<book") || str_starts_like(s, "<article") ||
	    str_starts_like(s, "<chapter"))
		return KIND_XML;
	if (str_starts_like(s, "<head") || str_starts_like(s, "<title") ||
	    str_starts_like(s, "<body") || contains(start, "<body"))
		return KIND_HTML;
	return KIND_TEXT;
}

/* name.1 and name.3pm, and a request or comment of roff at a line's start. */
static bool
is_man(str name, str head)
{
	ptrdiff_t i = name.n;

	while (i > 0 && name.p[i - 1] != '.')
		i--;
	if (i < 2 || i == name.n || name.n - i > 8 || name.p[i] < '0' || name.p[i] > '9')
		return false;
	if (head.n > 2 && (head.p[0] == '.' || (head.p[0] == '\'' && head.p[1] == '\\')))
		return true;
	return memmem(head.p, (size_t)head.n, "\n.TH ", 5) != NULL ||
	    memmem(head.p, (size_t)head.n, "\n.Dd ", 5) != NULL;
}

/* The first line is an object that has the key; of a long line, its start. */
static bool
is_lines(str name, str head, str field)
{
	struct json_member m;
	struct err err;
	str line, rest = head;
	char quoted[80];

	if (head.n == 0 || *head.p != '{' || field.n > 64)
		return false;
	if (has_suffix(name, ".jsonl") || has_suffix(name, ".ndjson"))
		return true;
	line = str_cut(&rest, '\n');
	if (rest.p != NULL)
		return json_scan(line, &field, 1, &m, &err) == 0 && m.value.p != NULL;
	quoted[0] = '"';
	memcpy(quoted + 1, field.p, (size_t)field.n);
	quoted[field.n + 1] = '"';
	return memmem(head.p, (size_t)head.n, quoted, (size_t)field.n + 2) != NULL &&
	    !has_suffix(name, ".json");
}

enum kind
kind_of(str name, str head, str field)
{
	static const char html[][8] = { ".html", ".htm", ".xhtml", ".shtml" };
	static const char xml[][8] = {
		".xml", ".docbook", ".sgml", ".sgm", ".page", ".tei", ".dbk", ".fodt",
	};
	str s = trimmed(head);
	enum kind k;

	if (str_starts(s, S("%PDF-")))
		return KIND_PDF;
	if (encoding_is_binary(head))
		return KIND_BINARY;
	if (is_asset(name, s))
		return KIND_ASSET;
	if (is_lines(name, s, field))
		return KIND_LINES;
	if (in_list(name, html, sizeof(html) / sizeof(html[0])))
		return KIND_HTML;
	if ((k = markup(s)) != KIND_TEXT)
		return k;
	if (in_list(name, xml, sizeof(xml) / sizeof(xml[0])))
		return KIND_XML;
	return is_man(name, head) ? KIND_MAN : KIND_TEXT;
}
