/*
 * GBNF and regular expressions: what they take and refuse, among them what
 * people reported of llama.cpp, vLLM, XGrammar and Outlines; and masks, which
 * allow exactly the tokens that a matcher goes on by.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/rng.h"
#include "infer/matcher.h"
#include "../lib/toytok.h"
#include "../tap.h"

enum lang { GBNF, REGEX };

struct grammar_case {
	enum lang	lang;
	const char	*what, *source;
	const char	*yes[12], *no[12];
};

static struct grammar *
compile(enum lang lang, const char *source, struct err *err)
{
	return lang == GBNF ? grammar_gbnf(str_of(source), NULL, err) :
	    grammar_regex(str_of(source), err);
}

/* Is it a text of the grammar, whole?  -1: an error. */
static int
matches(const struct grammar *g, const char *text)
{
	struct err err;
	struct constraint *c = constraint_new(g, NULL, &err);
	struct matcher m;
	int went;

	if (c == NULL)
		return -1;
	matcher_start(&m, c);
	went = matcher_bytes(&m, str_of(text), &err);
	if (went > 0)
		went = matcher_done(&m);
	matcher_end(&m);
	constraint_free(c);
	return went;
}

static const struct grammar_case cases[] = {
	{ GBNF, "sums", "root ::= expr\nexpr ::= term (\"+\" term)*\nterm ::= number\nnumber ::= [0-9]+",
	    { "42", "1+2+3+4+5", "123+456" }, { "", "+", "/ 3", "1+2+3+4+5+", "12a45" } },
	{ GBNF, "an expression language",
	    "root ::= expression\n"
	    "expression ::= term ws ((\"+\"|\"-\") ws term)*\n"
	    "term ::= factor ws ((\"*\"|\"/\") ws factor)*\n"
	    "factor ::= number | variable | \"(\" expression \")\" | call\n"
	    "number ::= [0-9]+\n"
	    "variable ::= [a-zA-Z_][a-zA-Z0-9_]*\n"
	    "call ::= variable ws \"(\" (expression (\",\" ws expression)*)? \")\"\n"
	    "ws ::= [ \\t\\n\\r]?",
	    { "42", "1*2*3*4*5", "x", "x + 10", "(a + b) * (c - d)", "func()", "f(g(x), h(y, z))",
	      "123+456*789-123/456+789*123-456/789+123*456-789/123" },
	    { "+", "/ 3x", "x + + y", "a * / b", "func(,)", "func(x y)", "(a + b", "x + y)", "42 +" } },
	{ GBNF, "dots are characters, not bytes", "root ::= ... \"abc\" ...",
	    { "abcabcabc", "aaaabcccc", "\xf0\x9f\x94\xb5\xe2\x9c\x85xabc\xe2\x9d\x8cyz" },
	    { "aaabcccc", "aaaaabcccc", "aaaabccc", "\xe2\x9c\x85""abc\xe2\x9c\x85" } },
	{ GBNF, "schemas among texts", "root ::= (\"<\" %json {\"type\": \"object\", \"properties\": {\"a\":\n"
	    "  {\"$ref\": \"#/$defs/n\"}}, \"required\": [\"a\"], \"additionalProperties\": false,\n"
	    "  \"$defs\": {\"n\": {\"enum\": [1, 2]}}} \">\")+ | %json { \"enum\": [\"#\"] } # either\n",
	    { "<{\"a\":1}>", "<{\"a\": 2}><{\"a\":1}>", "\"#\"" }, { "", "<{}>", "<{\"a\":3}>", "{\"a\":1}" } },
	{ GBNF, "star", "root ::= \"a\"*", { "", "a", "aaaaaaaaaaaaaaaaaaaaaa" }, { "b", "ab", "ba" } },
	{ GBNF, "plus", "root ::= \"a\"+", { "a", "aaaaa" }, { "", "b", "aab" } },
	{ GBNF, "maybe", "root ::= \"a\"?", { "", "a" }, { "b", "ab", "aa" } },
	{ GBNF, "quantifiers that overlap", "root ::= cons+ vowel* cons? (vowel cons)*\n"
	    "vowel ::= [aeiouy]\ncons ::= [bcdfghjklmnpqrstvwxyz]",
	    { "yes", "no", "noyes", "crwth", "four", "bryyyy" }, { "yess", "yesno", "forty", "catyyy" } },
	{ GBNF, "exactly", "root ::= [ab]{4}", { "aaaa", "abab" }, { "a", "aaaaa" } },
	{ GBNF, "at least", "root ::= [ab]{4,}", { "aaaa", "aaaaab", "ababababab" }, { "", "aba" } },
	{ GBNF, "at most", "root ::= [ab]{0,4}", { "", "a", "aaab" }, { "aaaaa" } },
	{ GBNF, "bounds of a group", "root ::= (\"0x\" [A-F0-9]{2} \" \"?){3,5}",
	    { "0xFF 0x12 0xAB", "0xFF 0x12 0xAB 0x00 0x00" },
	    { "", "0xFF", "0xFF 0x12", "0xFF 0x12 0xAB 0x00 0x00 0x00" } },
	{ GBNF, "spaces in bounds", "root ::= \"a\"{ 2 , 3 }", { "aa", "aaa" }, { "a", "aaaa" } },
	{ GBNF, "a literal repeats whole", "root ::= \"ab\"{2}", { "abab" }, { "abb", "ab" } },
	{ GBNF, "nothing repeated for ever", "root ::= ( [x]* )*", { "", "x", "xx" }, { "y", "yy" } },
	{ GBNF, "bounded repetition six deep",
	    "root ::= (((((([^x]*){0,99}){0,99}){0,99}){0,99}){0,99}){0,99}",
	    { "", "abc" }, { "x", "axb" } },
	{ GBNF, "many optional ones, as a count", "root ::= \"x\"{0,100000}", { "", "xxxxx" }, { "y" } },
	{ GBNF, "a huge count, none of it written out", "root ::= ([a-z]{1,1000000} \",\"){2,1000000}",
	    { "ab,c,", "a,b,c,d,e,f," }, { "a,", ",", "a,b" } },
	{ GBNF, "counts in counts", "root ::= (\"a\"{200,300} \"b\"){200}", { NULL }, { "ab", "aabaab" } },
	{ GBNF, "rounds that may be empty", "root ::= (\"a\"? \"b\"?){300,400} \"c\"",
	    { "c", "abc", "aabbc" }, { "", "ca" } },
	{ GBNF, "a newline after a bar goes on", "root ::= \"a\" |\n  \"b\"", { "a", "b" }, { "" } },
	{ GBNF, "comments and blank lines", "# one\n\nroot ::= # two\n  \"a\" # three\n\n# four\n",
	    { "a" }, { "b" } },
	{ GBNF, "lines in groups", "root ::= (\n  \"a\" # first\n  \"b\"\n)\n", { "ab" }, { "a" } },
	{ GBNF, "Windows lines", "root ::= a\r\na ::= \"x\"\r\n", { "x" }, { "x\r" } },
	{ GBNF, "names with dashes, digits and underscores", "root ::= A-b_1\nA-b_1 ::= \"x\"", { "x" }, { "" } },
	{ GBNF, "an empty alternative", "root ::= \"a\" | ", { "a", "" }, { "b" } },
	{ GBNF, "escapes", "root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\\\\\\"\" [\\]\\[\\-^]",
	    { "A\xc3\xa9\xf0\x9f\x98\x80\n\t\\\"]", "A\xc3\xa9\xf0\x9f\x98\x80\n\t\\\"-" },
	    { "A\xc3\xa9\xf0\x9f\x98\x80\n\t\\\"a" } },
	{ GBNF, "a class of Japanese", "root ::= [\xe3\x81\x81-\xe3\x82\x9f]+",
	    { "\xe3\x81\x82\xe3\x82\x8b" }, { "a", "\xe3\x82\xa2" } },
	{ GBNF, "not a class, of any length in bytes", "root ::= [^\"\\\\]+",
	    { "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" }, { "\"", "a\\", "\xc3" } },
	{ GBNF, "an empty class negated", "root ::= [^]", { "a", "\n" }, { "", "ab" } },
	{ GBNF, "no overlong, no surrogates, none too high", "root ::= .",
	    { "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf" },
	    { "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xff" } },
	{ GBNF, "right recursion", "root ::= \"a\" root | \"b\"", { "b", "aaaaaaaab" }, { "", "aa" } },
	{ GBNF, "middle recursion", "root ::= \"(\" root \")\" | ", { "", "()", "(((())))" }, { "(()", "())" } },
	{ GBNF, "rules in circles that read a byte", "root ::= \"a\" b | \"x\"\nb ::= \"b\" root",
	    { "x", "abx", "ababx" }, { "ab", "ax" } },
	{ GBNF, "an alternative without end is none", "root ::= \"a\" | \"b\" never\nnever ::= \"c\" never",
	    { "a" }, { "b", "bc" } },
	{ GBNF, "a rule that nobody asks for", "root ::= \"a\"\nidle ::= \"b\"", { "a" }, { "b" } },
	{ GBNF, "JSON, in GBNF",
	    "root ::= value\n"
	    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"
	    "value ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
	    "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
	    "string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | "
	    "\"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\" ws\n"
	    "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws\n"
	    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}",
	    { "{\"a\": [1, -2.5e3, {\"b\": null}], \"c\": \"x\\u00e9\\n\"}", "[]", "[[[[]]]]", "\"\"", "0" },
	    { "{a: 1}", "[1,]", "[1", "\"\\x\"", "01", "{\"a\" 1}" } },
	{ GBNF, "tokens by number", "root ::= <[10]> .* <[300]>", { NULL }, { "<[10]>x<[300]>", "" } },

	{ REGEX, "the whole text", "ab", { "ab" }, { "xab", "abx", "a" } },
	{ REGEX, "anchors change nothing", "^ab$", { "ab" }, { "xab" } },
	{ REGEX, "anchors in a group", "^(ab|cd)$", { "ab", "cd" }, { "abcd" } },
	{ REGEX, "anchors of alternatives", "(^ab$)|(?:^cd$)", { "ab", "cd" }, { "abcd" } },
	{ REGEX, "classes", "\\d{3}-\\w+\\s?", { "123-a_9", "000-x " }, { "12-a", "123-", "123- " } },
	{ REGEX, "negated classes", "[^\\d\\s]\\D\\W", { "ab-", "\xc3\xa9x\xc3\xa9" }, { "1b-", "a1-", "abc" } },
	{ REGEX, "a dash at an end of a class", "[a\\-z-]+[-b]", { "a-z-", "-b" }, { "ba" } },
	{ REGEX, "an address", "[a-z0-9.]{1,20}@[a-z0-9]{1,10}\\.com", { "a.b@c1.com" }, { "a@b.org", "@b.com" } },
	{ REGEX, "an IP address", "((25[0-5]|2[0-4]\\d|[01]?\\d\\d?)\\.){3}(25[0-5]|2[0-4]\\d|[01]?\\d\\d?)",
	    { "1.2.3.4", "255.250.199.0" }, { "256.1.1.1", "1.2.3", "1.2.3.4." } },
	{ REGEX, "a choice", "(Paris|London|New York)", { "Paris", "New York" }, { "Pari", "ParisLondon" } },
	{ REGEX, "lazy is the same", "a+?b*?c??d{2,3}?", { "add", "aabbcddd" }, { "ad" } },
	{ REGEX, "named groups", "(?P<year>\\d{4})-(?<month>\\d\\d)", { "2024-01" }, { "24-1" } },
	{ REGEX, "a dot is no newline", "a.c", { "abc", "a\xe2\x82\xac""c" }, { "a\nc", "a\rc", "ac" } },
	{ REGEX, "characters by number", "\\x41\\x{1F600}\\u00e9\\u{20AC}\\uD83D\\uDE00",
	    { "A\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" }, { "A" } },
	{ REGEX, "Unicode", "[\xd0\xb0-\xd1\x8f]+|\xe6\x97\xa5\xe6\x9c\xac",
	    { "\xd0\xbf\xd1\x80\xd0\xb8", "\xe6\x97\xa5\xe6\x9c\xac" },
	    { "abc", "\xe6\x97\xa5" } },
	{ REGEX, "categories of Unicode", "\\p{Lu}\\p{Ll}+\\P{L}\\pN", { "\xc3\x89\xc3\xa9t 1" },
	    { "et 1", "\xc3\x89 1" } },
	{ REGEX, "braces that count nothing are text", "a{b}{}c{1,2", { "a{b}{}c{1,2" }, { "ab" } },
	{ REGEX, "an empty pattern", "", { "" }, { "a" } },
	{ REGEX, "an empty alternative", "a|", { "a", "" }, { "b" } },
	{ REGEX, "nested stars", "(a*)*b", { "b", "aaaaaaaaaaaaaaaaaaaaaaaaab" }, { "aaaaaaaaaaaaaaaaaaaaaaaaa" } },
	{ REGEX, "what makes backtracking slow", "(a|a)*(a|a)*b|(x+x+)+y",
	    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy" },
	    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" } },
	{ REGEX, "what has an exponential automaton", "(a|b)*a(a|b){40}",
	    { "bba" "bbbbbbbbbb" "bbbbbbbbbb" "bbbbbbbbbb" "bbbbbbbbbb" },
	    { "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" } },
	{ REGEX, "a million times", "(ab|c){1000,1000000}", { NULL }, { "ab", "" } },
};

static const struct {
	enum lang	 lang;
	const char	*what, *source, *message;
} refused[] = {
	{ GBNF, "no root", "rot ::= \"a\"", "no rule 'root'" },
	{ GBNF, "an empty source", "", "no rule 'root'" },
	{ GBNF, "a rule that is not there", "root ::= a\na ::= b", "no rule 'b'" },
	{ GBNF, "no schema", "root ::=\n%json [5", "line 2: a schema expected after '%json': " },
	{ GBNF, "another word", "root ::= %jsn {}", "line 1: '%json' expected" },
	{ GBNF, "a schema that is not held", "root ::= %json {\"uniqueItems\": true}",
	    "schema #: 'uniqueItems' is not supported" },
	{ GBNF, "a rule twice", "root ::= \"a\"\nroot ::= \"b\"", "line 2: rule 'root' is there twice" },
	{ GBNF, "left recursion", "root ::= \"a\" | root \"a\"", "begins with itself" },
	{ GBNF, "left recursion further down", "root ::= x\nx ::= \"a\" | x \"a\"", "'x' begins with itself" },
	{ GBNF, "left recursion by way of another",
	    "root ::= x\nx ::= \"a\" | y \"b\"\ny ::= \"c\" | x \"d\" | \"e\"", "by way of" },
	{ GBNF, "left recursion behind what may be empty",
	    "root ::= x\nx ::= \"a\" | y \"b\"\ny ::= \"c\" | empty x \"d\" | \"e\"\nempty ::= \"blah\" | ",
	    "by way of" },
	{ GBNF, "left recursion behind a repetition", "root ::= \"b\"* root \"a\" | \"c\"", "begins with itself" },
	{ GBNF, "left recursion in a long repetition", "root ::= (root \"a\"){0,5000} \"c\"", "begins with itself" },
	{ GBNF, "no end", "root ::= \"a\" root", "has no end" },
	{ GBNF, "no end, of two", "root ::= \"a\" b\nb ::= \"c\" root", "has no end" },
	{ GBNF, "no lower bound", "root ::= \"a\"{,}", "a number expected" },
	{ GBNF, "no lower bound, an upper one", "root ::= \"a\"{,10}", "a number expected" },
	{ GBNF, "bounds the wrong way around", "root ::= \"a\"{5,2}", "at least 5 and at most 2" },
	{ GBNF, "too many times", "root ::= \"a\"{1000001}", "more than 1000000" },
	{ GBNF, "a count beyond numbers", "root ::= \"a\"{99999999999999999999}", "more than 1000000" },
	{ GBNF, "an open literal", "root ::= \"abc", "has no end" },
	{ GBNF, "an open class", "root ::= [abc", "has no end" },
	{ GBNF, "an open group", "root ::= (\"a\"", "')' expected" },
	{ GBNF, "an open brace", "root ::= \"a\"{1", "'}' expected" },
	{ GBNF, "a range backwards", "root ::= [z-a]", "runs backwards" },
	{ GBNF, "an unknown escape", "root ::= \"\\q\"", "unknown escape" },
	{ GBNF, "half a pair", "root ::= \"\\ud800\"", "surrogate" },
	{ GBNF, "a character too high", "root ::= \"\\U00110000\"", "no character" },
	{ GBNF, "few digits", "root ::= \"\\u12\"", "4 hexadecimal digits" },
	{ GBNF, "no ::=", "root = \"a\"", "'::=' expected" },
	{ GBNF, "something else", "root ::= \"a\" ?? \"b\" )", "unexpected ')'" },
	{ GBNF, "a token by name and no tokenizer", "root ::= <think>", "no tokenizer" },
	{ GBNF, "no UTF-8", "root ::= \"\xff\"", "no UTF-8" },
	{ GBNF, "texts that no token can be", "root ::= []", "no text matches" },

	{ REGEX, "lookahead", "(?=a)b", "lookahead" },
	{ REGEX, "negative lookahead", "a(?!b)", "negative lookahead" },
	{ REGEX, "lookbehind", "(?<=a)b", "lookbehind" },
	{ REGEX, "negative lookbehind", "(?<!a)b", "negative lookbehind" },
	{ REGEX, "back references", "(a)\\1", "back reference" },
	{ REGEX, "back references by name", "(?P<x>a)(?P=x)", "back reference" },
	{ REGEX, "boundaries", "\\bfoo\\b", "boundary of a word" },
	{ REGEX, "flags", "(?i)abc", "flags" },
	{ REGEX, "atomic groups", "(?>a+)b", "atomic" },
	{ REGEX, "possessive repetition", "a++b", "possessive" },
	{ REGEX, "repetition of nothing", "*a", "nothing to repeat" },
	{ REGEX, "repetition twice", "a**", "a repetition of a repetition" },
	{ REGEX, "an open group", "(a", "')' expected" },
	{ REGEX, "a closed group", "a)", "')' without '('" },
	{ REGEX, "an open class", "[a", "no ']'" },
	{ REGEX, "a range backwards", "[z-a]", "runs backwards" },
	{ REGEX, "an anchor inside", "a^b", "'^' inside" },
	{ REGEX, "an end inside", "a$b", "'$' inside" },
	{ REGEX, "an anchor repeated", "(^a)*b", "'^' inside" },
	{ REGEX, "bounds the wrong way around", "a{3,2}", "at least 3" },
	{ REGEX, "too many times", "a{1000001}", "more than 1000000" },
	{ REGEX, "a backslash at the end", "a\\", "backslash" },
	{ REGEX, "POSIX classes", "[[:alpha:]]", "classes by name" },
	{ REGEX, "a script", "\\p{Script=Greek}", "general category" },
	{ REGEX, "a class as a range's end", "[a-\\d]", "no end of a range" },
};

static void
test_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct grammar_case *t = &cases[i];
		struct err err = { 0 };
		struct grammar *g = compile(t->lang, t->source, &err);
		bool good = g != NULL;

		if (g == NULL)
			printf("# %s\n", err.msg);
		for (int k = 0; k < 12 && g != NULL && t->yes[k] != NULL; k++)
			if (matches(g, t->yes[k]) != 1) {
				printf("# does not match: %s\n", t->yes[k]);
				good = false;
			}
		for (int k = 0; k < 12 && g != NULL && t->no[k] != NULL; k++)
			if (matches(g, t->no[k]) != 0) {
				printf("# matches: %s\n", t->no[k]);
				good = false;
			}
		ok(good, t->what);
		grammar_free(g);
	}
}

static void
test_refused(void)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct err err = { 0 };
		struct grammar *g = compile(refused[i].lang, refused[i].source, &err);
		bool good = g == NULL && strstr(err.msg, refused[i].message) != NULL;

		if (!good)
			printf("# %s\n", g != NULL ? "taken" : err.msg);
		ok(good, refused[i].what);
		grammar_free(g);
	}
}

static void
die(const struct err *err)
{
	printf("Bail out! %s\n", err->msg);
	exit(1);
}

/* ---- masks ---- */

enum { VOCAB_MOST = 1024 };

/* Tokens whose bit is not what going on by the token says. */
static int
wrong_bits(struct matcher *m, const struct token_trie *t, const uint64_t *mask)
{
	int wrong = 0;

	for (int32_t id = 0; id < t->vocab; id++) {
		struct matcher copy;
		struct err err;
		bool bit = mask[id >> 6] >> (id & 63) & 1, eos = id == t->eos[0];
		int went;

		matcher_copy(&copy, m);
		went = matcher_token(&copy, id, &err);
		if (eos)
			went |= matcher_done(m);
		if (went < 0 || bit != (went > 0)) {
			printf("# token %d: bit %d, matcher %d\n", (int)id, bit, went);
			wrong++;
		}
		matcher_end(&copy);
	}
	return wrong;
}

/* Walk at random along the mask, which must be right at each step. */
static int
wander(const struct grammar *g, const struct token_trie *t, uint64_t stream, int steps)
{
	struct err err = { 0 };
	struct constraint *c = constraint_new(g, t, &err);
	uint64_t mask[VOCAB_MOST / 64];
	struct matcher m;
	int wrong = 0;

	if (c == NULL)
		die(&err);
	matcher_start(&m, c);
	for (int i = 0; i < steps && wrong == 0; i++) {
		int32_t all[VOCAB_MOST], n = 0;
		int any = matcher_mask(&m, mask, VOCAB_MOST, &err);

		if (any < 0)
			die(&err);
		wrong += wrong_bits(&m, t, mask);
		for (int32_t id = 0; id < t->vocab; id++)
			if (id != t->eos[0] && (mask[id >> 6] >> (id & 63) & 1) != 0)
				all[n++] = id;
		wrong += any == 0 || (n == 0 && !matcher_done(&m));
		if (n == 0)
			break;
		wrong += matcher_token(&m, all[rng_below(3, stream, (uint64_t)i, (uint64_t)n)],
		    &err) != 1;
	}
	matcher_end(&m);
	constraint_free(c);
	return wrong;
}

static void
test_masks(void)
{
	struct tokenizer *tok = toytok();
	int32_t eos = tokenizer_vocab(tok) - 1;
	struct err err = { 0 };
	struct token_trie *t = token_trie_new(tok, &eos, 1, &err);
	struct grammar *g;
	int wrong = 0, cut = 0;

	if (t == NULL)
		die(&err);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if ((g = compile(cases[i].lang, cases[i].source, &err)) == NULL)
			die(&err);
		for (uint64_t k = 0; k < 3; k++) {
			int bad = wander(g, t, i * 3 + k, 40);

			if (bad > 0)
				printf("# %s\n", cases[i].what);
			wrong += bad;
		}
		grammar_free(g);
	}
	ok(wrong == 0, "masks allow the tokens that a matcher goes on by, and no others");

	/* Near the most rules in rules a mask has no short cut. */
	if ((g = grammar_gbnf(S("root ::= \"[\" (root (\",\" root)*)? \"]\" | \"a\"{0,900}"), NULL,
	    &err)) == NULL)
		die(&err);
	for (int depth = 900; depth < 1030; depth += 15) {
		struct constraint *c = constraint_new(g, t, &err);
		struct matcher m;
		uint64_t mask[VOCAB_MOST / 64];

		matcher_start(&m, c);
		for (int i = 0; i < depth; i++)
			if (matcher_bytes(&m, S("["), &err) != 1)
				cut++;
		wrong += matcher_mask(&m, mask, VOCAB_MOST, &err) != 1 || wrong_bits(&m, t, mask);
		matcher_end(&m);
		constraint_free(c);
	}
	ok(wrong == 0 && cut > 0, "there is a most of rules in rules, and masks know it");
	grammar_free(g);
	token_trie_free(t);
	tokenizer_free(tok);
}

static void
test_tokens(void)
{
	struct tokenizer *tok = toytok();
	int32_t n = tokenizer_vocab(tok), eos = n - 1, think = n - 3, end = n - 2;
	struct err err = { 0 };
	struct token_trie *t = token_trie_new(tok, &eos, 1, &err);
	struct grammar *g = grammar_gbnf(S("root ::= <think> (!</think>)* </think> [0-9]{1,3}"), tok,
	    &err);
	struct constraint *c;
	uint64_t mask[VOCAB_MOST / 64];
	struct matcher m;

	if (g == NULL || (c = constraint_new(g, t, &err)) == NULL)
		die(&err);
	matcher_start(&m, c);
	ok(matcher_mask(&m, mask, VOCAB_MOST, &err) == 1 && (mask[think >> 6] >> (think & 63) & 1) != 0 &&
	    (mask['<' >> 6] >> ('<' & 63) & 1) == 0, "a special token is one, and not its text");
	ok(matcher_token(&m, 'a', &err) == 0 && matcher_token(&m, think, &err) == 1 &&
	    matcher_token(&m, 'a', &err) == 1 && matcher_token(&m, 300, &err) == 1 &&
	    wrong_bits(&m, t, (matcher_mask(&m, mask, VOCAB_MOST, &err), mask)) == 0,
	    "any token but one");
	ok(matcher_token(&m, end, &err) == 1 && matcher_token(&m, 'a', &err) == 0 &&
	    matcher_token(&m, end, &err) == 0 && !matcher_done(&m) && matcher_token(&m, '7', &err) == 1 &&
	    matcher_done(&m) && matcher_can_go_on(&m) && matcher_bytes(&m, S("77"), &err) == 1 &&
	    !matcher_can_go_on(&m), "then text");
	matcher_end(&m);
	constraint_free(c);
	grammar_free(g);
	g = grammar_gbnf(S("root ::= <nobody>"), tok, &err);
	ok(g == NULL && strstr(err.msg, "has no token <nobody>") != NULL, "a token that is none");
	grammar_free(g);
	token_trie_free(t);
	tokenizer_free(tok);
}

/* ---- limits ---- */

static void
test_limits(void)
{
	struct buf b = { 0 };
	struct err err = { 0 };
	struct grammar *g;
	double start = progress_now();

	/* What made other parsers run out of stack. */
	buf_add(&b, S("root ::= "));
	for (int i = 0; i < 60000; i++)
		buf_byte(&b, '(');
	g = grammar_gbnf(buf_str(&b), NULL, &err);
	ok(g == NULL && strstr(err.msg, "groups in groups") != NULL, "sixty thousand groups");
	buf_reset(&b);
	for (int i = 0; i < 60000; i++)
		buf_add(&b, S("(?:"));
	g = grammar_regex(buf_str(&b), &err);
	ok(g == NULL && strstr(err.msg, "groups in groups") != NULL, "and in a pattern");
	buf_reset(&b);
	buf_add(&b, S("root ::= r1\n"));
	for (int i = 1; i < 20000; i++)
		buf_fmt(&b, "r%d ::= r%d r%d\n", i, i + 1, i + 1);
	g = grammar_gbnf(buf_str(&b), NULL, &err);
	ok(g == NULL && err.code == ERR_LIMIT, "too many rules");
	buf_reset(&b);
	for (int i = 0; i < 100000; i++)
		buf_add(&b, S("\\p{L}"));
	g = grammar_regex(buf_str(&b), &err);
	ok(g == NULL && err.code == ERR_LIMIT, "a pattern that compiles to too much");
	buf_reset(&b);
	buf_add(&b, S("root ::= r0\n"));
	for (int i = 0; i < 15000; i++)
		buf_fmt(&b, "r%d ::= r%d r%d | \"a\"\n", i, i + 1, i + 1);
	buf_add(&b, S("r15000 ::= \"a\"\n"));
	g = grammar_gbnf(buf_str(&b), NULL, &err);
	ok(g != NULL && matches(g, "aaaaaaaaaaaaaaaaaaaaaaaa") != 0, "a long chain of rules");
	grammar_free(g);
	g = grammar_gbnf(S("root ::= (\"a\" | \"a\" \"a\"){1,100000} x\n"
	    "x ::= \"a\" x \"b\" | \"a\" x \"c\" | \"d\""), NULL, &err);
	buf_reset(&b);
	for (int i = 0; i < 20000; i++)
		buf_byte(&b, 'a');
	buf_byte(&b, '\0');
	ok(g != NULL && matches(g, b.p) == -1, "too many ways to read a text are an error");
	grammar_free(g);
	buf_free(&b);
	start = progress_now() - start;
	printf("# %.2f s\n", start);
	ok(start < 20, "all of it soon");
}

/* A constraint that is full forgets what no matcher stands on. */
static void
test_collect(void)
{
	struct err err = { 0 };
	struct grammar *g = grammar_regex(S("((a|b){1,1000000}c){1,1000000}"), &err);
	struct constraint *c;
	struct matcher m, old;
	int64_t n = 0;
	bool good = true;

	if (g == NULL || (c = constraint_new(g, NULL, &err)) == NULL)
		die(&err);
	matcher_start(&m, c);
	good &= matcher_bytes(&m, S("abc"), &err) == 1;
	matcher_copy(&old, &m);
	for (; n < 1500000 && good; n++)
		good = matcher_bytes(&m, n % 1000 == 999 ? S("c") : S("b"), &err) == 1;
	if (!good)
		printf("# %lld: %s\n", (long long)n, err.msg);
	ok(good && matcher_done(&m), "a text of a million states");
	ok(matcher_done(&old) && matcher_bytes(&old, S("c"), &err) == 0 &&
	    matcher_bytes(&old, S("aac"), &err) == 1, "a matcher that waited is where it was");
	matcher_end(&m);
	matcher_end(&old);
	constraint_free(c);
	grammar_free(g);
}

int
main(void)
{
	test_cases();
	test_refused();
	test_masks();
	test_tokens();
	test_limits();
	test_collect();
	return tap_done();
}
