#include <stdlib.h>
#include <string.h>

#include "base/blake2.h"
#include "text/pii.h"

#include "../clock.h"
#include "../tap.h"

static struct err err;

/* "kind value|kind value" of a text. */
static void
found(struct buf *b, const struct pii_rules *rules, str text)
{
	struct pii_scan scan = { .rules = rules };
	struct pii_span s;

	buf_reset(b);
	while (pii_next(&scan, text, false, &s) > 0)
		buf_fmt(b, "%s%s %.*s", b->n > 0 ? "|" : "", pii_kinds[s.kind].name,
		    (int)(s.end - s.start), text.p + s.start);
	buf_byte(b, '\0');
}

struct a_case {
	const char	*text, *want;
};

static void
test_cases(const char *what, const struct a_case *c, size_t n, bool local)
{
	const struct pii_rules rules = { .kinds = ~0u, .local = local };
	struct buf b = { 0 };
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		found(&b, &rules, str_of(c[i].text));
		if (strcmp(b.p, c[i].want) != 0) {
			printf("# %s\n#   found %s\n#   not   %s\n", c[i].text, b.p, c[i].want);
			bad++;
		}
	}
	ok(bad == 0, what);
	buf_free(&b);
}

#define CASES(what, table) test_cases((what), (table), sizeof(table) / sizeof((table)[0]), false)

static const struct a_case emails[] = {
	{ "Write to jane.doe+x@mail.acme.co.uk.", "email jane.doe+x@mail.acme.co.uk" },
	{ "<o'neil@acme.com>, \"a_b@acme.com\"", "email o'neil@acme.com|email a_b@acme.com" },
	{ "'jane@acme.com'", "email jane@acme.com" },
	{ "联系人：jane@acme.com。邮箱jane@acme.com是", "email jane@acme.com|email jane@acme.com" },
	{ "andré@acme.fr, ivan@почта.рф", "email andré@acme.fr|email ivan@почта.рф" },
	{ "«jane@acme.com»…", "email jane@acme.com" },
	{ "x=jane@acme.com&y", "email jane@acme.com" },
	{ "printf(\"%s\\njane@acme.com\\n\")", "email jane@acme.com" },
	{ "It is jane@acme.com.Then more", "email jane@acme.com" },
	{ "jane [at] acme [dot] com, joe(at)acme.com", "email jane [at] acme [dot] com|email joe(at)acme.com" },
	{ "jane@acme.com", "email jane@acme.com" },
	{ "jane@acme.com,joe@acme.com", "email jane@acme.com|email joe@acme.com" },
	{ "5551234567@vtext.com", "email 5551234567@vtext.com" },
	{ "j@x.xn--p1ai", "email j@x.xn--p1ai" },
};

static const struct a_case no_emails[] = {
	{ "junk 6H@FO.LwfT of a binary", "" },		/* scancode-toolkit #2810 */
	{ "getty@tty1.service logo@2x.png zip -i@include.lst", "" },
	{ "@types/node react@18.2.0 @babel/core@7.12.3", "" },
	{ "git clone git@github.com:debian/apt.git", "" },
	{ "ssh://git@github.com/x and https://medium.com/@jane.doe", "" },
	{ "@Override @user.name root@server a@b", "" },
	{ "Message-ID: <20240101.GA12@mail.acme.com>", "" },
	{ "obj@host.method(x) a@@b.com a@b.com@c", "" },
	{ "x@.com x@acme..com @acme.com x@-a.com", "" },
	{ "look [at] this", "" },
};

static const struct a_case phones[] = {
	/* scrubadub #8 */
	{ "I can be reached at 312.714.8142 (cell) or 773.415.7432 (office)",
	    "phone 312.714.8142|phone 773.415.7432" },
	{ "(415) 867-5309, 415-867-5309, 1-415-867-5309",
	    "phone (415) 867-5309|phone 415-867-5309|phone 1-415-867-5309" },
	{ "+1 (415) 867-5309 x12", "phone +1 (415) 867-5309" },
	{ "+44 (0)20 7946 1234; +442079461234", "phone +44 (0)20 7946 1234|phone +442079461234" },
	{ "+33 1 42 68 53 00, 06.12.34.56.78", "phone +33 1 42 68 53 00|phone 06.12.34.56.78" },
	{ "Tel.: 030/1234567", "phone 030/1234567" },
	{ "020 7183 8750", "phone 020 7183 8750" },
	{ "phone 4158675309", "phone 4158675309" },
	{ "call me at 415 867 5309", "phone 415 867 5309" },
	{ "555-1234 is none, but my phone number 867-5309 is", "phone 867-5309" },
	{ "tel:+1-201-867-5309", "phone +1-201-867-5309" },
	{ "{\"phone_number\":\"4158675309\"}", "phone 4158675309" },
	{ "telefon: 0171\xc2\xa0" "1234567", "phone 0171\xc2\xa0" "1234567" },
	{ "415\xe2\x80\x91" "867\xe2\x80\x91" "5309", "phone 415\xe2\x80\x91" "867\xe2\x80\x91" "5309" },
	{ "call (415) 867-5309 2024", "phone (415) 867-5309" },
	{ "0049 30 1234567", "phone 0049 30 1234567" },
	{ "((+49) 30 1234567), (+1 415 867 5309)", "phone (+49) 30 1234567|phone +1 415 867 5309" },
};

static const struct a_case no_phones[] = {
	{ "110bcd25-a55d-453a-8046-1297901ea002", "" },		/* presidio #71 */
	{ "hosted-eu-20260812-09", "" },			/* langwatch #7017 */
	{ "v20260806T005029733Z-38da4c", "" },			/* gamedev.pl #626 */
	{ "648092d7e36bc302d981e58c842829b6b4b8029f", "" },
	{ "stamp 20260727202423", "" },				/* gstack #2428 */
	{ "--post-at 1747731000 and created_at 1755302400", "" },	/* cli-printing-press #1149 */
	{ "{\"product_id\": 3074185296}", "" },			/* llmgateway #3641 */
	{ "UPC 0190074442, at 106.0512973", "" },		/* cli-printing-press #1405 */
	{ "serial 2019012629 refresh 604800", "" },		/* #3173 */
	{ "latencies 250 300 1000", "" },			/* latitude-llm #4318 */
	{ "id 402-118-2260", "" },
	{ "order number 10023456, build 2024 1130 0917", "" },	/* langflow #14934 */
	{ "in 2024, $4500, port 8080", "" },			/* Soter #874 */
	{ "192.168.0.1 and 2024-07-28", "" },
	{ "Part no. 415-867-5309, ISBN 0-19-853453-1", "" },
	{ "call the function with 100 200 3000", "" },
	{ "1,234,567,890 bytes, 12:34:56.789012", "" },
	{ "<Buffer 01 02 03 04 05 06>, phone", "" },
	{ "Mobile, Inc 2017-2022", "" },
	{ "+40.7128, -74.0060", "" },
	{ "#4158675309 x415-867-5309 415-867-5309a", "" },
};

static const struct a_case addresses[] = {
	{ "from 81.2.69.142 port 22", "ipv4 81.2.69.142" },
	{ "http://81.2.69.142:80/ 81.2.69.0/24", "ipv4 81.2.69.142|ipv4 81.2.69.0" },
	{ "81.2.69.142-81.2.69.150.", "ipv4 81.2.69.142|ipv4 81.2.69.150" },
	{ "the server 1.2.3.4", "ipv4 1.2.3.4" },
	{ "2606:4700:4700::1111, [2A02:26F0::1]", "ipv6 2606:4700:4700::1111|ipv6 2A02:26F0::1" },
	{ "2603:1030:20e:3:1:2:3:23c/64", "ipv6 2603:1030:20e:3:1:2:3:23c" },
};

static const struct a_case no_addresses[] = {
	{ "Bump to version 1.2.3.4", "" },			/* llmgateway #3641 */
	{ "v8.8.8.8 foo-81.2.69.142 Agent/81.2.69.142", "" },
	{ "libfoo (81.2.69.142-1) unstable", "" },
	{ "1.3.6.1.4.1.311 and 81.2.69.256 and 81.02.69.1", "" },
	{ "10.1.2.3 192.168.0.1 127.0.0.1 0.0.0.0 192.0.2.1 255.255.255.0 169.254.1.1", "" },
	{ "see section 4.3.2.1, \xc2\xa7 81.2.69.142", "" },
	{ ":: b:: dead:: ad:: fad:: dead::beef 1:: ::1", "" },	/* gram #2915 */
	{ "std::vector a::b 12:30:45 00:1a:2b:3c:4d:5e", "" },
	{ "2001:db8::1 fe80::1 fd00::1 ff02::1", "" },
	{ "2021:10:05 12:30:45", "" },
};

static const struct a_case local_addresses[] = {
	{ "10.1.2.3 and fe80::1 and ::1 and 2001:db8::1", "ipv4 10.1.2.3|ipv6 fe80::1|ipv6 ::1|ipv6 2001:db8::1" },
	{ "b:: dead::beef std::x", "" },
};

static const struct a_case cards[] = {
	{ "6011577631711174 6011-5776-3171-1174",
	    "card 6011577631711174|card 6011-5776-3171-1174" },	/* presidio #47 */
	{ "4111 1111 1111 1111 5555 5555 5555 4444",
	    "card 4111 1111 1111 1111|card 5555 5555 5555 4444" },	/* posthog-js #4783 */
	{ "amex 3782 822463 10005", "card 3782 822463 10005" },
	{ "卡号4111111111111111。", "card 4111111111111111" },
	{ "DE89 3704 0044 0532 0130 00, GB29NWBK60161331926819",
	    "iban DE89 3704 0044 0532 0130 00|iban GB29NWBK60161331926819" },
	{ "IBAN gb29nwbk60161331926819", "iban gb29nwbk60161331926819" },
	{ "GB29 NWBK 6016 1331 9268 19 is it", "iban GB29 NWBK 6016 1331 9268 19" },
	{ "899-12-3456", "ssn 899-12-3456" },			/* presidio #2275 */
	{ "SSN 123456780, ssn: 123 45 6780", "ssn 123456780|ssn 123 45 6780" },
};

static const struct a_case no_cards[] = {
	{ "1748503543012 please", "" },				/* presidio #1607 */
	{ "\"time_processed\":\"1647725122227\"", "" },		/* phileas #120 */
	{ "47223179-9330-4259-b66c-f2db26efb20c", "" },
	{ "0.4111111111111111 and 4111111111111111.5", "" },	/* hindsight #4333 */
	{ "5555555555555555", "" },
	{ "Item 4123456789012 is out of stock", "" },
	{ "trace f4111111111111111 4111111111111111e", "" },	/* bernstein #3818 */
	{ "order 4111111111111111", "" },
	{ "4111 1111 1111 1112, 1111222233334444", "" },
	{ "DE89 3704 0044 0532 0130 01, CSQU3054383", "" },	/* cs-tools #1177 */
	{ "900-12-3456 000-12-3456 666-12-3456 123-00-4567 123-45-0000 078-05112", "" },
	{ "1123-45-67890 123-45-6789-0 part 123-45-6789", "" },
};

/* Secrets are in pieces here, for programs that look for them in sources. */
#define LONG "aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gI3kM5"

static const struct a_case secrets[] = {
	{ "use gh" "p_" LONG ".", "key gh" "p_" LONG },
	{ "token=gh" "p_" LONG, "key gh" "p_" LONG },
	{ "id AK" "IAIOSFODNN7QWERTYU", "key AK" "IAIOSFODNN7QWERTYU" },
	{ "Authorization: Bearer s" "k-ant-api03-" LONG, "key s" "k-ant-api03-" LONG },
	{ "e" "yJhbGciOiJIUzI1NiJ9.e" "yJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
	    "key e" "yJhbGciOiJIUzI1NiJ9.e" "yJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U" },
	{ "S" "G.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr!",
	    "key S" "G.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr" },
	{ "Data Source=x:1521/d;User ID=svc;Password=svcacctpass;",
	    "password svcacctpass" },	/* detect-secrets #699 */
	{ "POSTGRES_PASSWORD: SomeSuperStrong1123!", "password SomeSuperStrong1123!" },	/* semgrep-rules #3009 */
	{ "auth_key=836e3fdd362bdc7d", "password 836e3fdd362bdc7d" },	/* detect-secrets #430 */
	{ "\"clientSecret\" : \"732f51d4-033a-47be-baf4-c4d2a22f9368\"",
	    "password 732f51d4-033a-47be-baf4-c4d2a22f9368" },
	{ "<password>hunter22</password>", "password hunter22" },
	{ "postgres://app:x7Gh2kQ9@db/x", "login app:x7Gh2kQ9" },
	{ "redis://:x7Gh2kQ9@cache", "login :x7Gh2kQ9" },
};

static const struct a_case no_secrets[] = {
	{ "callFunctionCheckIfDataAlreadyExistsPerpetualSubinventory", "" },	/* detect-secrets #693 */
	{ "732f51d4-033a-47be-baf4-c4d2a22f9368", "" },		/* #250 */
	{ "integrity=\"sha512-0UPjpq0G+v2RyzxDbeM8ConLICmLjRgcwuy4/ab==\"", "" },	/* IBM/detect-secrets #146 */
	{ "integrity = sum(len(project.integrity_warnings))", "" },	/* skylos #705 */
	{ "abcdefghijklmnopqrstuvwxyz0123456789", "" },		/* tartufo #413 */
	{ "git revert a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", "" },
	{ "apiKey: YOUR_API_KEY_HERE_PLACEHOLDER", "" },
	{ "this.txtCfmPassword.Name = \"txtCfmPassword\";", "" },	/* semgrep-rules #3009 */
	{ "db: { password: '*******' }", "" },			/* detect-secrets #426 */
	{ "password = \"/parameters/store_of_aws/key\"", "" },
	{ "password = \"password\"; password: ${DB_PASSWORD}", "" },	/* ReactiveAPI #36 */
	{ "$this->privateKey = new PrivateKey($keys['privatekey']);", "" },	/* detect-secrets #430 */
	{ "{service_key: pagerDutyServiceApiKey, event_type: x}", "" },
	{ "LDAP_PASSWORD=%s password=os.environ['PW'] password=getpass()", "" },	/* bigcode-analysis #24 */
	{ "https://user:password@host/ http://%s:%s@host/ http://<user>:<pass>@host/", "" },
	{ "gh" "p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx s" "k-some-long-name-of-a-class-without-digits", "" },
	{ "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", "" },
	{ "Password: Enter your password. The token: it expires in 3600", "" },
	{ "if (password == \"abcdef12\") password != 'abcdef12'", "" },
	{ "public policy duplicate m2", "" },			/* presidio #1063 */
};

static void
test_pem(void)
{
	static const char pem[] = "x -----BEGIN RSA PRIVATE KEY-----\n"
	    "MIIEowIBAAKCAQEAx8p1L2vJc0n3qYtGm1B7d9Qz5KfRwT4uEhXjN6sVbLyPoCiW\n"
	    "AAAA==\n-----END RSA PRIVATE KEY----- y";
	const struct pii_rules rules = { .kinds = 1u << PII_KEY };
	struct pii_scan scan = { .rules = &rules };
	struct pii_span s;

	ok(pii_next(&scan, str_of(pem), false, &s) == 1 && s.start == 2 &&
	    s.end == (ptrdiff_t)strlen(pem) - 2, "a private key is one span");
	scan = (struct pii_scan){ .rules = &rules };
	ok(pii_next(&scan, (str){ pem, 100 }, false, &s) == 1 && s.start == 2 && s.end == 100,
	    "one that is cut off goes to its end");
}

/* All texts of the cases, joined. */
static void
all_texts(struct buf *b)
{
	static const struct {
		const struct a_case *c;
		size_t n;
	} tables[] = {
#define TABLE(t) { (t), sizeof(t) / sizeof((t)[0]) }
		TABLE(emails), TABLE(no_emails), TABLE(phones), TABLE(no_phones), TABLE(addresses),
		TABLE(no_addresses), TABLE(cards), TABLE(no_cards), TABLE(secrets), TABLE(no_secrets),
	};

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (size_t i = 0; i < tables[t].n; i++) {
			buf_add(b, str_of(tables[t].c[i].text));
			buf_byte(b, i % 2 == 0 ? '\n' : ' ');
		}
}

/* A text that comes in pieces has the spans of the whole one. */
static void
test_pieces(void)
{
	static const int steps[] = { 1, 3, 7, 64, 300 };
	const struct pii_rules rules = { .kinds = ~0u };
	struct buf all = { 0 };
	bool same = true, safe = true, soon = true;

	all_texts(&all);
	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		struct pii_scan whole = { .rules = &rules }, scan = { .rules = &rules };
		ptrdiff_t n = 0, gone = 0, done = 0;
		struct pii_span want, s;

		while (n < all.n) {
			n = n + steps[k] < all.n ? n + steps[k] : all.n;
			while (pii_next(&scan, (str){ all.p + gone, n - gone }, n < all.n, &s) > 0) {
				int more = pii_next(&whole, buf_str(&all), false, &want);

				if (more == 0 || want.start != s.start + gone ||
				    want.end != s.end + gone || want.kind != s.kind) {
					if (same)
						printf("# step %d: %.*s, not %.*s\n", steps[k],
						    (int)(s.end - s.start), all.p + gone + s.start,
						    (int)(want.end - want.start), all.p + want.start);
					same = false;
				}
				safe &= s.start + gone >= done;
			}
			safe &= scan.safe + gone >= done;
			done = scan.safe + gone;
			soon &= n - done < 400;
			if (scan.safe > PII_BEHIND) {
				ptrdiff_t drop = scan.safe - PII_BEHIND;

				pii_forget(&scan, drop);
				gone += drop;
			}
		}
		same &= pii_next(&whole, buf_str(&all), false, &want) == 0;
	}
	ok(same, "pieces have the spans of the whole");
	ok(safe, "none begins in what was given as done");
	ok(soon, "not much is held back");
	buf_free(&all);
}

/* Each end of the buffer at each place of a block: nothing behind it is read. */
static void
test_ends(void)
{
	const struct pii_rules rules = { .kinds = ~0u };
	struct buf all = { 0 };
	int64_t spans = 0;

	all_texts(&all);
	for (ptrdiff_t n = 0; n <= all.n; n += 1 + n / 500) {
		char *copy = malloc((size_t)n + 1);
		struct pii_scan scan = { .rules = &rules };
		struct pii_span s;

		memcpy(copy, all.p + all.n - n, (size_t)n);
		while (pii_next(&scan, (str){ copy, n }, false, &s) > 0)
			spans++;
		scan = (struct pii_scan){ .rules = &rules };
		memcpy(copy, all.p, (size_t)n);
		while (pii_next(&scan, (str){ copy, n }, false, &s) > 0)
			spans++;
		free(copy);
	}
	ok(spans > 100, "texts that end anywhere");
	buf_free(&all);
}

/*
 * Texts that are all candidates.  Ten times as much takes ten times as long: 20 is the limit, for
 * a quadratic rule takes 100.
 */
static void
test_linear(void)
{
	static const char *const piece[] = {
		"@", "1", "a.a.a.", "a@", "a@a.", "1.", "1 ", "1-", "12 34 ", ":", "::", "a:", "=",
		"password=", "password:\"", "http://a:", "-----BEGIN PRIVATE KEY-----", "-", "eyJaaaaaaaaaaaaaa.",
		"(at)", "a[at]", "GB29 ", "+1", "(1)", "1.1.1.1", "12:", "phone ", "xoxb-aaaaaaaaaaaaaaaa",
		"0", "\xc3\xa9", "<a>", "-----BEGIN PRIVATE KEY-----A", "sk-", "_",
	};
	const struct pii_rules rules = { .kinds = ~0u, .local = true };
	double slowest = 0;
	bool linear = true;

	for (size_t i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
		double took[2];
		struct buf b = { 0 };

		for (int big = 0; big < 2; big++) {
			/* 10 MiB of the first three. */
			ptrdiff_t size = (big ? 10 << 18 : 1 << 18) * (i < 3 ? 4 : 1);
			struct pii_scan scan = { .rules = &rules };
			struct pii_span s;

			while (b.n < size)
				buf_add(&b, str_of(piece[i]));
			took[big] = cpu_seconds();
			while (pii_next(&scan, buf_str(&b), false, &s) > 0)
				;
			took[big] = cpu_seconds() - took[big];
		}
		if (took[1] > 20 * took[0] + 0.5) {
			printf("# %s: %.3f s, then %.3f s\n", piece[i], took[0], took[1]);
			linear = false;
		}
		slowest = took[1] > slowest ? took[1] : slowest;
		buf_free(&b);
	}
	printf("# the slowest of these takes %.2f s\n", slowest);
	ok(linear, "time is linear in the text");
}

static str
fake(struct buf *b, const struct pii_key *key, enum pii_kind kind, const char *value)
{
	buf_reset(b);
	pii_fake(key, kind, str_of(value), b);
	return buf_str(b);
}

static void
test_fakes(void)
{
	static const struct {
		enum pii_kind	 kind;
		const char	*a, *b;		/* the same value */
	} same[] = {
		{ PII_EMAIL, "Jane.Doe@Acme.com", "jane.doe@acme.com" },
		{ PII_CARD, "4111 1111 1111 1111", "4111111111111111" },
		{ PII_IBAN, "GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819" },
		{ PII_SSN, "123-45-6780", "123 45 6780" },
		{ PII_PHONE, "+1 (415) 867-5309", "1-415-867-5309" },
		{ PII_PHONE, "+33 6 12 34 56 78", "+33612345678" },
		{ PII_IPV6, "2606:4700:4700::1111", "2606:4700:4700:0::1111" },
		{ PII_IPV4, "81.2.69.142", "81.2.69.142" },
		{ PII_KEY, "gh" "p_" LONG, "gh" "p_" LONG },
		{ PII_PASSWORD, "hunter22", "hunter22" },
		{ PII_LOGIN, "app:x7Gh2kQ9", "app:x7Gh2kQ9" },
	};
	struct pii_key key, other;
	const struct pii_rules rules = { .kinds = ~0u };
	struct buf a = { 0 }, b = { 0 }, c = { 0 };
	bool equal = true, differ = true, plausible = true;

	ok(pii_key_init(&key, S("0123456789abcde"), &err) < 0, "a short key is refused");
	pii_key_init(&key, S("0123456789abcdef"), &err);
	pii_key_init(&other, S("0123456789abcdeg"), &err);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		str x = fake(&a, &key, same[i].kind, same[i].a), y = fake(&b, &key, same[i].kind, same[i].b);
		struct buf dx = { 0 }, dy = { 0 };

		/* Alike but for blanks, signs and a leading 1. */
		for (ptrdiff_t k = 0; k < x.n; k++)
			if (strchr(" ()-+", x.p[k]) == NULL)
				buf_byte(&dx, x.p[k]);
		for (ptrdiff_t k = 0; k < y.n; k++)
			if (strchr(" ()-+", y.p[k]) == NULL)
				buf_byte(&dy, y.p[k]);
		if (!str_eq(buf_str(&dx), buf_str(&dy))) {
			printf("# %.*s is not %.*s\n", STR_ARG(x), STR_ARG(y));
			equal = false;
		}
		differ &= !str_eq(x, fake(&c, &other, same[i].kind, same[i].a)) &&
		    !str_eq(x, str_of(same[i].a));
		buf_free(&dx);
		buf_free(&dy);
		/* Of kinds with a check, the fake passes it. */
		if (same[i].kind == PII_CARD || same[i].kind == PII_IBAN || same[i].kind == PII_KEY ||
		    same[i].kind == PII_EMAIL) {
			found(&c, &rules, x);
			plausible &= strncmp(c.p, pii_kinds[same[i].kind].name,
			    strlen(pii_kinds[same[i].kind].name)) == 0;
		}
	}
	ok(equal, "one value has one pseudonym, however it is spelled");
	ok(differ, "that depends on the key");
	ok(plausible, "and has the form of its kind");
	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
}

/* RFC 7693, appendix A; and Python's hashlib. */
static void
test_blake2(void)
{
	static const struct {
		const char	*key, *bytes, *hex;
		int		 n;
	} known[] = {
		{ "", "abc", "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
		    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923", 64 },
		{ "", "", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8", 32 },
		{ "0123456789abcdef", "hello",
		    "c27e3a918c2d773da228f4ff23bd5b348e3192853a95286a1f2373e84e39631b"
		    "b54e696c48f31fed69bb7c4962a6af741f0d411cb822ee079e724b9de53863fc", 64 },
		{ "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", "",
		    "01d9f028dfd63460be4077fda7c37ba372ee7bc72c8dd7be604f5c7ea7717dce", 32 },
		{ "k", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		    "1e2ccdce924d5714245c6008f4528dffc0ebc80d", 20 },
		{ "", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
		    "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
		    "b5a49bd30a88f4b0a5c36d2d57c3a550e88d6884c99802aba1a1d70b1c804057"
		    "b3a4188074287fcb322f91d7d54bee3f8fa77b9594b377391a63936109f4d042", 64 },
		{ "key", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
		    "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
		    "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
		    "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
		    "zzzzzzzzzzzzzzzzzzzz",
		    "fcf01be94e154021b1c19f1d0d05bef36a26e87c4fe8fd343d3092dd7dba1323"
		    "ec1191ecad572fd393450c7fff3e26f34d73636d1ccb869797809e8423bddf82", 64 },
	};
	bool right = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		unsigned char hash[BLAKE2_MAX];
		char hex[2 * BLAKE2_MAX + 1];

		blake2b(hash, known[i].n, str_of(known[i].key), str_of(known[i].bytes));
		for (int k = 0; k < known[i].n; k++)
			snprintf(hex + 2 * k, 3, "%02x", hash[k]);
		if (strcmp(hex, known[i].hex) != 0) {
			printf("# %zu: %s\n", i, hex);
			right = false;
		}
	}
	ok(right, "BLAKE2b");
}

static void
test_select(void)
{
	struct pii_rules r = { 0 };

	ok(pii_select(&r, S("email,ip"), &err) == 0 &&
	    r.kinds == (1u << PII_EMAIL | 1u << PII_IPV4 | 1u << PII_IPV6), "kinds by name");
	r.kinds = 0;
	ok(pii_select(&r, S("-phone"), &err) == 0 && !(r.kinds >> PII_PHONE & 1) &&
	    r.kinds >> PII_EMAIL & 1, "all but one");
	r.kinds = 0;
	ok(pii_select(&r, S("emails"), &err) < 0, "no such kind");
	ok(pii_select(&r, S("ip,-ip"), &err) < 0, "none left");
}

int
main(void)
{
	CASES("e-mail addresses", emails);
	CASES("and what is none", no_emails);
	CASES("phone numbers", phones);
	CASES("and what is none", no_phones);
	CASES("IP addresses", addresses);
	CASES("and what is none", no_addresses);
	test_cases("local ones", local_addresses, 2, true);
	CASES("cards, accounts, social security", cards);
	CASES("and what is none", no_cards);
	CASES("secrets", secrets);
	CASES("and what is none", no_secrets);
	test_pem();
	test_select();
	test_pieces();
	test_ends();
	test_linear();
	test_fakes();
	test_blake2();
	return tap_done();
}
