/*
 * words - the words of JSON strings, a line each, for tests/real/1000-datatrove.py
 *
 * Answers each line at once with {"words":[...],"sentences":n}.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "text/english.h"

int
main(void)
{
	struct err err = { 0 };
	struct english *english = english_new(&err);
	struct english_words words = { 0 };
	struct buf text = { 0 }, out = { 0 };
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while (english != NULL && (n = getline(&line, &size, stdin)) > 0) {
		int64_t sentences;
		str s;

		if (json_text((str){ line, n - 1 }, &text, &s, &err) < 0 ||
		    (sentences = english_sentences(english, s, INT64_MAX, &words, &err)) < 0 ||
		    english_split(english, s, &words, &err) < 0)
			break;
		buf_reset(&out);
		buf_add(&out, S("{\"words\":["));
		for (ptrdiff_t i = 0; i < words.n; i++) {
			if (i > 0)
				buf_byte(&out, ',');
			json_quote(&out, (str){ s.p + words.word[i].at, words.word[i].bytes });
		}
		buf_fmt(&out, "],\"sentences\":%" PRId64 "}\n", sentences);
		if (out.failed || fwrite(out.p, 1, (size_t)out.n, stdout) != (size_t)out.n ||
		    fflush(stdout) != 0)
			return 2;
	}
	if (err.code != ERR_NONE)
		fprintf(stderr, "words: %s\n", err.msg);
	english_words_free(&words);
	english_free(english);
	buf_free(&text);
	buf_free(&out);
	free(line);
	return err.code != ERR_NONE ? 2 : 0;
}
