#include "bad.h"

#include <stdio.h>
#include <stdlib.h>

#include "answer.h"

/*
 * may: statuses that are good answers; '-' that it may close without one, '~' that it may
 * wait for more.  API: the error has to be OpenAI's object.
 */
enum what { BODY, CHAT, RAW, MADE };

struct bad {
	const char	*name;
	enum what	 what;
	const char	*bytes;
	ptrdiff_t	 n;
	const char	*may;
	void		(*make)(struct buf *b, const char *host);
	bool		 shut;
};

#define B(s) s, (ptrdiff_t)sizeof(s) - 1
#define HOST "Host: 127.0.0.1\r\n"
#define POST "POST /v1/completions HTTP/1.1\r\n" HOST
#define TYPE "Content-Type: application/json\r\n"

static void
repeat(struct buf *b, str s, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		buf_add(b, s);
}

static void
post(struct buf *b, const char *host, const struct buf *body)
{
	buf_fmt(b, "POST /v1/completions HTTP/1.1\r\nHost: %s\r\n" TYPE "Content-Length: %td\r\n\r\n",
	    host, body->n);
	buf_add(b, buf_str(body));
}

static void
nest(struct buf *b, const char *host, str before, str open, str close, str after, int64_t n)
{
	struct buf body = { 0 };

	buf_add(&body, before);
	repeat(&body, open, n);
	repeat(&body, close, n);
	buf_add(&body, after);
	post(b, host, &body);
	buf_free(&body);
}

static void
deep_arrays(struct buf *b, const char *host)
{
	nest(b, host, S("{\"prompt\":"), S("["), S("]"), S("}"), 10000);
}

static void
deep_objects(struct buf *b, const char *host)
{
	nest(b, host, S("{\"prompt\":\"a\",\"x\":"), S("{\"a\":"), S(""), S("1}"), 10000);
}

static void
deep_open(struct buf *b, const char *host)
{
	nest(b, host, S(""), S("["), S(""), S(""), 100000);
}

static void
many_keys(struct buf *b, const char *host)
{
	nest(b, host, S("{\"max_tokens\":1,"), S("\"logit_bias\":{\"1\":1},"), S(""),
	    S("\"prompt\":7}"), 20000);
}

static void
long_prompt(struct buf *b, const char *host)
{
	nest(b, host, S("{\"max_tokens\":1,\"prompt\":\""), S("once upon a time "), S(""), S("\"}"),
	    60000);
}

static void
large_body(struct buf *b, const char *host)
{
	struct buf body = { 0 };

	repeat(&body, S("0123456789abcdef0123456789abcdef"), 17 << 15);
	post(b, host, &body);
	buf_free(&body);
}

static void
large_chunks(struct buf *b, const char *host)
{
	struct buf chunk = { 0 };

	buf_fmt(b, "POST /v1/completions HTTP/1.1\r\nHost: %s\r\n" TYPE
	    "Transfer-Encoding: chunked\r\n\r\n", host);
	repeat(&chunk, S("0123456789abcdef"), 4096);
	for (int i = 0; i < 17 * 16; i++) {
		buf_fmt(b, "%tx\r\n", chunk.n);
		buf_add(b, buf_str(&chunk));
		buf_add(b, S("\r\n"));
	}
	buf_add(b, S("0\r\n\r\n"));
	buf_free(&chunk);
}

static void
many_headers(struct buf *b, const char *host)
{
	buf_fmt(b, "GET /health HTTP/1.1\r\nHost: %s\r\n", host);
	for (int i = 0; i < 2000; i++)
		buf_fmt(b, "X-Header-%d: 0123456789abcdef0123456789abcdef\r\n", i);
	buf_add(b, S("\r\n"));
}

static void
long_header(struct buf *b, const char *host)
{
	buf_fmt(b, "GET /health HTTP/1.1\r\nHost: %s\r\nX: ", host);
	repeat(b, S("0123456789abcdef"), 65536);
	buf_add(b, S("\r\n\r\n"));
}

static void
long_url(struct buf *b, const char *host)
{
	buf_add(b, S("GET /"));
	repeat(b, S("0123456789abcdef"), 8192);
	buf_fmt(b, " HTTP/1.1\r\nHost: %s\r\n\r\n", host);
}

static const struct bad bad[] = {
	/* JSON that is none, or not the object that is wanted. */
	{ "empty body", BODY, B(""), "400" },
	{ "cut JSON", BODY, B("{\"prompt\":\"a\""), "400" },
	{ "no JSON", BODY, B("once upon a time"), "400" },
	{ "an array", BODY, B("[]"), "400" },
	{ "a string", BODY, B("\"prompt\""), "400" },
	{ "null", BODY, B("null"), "400" },
	{ "two objects", BODY, B("{\"prompt\":\"a\"}{\"prompt\":\"b\"}"), "400" },
	{ "a comma too many", BODY, B("{\"prompt\":\"a\",}"), "400" },
	{ "single quotes", BODY, B("{'prompt':'a'}"), "400" },
	{ "a byte order mark alone", BODY, B("\xef\xbb\xbf"), "400" },
	{ "not UTF-8", BODY, B("{\"prompt\":\"a\xff\xfe z\"}"), "400" },
	{ "overlong UTF-8", BODY, B("{\"prompt\":\"a\xc0\x80z\"}"), "400" },
	{ "a surrogate in UTF-8", BODY, B("{\"prompt\":\"a\xed\xa0\x80z\"}"), "400" },
	{ "cut UTF-8", BODY, B("{\"prompt\":\"a\xe4\xb8\"}"), "400" },
	{ "a NUL byte", BODY, B("{\"prompt\":\"a\0b\"}"), "400" },
	{ "a lone surrogate", BODY, B("{\"prompt\":\"\\ud800\",\"max_tokens\":1}"), "400 200" },
	{ "an escaped NUL", BODY, B("{\"prompt\":\"a\\u0000b\",\"max_tokens\":1}"), "400 200" },
	{ "a bad escape", BODY, B("{\"prompt\":\"\\x41\"}"), "400" },
	{ "10,000 arrays", MADE, .make = deep_arrays, .may = "400" },
	{ "10,000 objects", MADE, .make = deep_objects, .may = "400" },
	{ "100,000 brackets", MADE, .make = deep_open, .may = "400" },
	{ "20,000 keys", MADE, .make = many_keys, .may = "400" },
	/* Types and numbers. */
	{ "prompt: true", BODY, B("{\"prompt\":true}"), "400" },
	{ "prompt: 5", BODY, B("{\"prompt\":5}"), "400" },
	{ "prompt: an object", BODY, B("{\"prompt\":{}}"), "400" },
	{ "prompt: mixed", BODY, B("{\"prompt\":[1,\"a\",null]}"), "400" },
	{ "a token beyond all", BODY, B("{\"prompt\":[1,999999999]}"), "400" },
	{ "a negative token", BODY, B("{\"prompt\":[-1]}"), "400" },
	{ "a token of 1e300", BODY, B("{\"prompt\":[1e300]}"), "400" },
	{ "max_tokens: a string", BODY, B("{\"prompt\":\"a\",\"max_tokens\":\"many\"}"), "400" },
	{ "max_tokens: negative", BODY, B("{\"prompt\":\"a\",\"max_tokens\":-5}"), "400" },
	{ "max_tokens: 1e400", BODY, B("{\"prompt\":\"a\",\"max_tokens\":1e400}"), "400" },
	{ "max_tokens: 30 digits", BODY,
	  B("{\"prompt\":\"a\",\"max_tokens\":999999999999999999999999999999}"), "400" },
	{ "max_tokens: 1.5", BODY, B("{\"prompt\":\"a\",\"max_tokens\":1.5}"), "400" },
	{ "temperature: a string", BODY, B("{\"prompt\":\"a\",\"temperature\":\"hot\"}"), "400" },
	{ "temperature: -1", BODY, B("{\"prompt\":\"a\",\"temperature\":-1}"), "400" },
	{ "temperature: 1e999", BODY, B("{\"prompt\":\"a\",\"temperature\":1e999}"), "400" },
	{ "temperature: NaN", BODY, B("{\"prompt\":\"a\",\"temperature\":NaN}"), "400" },
	{ "top_p: an array", BODY, B("{\"prompt\":\"a\",\"top_p\":[1]}"), "400" },
	{ "n: a billion", BODY, B("{\"prompt\":\"a\",\"n\":1000000000}"), "400" },
	{ "n: 0", BODY, B("{\"prompt\":\"a\",\"n\":0}"), "400" },
	{ "stream: a string", BODY, B("{\"prompt\":\"a\",\"stream\":\"yes\"}"), "400" },
	{ "seed: a string", BODY, B("{\"prompt\":\"a\",\"seed\":\"x\"}"), "400" },
	{ "stop: an object", BODY, B("{\"prompt\":\"a\",\"stop\":{}}"), "400" },
	{ "logit_bias: a number", BODY, B("{\"prompt\":\"a\",\"logit_bias\":7}"), "400" },
	{ "logprobs: a billion", BODY, B("{\"prompt\":\"a\",\"logprobs\":1000000000}"), "400" },
	{ "a pattern that is none", BODY,
	  B("{\"prompt\":\"a\",\"structured_outputs\":{\"regex\":\"((((\"}}"), "400" },
	{ "model: a number", BODY, B("{\"prompt\":\"a\",\"model\":7}"), "400" },
	{ "no such model", BODY, B("{\"prompt\":\"a\",\"model\":\"\\u0000../../etc/passwd\"}"),
	  "404 400" },
	{ "no prompt", BODY, B("{\"max_tokens\":1}"), "400" },
	{ "no messages", CHAT, B("{\"max_tokens\":1}"), "400" },
	{ "messages: a string", CHAT, B("{\"messages\":\"hi\"}"), "400" },
	{ "messages: none", CHAT, B("{\"messages\":[]}"), "400" },
	{ "messages: numbers", CHAT, B("{\"messages\":[5]}"), "400" },
	{ "a role that is a number", CHAT, B("{\"messages\":[{\"role\":5,\"content\":\"a\"}]}"), "400" },
	{ "a message without a role", CHAT, B("{\"messages\":[{\"content\":\"a\"}]}"), "400" },
	{ "content: an object", CHAT, B("{\"messages\":[{\"role\":\"user\",\"content\":{}}]}"), "400" },
	{ "a prompt beyond the context", MADE, .make = long_prompt, .may = "400 413" },
	/* Sizes. */
	{ "17 MiB", MADE, .make = large_body, .may = "413 400 -" },
	{ "17 MiB in chunks", MADE, .make = large_chunks, .may = "413 400 -" },
	{ "a terabyte to come", RAW, B(POST TYPE "Content-Length: 1099511627776\r\n\r\n{"), "413 400 -" },
	{ "2,000 headers", MADE, .make = many_headers, .may = "431 413 400 -" },
	{ "a header of 1 MiB", MADE, .make = long_header, .may = "431 413 400 -" },
	{ "a path of 128 KiB", MADE, .make = long_url, .may = "414 431 413 400 404 -" },
	/* Routes and methods. */
	{ "no such path", RAW, B("GET /nothing HTTP/1.1\r\n" HOST "\r\n"), "404" },
	{ "no such path to post to", RAW,
	  B("POST /v1/nothing HTTP/1.1\r\n" HOST TYPE "Content-Length: 2\r\n\r\n{}"), "404" },
	{ "a way up", RAW, B("GET /../../../etc/passwd HTTP/1.1\r\n" HOST "\r\n"), "404 400" },
	{ "an escaped path", RAW, B("GET /%2e%2e/%00/%ff HTTP/1.1\r\n" HOST "\r\n"), "404 400" },
	{ "GET for POST", RAW, B("GET /v1/completions HTTP/1.1\r\n" HOST "\r\n"), "405 404" },
	{ "DELETE", RAW, B("DELETE /v1/completions HTTP/1.1\r\n" HOST "\r\n"), "405 404" },
	{ "a method of its own", RAW, B("BREW /v1/completions HTTP/1.1\r\n" HOST "\r\n"),
	  "405 404 400 501 -" },
	{ "POST for GET", RAW, B("POST /health HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}"), "405 404" },
	{ "OPTIONS *", RAW, B("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "200 204 400 403 404 405" },
	{ "CONNECT", RAW, B("CONNECT example.org:443 HTTP/1.1\r\n" HOST "\r\n"),
	  "400 404 405 403 501 -" },
	{ "a whole URL", RAW, B("GET http://127.0.0.1/health HTTP/1.1\r\n" HOST "\r\n"),
	  "200 400 403 404" },
	/* Lengths and chunks. */
	{ "a length of letters", RAW, B(POST TYPE "Content-Length: abc\r\n\r\n{}"), "400 -" },
	{ "a negative length", RAW, B(POST TYPE "Content-Length: -5\r\n\r\n{}"), "400 -" },
	{ "a length of 25 digits", RAW,
	  B(POST TYPE "Content-Length: 9999999999999999999999999\r\n\r\n{}"), "400 413 -" },
	{ "two lengths", RAW,
	  B(POST TYPE "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}"), "400 - ~" },
	{ "a length and chunks", RAW, B(POST TYPE "Content-Length: 4\r\n"
	  "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), "400 -" },
	{ "a length that is too short", RAW, B(POST TYPE "Content-Length: 5\r\n\r\n{\"prompt\":\"a\"}"),
	  "400" },
	{ "a length that is too long", RAW,
	  B(POST TYPE "Content-Length: 500\r\n\r\n{\"prompt\":\"a\"}"), "400 408 - ~", .shut = true },
	{ "no length", RAW, B(POST TYPE "\r\n{\"prompt\":\"a\"}"), "400 411" },
	{ "chunks that are none", RAW,
	  B(POST TYPE "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"), "400 -" },
	{ "a chunk of 2^72", RAW,
	  B(POST TYPE "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}"), "400 413 -" },
	{ "a negative chunk", RAW,
	  B(POST TYPE "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n"), "400 -" },
	{ "a chunk longer than said", RAW,
	  B(POST TYPE "Transfer-Encoding: chunked\r\n\r\n2\r\n{\"prompt\":\"a\"}\r\n0\r\n\r\n"), "400 -" },
	{ "chunks without an end", RAW,
	  B(POST TYPE "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "400 408 - ~", .shut = true },
	{ "another encoding", RAW,
	  B(POST TYPE "Transfer-Encoding: gzip\r\n\r\n\x1f\x8b"), "400 501 - ~", .shut = true },
	{ "a compressed body", RAW, B(POST TYPE "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
	  "\x1f\x8b\x08\xff"), "400 415" },
	/* What is hardly HTTP. */
	{ "HTTP/2", RAW, B("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "400 404 405 505 -" },
	{ "HTTP/9.9", RAW, B("GET /health HTTP/9.9\r\n" HOST "\r\n"), "400 505 200 -" },
	{ "HTTP/0.9", RAW, B("GET /health\r\n\r\n"), "400 200 403 505 - ~", .shut = true },
	{ "TLS", RAW, B("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), "400 - ~", .shut = true },
	{ "a NUL in a header", RAW, B("GET /health HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"), "400 200 -" },
	{ "a header without a colon", RAW, B("GET /health HTTP/1.1\r\n" HOST "nothing\r\n\r\n"),
	  "400 -" },
	{ "a blank before the colon", RAW,
	  B(POST TYPE "Content-Length : 2\r\n\r\n{}"), "400 -" },
	{ "no host", RAW, B("GET /health HTTP/1.1\r\n\r\n"), "400 403" },
	{ "two hosts", RAW, B("GET /health HTTP/1.1\r\n" HOST "Host: example.org\r\n\r\n"), "400 403" },
	{ "bytes", RAW, B("\x00\xff\x80\n\n\r\r\n\x01\x02\x03 \xfe\r\n\r\n"), "400 - ~", .shut = true },
	{ "empty lines", RAW, B("\r\n\r\n\r\n\r\n"), "400 408 - ~", .shut = true },
	{ "a wait for 100", RAW, B(POST TYPE "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"),
	  "400 417" },
};

int
bad_count(void)
{
	return (int)(sizeof(bad) / sizeof(*bad));
}

const char *
bad_name(int which)
{
	return bad[which].name;
}

void
bad_make(int which, struct exchange *e, const char *host, bool chat)
{
	const struct bad *m = &bad[which];

	exchange_init(e);
	e->fresh = true;
	e->more = true;
	e->shut = m->shut;
	if (strchr(m->may, '~') != NULL)
		e->patience = 2;
	switch (m->what) {
	case MADE:
		m->make(&e->request, host);
		break;
	case RAW:
		buf_add(&e->request, (str){ m->bytes, m->n });
		break;
	default:
		e->fresh = false;
		e->more = false;
		buf_fmt(&e->request, "POST /v1/%s HTTP/1.1\r\nHost: %s\r\n" TYPE
		    "Content-Length: %td\r\n\r\n", m->what == CHAT && chat ? "chat/completions" :
		    "completions", host, m->n);
		buf_add(&e->request, (str){ m->bytes, m->n });
	}
}

int
bad_check(int which, const struct exchange *e, struct err *err)
{
	const struct bad *m = &bad[which];
	char code[16];

	switch (e->end) {
	case END_CLOSED:
		if (strchr(m->may, '-') == NULL)
			return err_set(err, ERR_FORMAT, "closed without an answer");
		return 0;
	case END_LATE:
		if (strchr(m->may, '~') == NULL)
			return err_set(err, ERR_FORMAT, "no answer in %g s", e->patience);
		return 0;
	case END_ANSWERED:
		break;
	case END_BROKEN:
		return err_set(err, ERR_FORMAT, "%s", e->why);
	default:
		return err_set(err, ERR_FORMAT, "no connection");
	}
	snprintf(code, sizeof(code), "%d", e->status);
	if (strstr(m->may, code) == NULL)
		return err_set(err, ERR_FORMAT, "status %d, not %s", e->status, m->may);
	if (m->what != RAW && e->status >= 400 && e->status != 431 && e->status != 414)
		return answer_error(e, err);
	return 0;
}
