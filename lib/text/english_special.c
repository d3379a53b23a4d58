/*
 * The pieces that English cuts in its own way: contractions made from lists
 * of stems and endings, abbreviations that keep their full stop, times,
 * emoticons.  They are those of spaCy.
 */
#include <stdio.h>
#include <stdlib.h>

#include "text/english_impl.h"

#define CUT '\n'	/* between the words of one piece, in the lists and below */

/* Words that the rules would make into contractions. */
static const char *const not_contractions[] = {
	"Ill", "ill", "Its", "its", "Hell", "hell", "Shell", "shell", "Shed", "shed", "were",
	"Were", "Well", "well", "Whore", "whore", NULL
};

/* Each stem with each ending, and with a capital, too; the ending starts with a cut. */
static const struct {
	const char *stems, *endings;
} contractions[] = {
	{ "i", "'m m 'm\na m\na" },
	{ "i you he she it we they", "'ll ll 'll\n've ll\nve 'd d 'd\n've d\nve" },
	{ "i you we they", "'ve ve" },
	{ "you we they", "'re re" },
	{ "he she it", "'s s" },
	{ "who what when where why how there that this", "'s s" },
	{ "who what when where why how there that this these those",
	  "'ll ll 'll\n've ll\nve 'd d 'd\n've d\nve" },
	{ "who what when where why how there these those", "'re re 've ve" },
	{ "ca could do does did had may might must need ought sha should wo would",
	  "n't nt n't\n've nt\nve" },
	{ "could might must should would", "'ve ve" },
	{ "ai are is was were have has dare", "n't nt" },
	{ "not", "'ve ve" },
	{ "let", "'s" },
	{ "can", "not" },
	{ "gon", "na" },
	{ "got", "ta" },
	{ "how", "'d\n'y" },
	{ "c'm", "on" },
};

/* As they are; \n is a cut. */
static const char *const plain[] = {
	"y'\nall", "y\nall", "'em", "'ll", "'nuff", "'d", "'S", "'s", "‘S", "‘s",
	"and/or", "w/o",
	"'re", "'Cause", "'cause", "'cos", "'Cos", "'coz", "'Coz", "'cuz", "'Cuz", "'bout",
	"ma'am", "Ma'am", "o'clock", "O'clock", "lovin'", "Lovin'", "havin'", "Havin'", "doin'",
	"Doin'", "goin'", "Goin'", "nothin'", "Nothin'", "nuthin'", "Nuthin'", "ol'", "Ol'",
	"somethin'", "Somethin'",
	"Mt.", "Ak.", "Ala.", "Apr.", "Ariz.", "Ark.", "Aug.", "Calif.", "Colo.", "Conn.", "Dec.",
	"Del.", "Feb.", "Fla.", "Ga.", "Ia.", "Id.", "Ill.", "Ind.", "Jan.", "Jul.", "Jun.",
	"Kan.", "Kans.", "Ky.", "La.", "Mar.", "Mass.", "Mich.", "Minn.", "Miss.", "N.C.",
	"N.D.", "N.H.", "N.J.", "N.M.", "N.Y.", "Neb.", "Nebr.", "Nev.", "Nov.", "Oct.", "Okla.",
	"Ore.", "Pa.", "S.C.", "Sep.", "Sept.", "Tenn.", "Va.", "Wash.", "Wis.",
	"a.m.", "Adm.", "Bros.", "co.", "Co.", "Corp.", "D.C.", "Dr.", "e.g.", "E.g.", "E.G.",
	"Gen.", "Gov.", "i.e.", "I.e.", "I.E.", "Inc.", "Jr.", "Ltd.", "Md.", "Messrs.", "Mo.",
	"Mont.", "Mr.", "Mrs.", "Ms.", "p.m.", "Ph.D.", "Prof.", "Rep.", "Rev.", "Sen.", "St.",
	"vs.", "v.s.",
	"\\t", "\\n", "—", "'", "\\\")", "<space>", "''", "C++", "ä.", "ö.", "ü.",
	"°\nc\n.", "°\nf\n.", "°\nk\n.", "°\nC\n.", "°\nF\n.", "°\nK\n.",
	NULL
};

static const char emoticons[] =
    ":) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) "
    ";-) (; (-; :( :-( :(( :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| "
    "]= =[ :1 :P :-P :p :-p :O :-O :o :-o :0 :-0 :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x "
    ":D :-D ;D ;-D =D xD XD xDD XDD 8D 8-D ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V "
    "v_v V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) "
    "(-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) "
    "¯\\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>";

static uint64_t
special_hash(const char *p, ptrdiff_t n)
{
	return hash64((str){ p, n });
}

const struct special *
special_slot(const struct english *r, const char *p, ptrdiff_t n)
{
	uint64_t i = special_hash(p, n) % SPECIAL_SLOTS;

	for (; r->slot[i].n != 0; i = (i + 1) % SPECIAL_SLOTS)
		if (r->slot[i].n == n && memcmp(r->pool + r->slot[i].at, p, (size_t)n) == 0)
			return &r->slot[i];
	return NULL;
}

/* Add a piece of the lists.  A piece that is there keeps its first cuts. */
static int
add_piece(struct english *r, const char *piece, size_t len, struct err *err)
{
	char *p = r->pool + r->used;
	uint32_t cuts = 0;
	ptrdiff_t n = 0;
	uint64_t i;

	if (r->used + (ptrdiff_t)len > SPECIAL_POOL || r->n >= SPECIAL_SLOTS / 2)
		return err_set(err, ERR_LIMIT, "too many special words");
	for (size_t k = 0; k < len; k++) {
		if (piece[k] == CUT)
			cuts |= (uint32_t)1 << (n - 1);
		else
			p[n++] = piece[k];
	}
	if (n > SPECIAL_MAX)
		return err_set(err, ERR_LIMIT, "special word '%s' is too long", piece);
	cuts |= (uint32_t)1 << (n - 1);
	if (special_slot(r, p, n) != NULL)
		return 0;
	for (int k = 0; not_contractions[k] != NULL; k++)
		if (str_eq((str){ p, n }, str_of(not_contractions[k])))
			return 0;
	i = special_hash(p, n) % SPECIAL_SLOTS;
	while (r->slot[i].n != 0)
		i = (i + 1) % SPECIAL_SLOTS;
	r->slot[i] = (struct special){ (uint16_t)r->used, (uint8_t)n, cuts, 0 };
	r->bloom[special_bit(p, n) / 64] |= (uint64_t)1 << special_bit(p, n) % 64;
	r->used += (int)n;
	r->n++;
	return 0;
}

/* Add it with ', and with U+2019 in its place. */
static int
add(struct english *r, const char *piece, size_t len, struct err *err)
{
	char curly[3 * SPECIAL_MAX];
	size_t n = 0;

	if (add_piece(r, piece, len, err) < 0)
		return -1;
	if (memchr(piece, '\'', len) == NULL)
		return 0;
	for (size_t i = 0; i < len && n + 3 < sizeof(curly); i++) {
		if (piece[i] == '\'')
			n += (size_t)utf8_put(curly + n, 0x2019);
		else
			curly[n++] = piece[i];
	}
	return add_piece(r, curly, n, err);
}

static int
add_contractions(struct english *r, const char *stems, const char *endings, struct err *err)
{
	str rest = str_of(stems);

	while (rest.p != NULL) {
		str stem = str_cut(&rest, ' '), ends = str_of(endings);

		while (ends.p != NULL) {
			str ending = str_cut(&ends, ' ');
			char piece[64];
			int n = snprintf(piece, sizeof(piece), "%.*s%c%.*s", STR_ARG(stem), CUT,
			    STR_ARG(ending));

			if (add(r, piece, (size_t)n, err) < 0)
				return -1;
			piece[0] = (char)(piece[0] - 'a' + 'A');
			if (add(r, piece, (size_t)n, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int
add_times(struct english *r, struct err *err)
{
	static const char *const half[] = { "a.m.", "am", "p.m.", "pm" };
	char piece[16];

	for (int hour = 1; hour <= 12; hour++)
		for (int i = 0; i < 4; i++) {
			int n = snprintf(piece, sizeof(piece), "%d%c%s", hour, CUT, half[i]);

			if (add(r, piece, (size_t)n, err) < 0)
				return -1;
		}
	for (char c = 'a'; c <= 'z'; c++) {
		piece[0] = c;
		piece[1] = '.';
		if (add(r, piece, 2, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * A special whose plain cuts make several words is put together again where
 * those words stand side by side inside a longer piece ("Mr.Smith", "ok:)").
 */
static int
find_plain_cuts(struct english *r, struct err *err)
{
	struct english_words w = { 0 };
	int ret = 0;

	for (int i = 0; i < SPECIAL_SLOTS && ret == 0; i++) {
		struct special *s = &r->slot[i];
		const char *p = r->pool + s->at;
		struct english_piece x = { .p = p, .end = p + s->n };

		if (s->n == 0)
			continue;
		w.n = 0;
		w.limit = x.end;
		if (english_piece(NULL, p, &x, &w) < 0) {
			ret = err_set(err, ERR_NOMEM, "out of memory");
			break;
		}
		if (w.n < 2)
			continue;
		for (ptrdiff_t k = 0; k < w.n; k++)
			s->plain |= (uint32_t)1 << (w.word[k].at + w.word[k].bytes - 1);
		r->joined[(unsigned char)p[0]] |= (uint32_t)1 << s->n;
	}
	english_words_free(&w);
	return ret;
}

int
english_specials(struct english *r, struct err *err)
{
	str faces = str_of(emoticons);

	for (size_t i = 0; i < sizeof(contractions) / sizeof(contractions[0]); i++)
		if (add_contractions(r, contractions[i].stems, contractions[i].endings, err) < 0)
			return -1;
	for (int i = 0; plain[i] != NULL; i++)
		if (add(r, plain[i], strlen(plain[i]), err) < 0)
			return -1;
	if (add_times(r, err) < 0)
		return -1;
	while (faces.p != NULL) {
		str face = str_cut(&faces, ' ');

		if (add(r, face.p, (size_t)face.n, err) < 0)
			return -1;
	}
	return find_plain_cuts(r, err);
}
