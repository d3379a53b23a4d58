#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
value_of(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 :
	    c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
base64_decode(struct buf *out, str text, struct err *err)
{
	char *to = buf_room(out, text.n / 4 * 3 + 3);
	uint32_t bits = 0;
	ptrdiff_t n = text.n;

	for (int i = 0; i < 2 && n > 0 && text.n % 4 == 0 && text.p[n - 1] == '='; i++)
		n--;
	if (n % 4 == 1)
		return err_set(err, ERR_FORMAT, "Base64 that is cut short");
	if (to == NULL)
		return buf_ok(out, err);
	for (ptrdiff_t i = 0; i < n; i++) {
		int v = value_of(text.p[i]);

		if (v < 0)
			return err_set(err, ERR_FORMAT, "byte %td is no Base64", i);
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 == 0)
			continue;
		*to++ = (char)(bits >> (6 - i % 4 * 2));
		out->n++;
	}
	return 0;
}

void
base64_encode(struct buf *out, str bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.p;

	for (ptrdiff_t i = 0; i < bytes.n; i += 3) {
		ptrdiff_t n = bytes.n - i < 3 ? bytes.n - i : 3;
		uint32_t bits = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
		    (n > 2 ? p[i + 2] : 0);

		for (int k = 0; k < 4; k++)
			buf_byte(out, k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=');
	}
}
