#include "text/files_impl.h"
#include "text/warc.h"

/* A tar without "ustar" in it is known by the sum over its header alone. */
static bool
is_tar(str s)
{
	long sum = 0, want = 0;
	int digits = 0;

	if (s.n < 512)
		return false;
	if (memcmp(s.p + 257, "ustar", 5) == 0)
		return true;
	for (int i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : (uint8_t)s.p[i];
	for (int i = 148; i < 156; i++) {
		if (s.p[i] >= '0' && s.p[i] <= '7') {
			want = want * 8 + s.p[i] - '0';
			digits++;
		} else if (digits > 0) {
			break;
		} else if (s.p[i] != ' ') {
			return false;
		}
	}
	return digits > 3 && sum == want;
}

enum container
container_of(str s)
{
	static const struct {
		str	magic;
		enum container kind;
	} list[] = {
		{ { "PK\3\4", 4 }, CONTAINER_ARCHIVE }, { { "PK\5\6", 4 }, CONTAINER_ARCHIVE },
		{ { "070701", 6 }, CONTAINER_ARCHIVE }, { { "070702", 6 }, CONTAINER_ARCHIVE },
		{ { "070707", 6 }, CONTAINER_ARCHIVE }, { { "!<arch>\n", 8 }, CONTAINER_ARCHIVE },
		{ { "7z\274\257\47\34", 6 }, CONTAINER_7Z },
		{ { "\37\213\10", 3 }, CONTAINER_PACKED }, { { "BZh", 3 }, CONTAINER_PACKED },
		{ { "\3757zXZ\0", 6 }, CONTAINER_PACKED },
		{ { "\50\265\57\375", 4 }, CONTAINER_PACKED },
		{ { "\4\"M\30", 4 }, CONTAINER_PACKED }, { { "LZIP", 4 }, CONTAINER_PACKED },
		{ { "\135\0\0", 3 }, CONTAINER_PACKED }, { { "\37\235", 2 }, CONTAINER_PACKED },
	};

	if (warc_is(s))
		return CONTAINER_WARC;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (str_starts(s, list[i].magic)) {
			/* "BZh" and "LZIP" may begin a sentence. */
			if (list[i].magic.p[0] == 'B' &&
			    (s.n < 10 || memcmp(s.p + 4, "1AY&SY", 6) != 0) &&
			    (s.n < 10 || memcmp(s.p + 4, "\27\162\105\70\120\220", 6) != 0))
				continue;
			if (list[i].magic.p[0] == 'L' && (s.n < 5 || (uint8_t)s.p[4] > 1))
				continue;
			return list[i].kind;
		}
	return is_tar(s) ? CONTAINER_ARCHIVE : CONTAINER_NONE;
}

void
label_add(struct buf *label, str path)
{
	char sep = '!';

	while (path.p != NULL) {
		str part = str_cut(&path, '/');

		if (part.n == 0 || str_eq(part, S(".")) || str_eq(part, S("..")))
			continue;
		buf_byte(label, sep);
		buf_add(label, part);
		sep = '/';
	}
	if (sep == '!')
		buf_add(label, S("!?"));
}

void
label_name(struct buf *name, str label)
{
	static const char *const suffix[] = {
		".gz", ".bz2", ".xz", ".zst", ".lz4", ".lz", ".lzma", ".Z",
	};
	ptrdiff_t at = label.n;

	while (at > 0 && label.p[at - 1] != '/' && label.p[at - 1] != '!')
		at--;
	label = (str){ label.p + at, label.n - at };
	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		str end = str_of(suffix[i]);

		if (label.n > end.n && str_ends(label, end)) {
			label.n -= end.n;
			break;
		}
	}
	buf_reset(name);
	buf_add(name, label);
}
