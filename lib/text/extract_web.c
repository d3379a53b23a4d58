#include "text/extract_impl.h"


/* As what the payload is read; false: as nothing. */
static bool
type_kind(str type, bool conversion, str body, enum kind *kind)
{
	str head = { body.p, body.n < FILES_HEAD ? body.n : FILES_HEAD };

	if (str_like(type, "text/html") || str_like(type, "application/xhtml+xml"))
		*kind = KIND_HTML;
	else if (str_like(type, "application/pdf"))
		*kind = KIND_PDF;
	else if (conversion && (type.n == 0 || str_like(type, "text/plain")))
		*kind = KIND_TEXT;
	else if (type.n == 0 || str_like(type, "application/octet-stream") ||
	    str_like(type, "unknown/unknown") || str_like(type, "no-type"))
		*kind = kind_of(S(""), head, S("text"));
	else
		return false;
	return *kind == KIND_HTML || *kind == KIND_PDF || (conversion && *kind == KIND_TEXT);
}

int
web_payload(struct item *it, struct member *m, int64_t limit, str *body, str *charset,
    struct err *err)
{
	struct http h = { .status = 200, .body = buf_str(&it->bytes) };
	str type;

	if (it->http && http_response(buf_str(&it->bytes), limit, &m->chunks, &m->inflated, &h,
	    err) < 0)
		return -1;
	http_type(buf_str(&it->type), &type, charset);
	if (type.n == 0)
		type = h.type;
	if (charset->n == 0)
		*charset = h.charset;
	*body = h.body;
	if (h.status < 200 || h.status > 299)
		it->outcome = OUTCOME_STATUS;
	else if (!type_kind(type, it->conversion, h.body, &it->kind))
		it->outcome = OUTCOME_TYPE;
	else if (h.body.n == 0)
		it->outcome = OUTCOME_EMPTY;
	return it->outcome == OUTCOME_NONE;
}
