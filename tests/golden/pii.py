#!/usr/bin/env python3
"""Labelled personal data for tests/unit/t_pii_set.c.

    pii.py seen 1 | gzip -9n >tests/data/pii/seen.jsonl.gz
    pii.py held 2 | gzip -9n >tests/data/pii/held.jsonl.gz

Prints records {"text", "spans": [[kind, start, end]]}, offsets in bytes.  A text is
sentences of Debian's documentation (*.txt, README*, NEWS*, of /usr/share/doc or a third argument),
between which sentences of templates are strewn: half of them hold personal data, made
up here, the others what looks like it and is none.  The two sets share no template.

What is labelled: addresses, numbers and secrets as such, without the words around
them; of a URL the part before the @; of an assignment the value.
"""
import glob
import json
import os
import random
import re
import string
import sys
import uuid

which, seed = sys.argv[1], int(sys.argv[2])
where = sys.argv[3] if len(sys.argv) > 3 else "/usr/share/doc"
R = random.Random(seed)
pick = R.choice
DIGITS, HEX = string.digits, "0123456789abcdef"
ALNUM = string.ascii_letters + DIGITS
B64 = ALNUM + "+/"
URLSAFE = ALNUM + "-_"


def some(chars, n):
    return "".join(pick(chars) for _ in range(n))


def num(a, b):
    return R.randint(a, b)


def shape(pattern):
    """# a digit, N one from 2 to 9, X a capital, x a letter, h a hex digit."""
    sets = {"#": DIGITS, "N": "23456789", "X": string.ascii_uppercase, "x": string.ascii_lowercase,
            "h": HEX, "H": HEX.upper()}
    return "".join(pick(sets[c]) if c in sets else c for c in pattern)


# ---- personal data ----

FIRST = """maria john wei fatima olga pierre anna luca hans yuki priya carlos ingrid tom aisha peter sofia
 david lena omar julia mark nina paul zoe karl eva ben ruth jan""".split()
LAST = """garcia smith chen hassan ivanova dupont mueller rossi schmidt tanaka patel silva larsen baker khan
 novak lopez cohen weber jones martin berg fischer wood costa nowak kim olsen hill brandt""".split()
DOMAIN = """gmail.com yahoo.co.uk hotmail.com web.de uni-heidelberg.de cs.stanford.edu acme-corp.com
 mail.ru proton.me orange.fr t-online.de mit.edu nhs.uk kernel.org debian.org outlook.com wanadoo.fr
 northwind.io baker-legal.com smallshop.store city.gov.au ntt.co.jp redhat.com lists.sourceforge.net
 posteo.net company.health studio.photography icloud.com sub.mail.example.com example.org 163.com
 3m.com x.ai""".split()


def email():
    f, s = pick(FIRST), pick(LAST)
    local = pick([f"{f}.{s}", f"{f[0]}{s}", f"{f}{s}", f"{f}_{s}", f"{s}", f"{f}.{s}{num(1, 99)}",
                  f"{f}+{pick(['news', 'bugs', 'shop', 'list'])}", f"{f}-{s}", f"{f}.{s[0]}.{s}",
                  f"{f}{num(1950, 2010)}", f"{f.capitalize()}.{s.capitalize()}", f"{f[0]}.{s}",
                  f"{f}'{s}" if num(0, 9) == 0 else f"{f}{s[0]}", f"{num(100, 99999)}{f}"])
    d = pick(DOMAIN)
    if num(0, 19) == 0:
        return f"{local}@{d}".upper()
    return f"{local}@{d}"


US = ["(N##) N##-####", "N##-N##-####", "N##.N##.####", "+1 N##-N##-####", "+1 (N##) N##-####",
      "1-N##-N##-####", "+1-N##-N##-####", "+1N##N######", "(N##)N##-####", "+1 N## N## ####",
      "N##-N##-####", "(N##) N##-####", "+1.N##.N##.####"]
WORLD = ["+44 20 N### ####", "+44 7### ######", "+49 30 N#######", "+49 89 N##### ##", "+49 (0)30 N######",
         "+49 171 N######", "+33 1 ## ## ## ##", "+33 6 ## ## ## ##", "+33612######", "+91 9#### #####",
         "+91-98########", "+61 2 N### ####", "+61 4## ### ###", "+81 3-N###-####", "+81-90-####-####",
         "+55 11 9####-####", "+34 9## ### ###", "+86 138 #### ####", "+7 (495) ###-##-##",
         "+7 916 ### ## ##", "+39 06 N#######", "+31 20 N## ####", "+48 N## ### ###", "+46 8 N## ### ##",
         "+45 ## ## ## ##", "+41 44 N## ## ##", "+972 3-N##-####", "+353 1 N## ####", "+358 40 N######",
         "+971 4 N## ####", "+65 N### ####", "+82 10-####-####", "+27 11 N## ####", "+52 55 #### ####",
         "0044 20 N### ####", "0049 30 N#######", "+64 9 N## ####", "+380 44 N## ####"]
NATIONAL = ["020 7### ####", "07### ######", "0131 N## ####", "(0131) N## ####", "01 4# ## ## ##",
            "06 ## ## ## ##", "06.##.##.##.##", "030 N#######", "0171 N######", "(02) 9### ####",
            "04## ### ###", "03-N###-####", "090-####-####", "(11) 9####-####", "089/N######",
            "0800 ### ####"]
BARE = ["N##N######", "N## N## ####", "N##-####", "0171N######", "9#########", "13#########",
        "N## ### ###", "## ## ## ##"]


def nanp(s):
    """No area or exchange is N11, N9X; neither are 555-01XX, which are for fiction."""
    return not re.search(r"\b[2-9]11|[2-9]9\d\D*[2-9]\d\d\D*\d{4}$", s)


def phone(sets=None):
    while True:
        s = shape(pick(sets or pick([US, US, WORLD, WORLD, NATIONAL])))
        if sets is BARE or nanp(s):
            return s


def phone_said():
    """Where the text says that it is one."""
    return phone(pick([US, US, WORLD, NATIONAL, BARE]))


def bad4(a):
    return (a[0] in (0, 10, 127) or a[0] >= 224 or a[:2] in ([192, 168], [169, 254], [198, 18], [198, 19])
            or a[0] == 172 and 16 <= a[1] < 32 or a[0] == 100 and 64 <= a[1] < 128
            or a[:3] in ([192, 0, 2], [198, 51, 100], [203, 0, 113], [192, 0, 0]))


def ipv4():
    while True:
        a = [num(1, 223)] + [num(0, 255) for _ in range(3)]
        if not bad4(a):
            return ".".join(map(str, a))


def ipv6():
    net = pick(["2001:4860", "2a00:1450", "2606:4700", "2400:cb00", "2a02:26f0", "2603:1030", "2804:14d",
                "2a01:4f8", "2620:fe"])
    n = pick(["full", "short", "short", "long"])
    if n == "full":
        s = net + "".join(":" + some(HEX, 4) for _ in range(6))
    elif n == "short":
        s = f"{net}:{num(0, 9999):x}::{num(1, 65535):x}"
    else:
        s = f"{net}:{num(1, 65535):x}:{num(1, 65535):x}::{num(1, 65535):x}:{num(1, 65535):x}"
    return s.upper() if num(0, 6) == 0 else s


def luhn(s):
    total = 0
    for i, c in enumerate(reversed(s)):
        d = int(c) * (1 + i % 2)
        total += d - 9 * (d > 9)
    return total % 10


def card(bare=True):
    head, n = pick([("4", 16), ("4", 16), ("51", 16), ("55", 16), ("53", 16), ("2221", 16), ("2720", 16),
                    ("34", 15), ("37", 15), ("6011", 16), ("65", 16), ("3530", 16), ("36", 14), ("6212", 16)])
    s = head + some(DIGITS, n - len(head) - 1)
    s += str((10 - luhn(s + "0")) % 10)
    sep = pick([" ", " ", "-", ""])
    if n == 16:
        return sep.join(s[i:i + 4] for i in range(0, 16, 4))
    if n == 15:
        return sep.join([s[:4], s[4:10], s[10:]])
    return sep.join([s[:4], s[4:10], s[10:]])


IBANS = {"DE": "##################", "GB": "XXXX##############", "FR": "###########XX##########"[:23],
         "NL": "XXXX##########", "ES": "####################", "CH": "#################", "AT": "################",
         "IT": "X######################", "PL": "########################", "BE": "############",
         "NO": "###########", "SE": "####################", "PT": "#####################",
         "IE": "XXXX##############", "DK": "##############", "FI": "##############", "CZ": "####################",
         "SA": "####################", "TR": "######0###############"[:22]}


def mod97(s):
    return int("".join(str(int(c, 36)) for c in s[4:] + s[:4])) % 97


def iban():
    cc = pick(list(IBANS))
    body = shape(IBANS[cc])
    s = f"{cc}{98 - mod97(cc + '00' + body):02d}{body}"
    return pick([s, " ".join(s[i:i + 4] for i in range(0, len(s), 4))])


def ssn():
    a = pick([num(1, 665), num(667, 899)])
    return f"{a:03d}-{num(1, 99):02d}-{num(1, 9999):04d}"


def ssn_said():
    return pick([ssn(), ssn(), ssn().replace("-", " "), ssn().replace("-", "")])


def jwt():
    return f"eyJ{some(URLSAFE, num(17, 40))}.eyJ{some(URLSAFE, num(40, 160))}.{some(URLSAFE, 43)}"


def pem():
    kind = pick(["RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED ", "DSA "])
    body = "\n".join(some(B64, 64) for _ in range(num(3, 8))) + "\n" + some(B64, num(8, 40)) + "=="
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def key():
    return pick([
        lambda: pick(["AKIA", "ASIA"]) + some(string.ascii_uppercase + "234567", 16),
        lambda: pick(["ghp_", "gho_", "ghs_", "ghu_"]) + some(ALNUM, 36),
        lambda: "github_pat_" + some(ALNUM, 22) + "_" + some(ALNUM, 59),
        lambda: "glpat-" + some(URLSAFE, 20),
        lambda: f"xoxb-{some(DIGITS, 12)}-{some(DIGITS, 12)}-{some(ALNUM, 24)}",
        lambda: f"xoxp-{some(DIGITS, 11)}-{some(DIGITS, 11)}-{some(DIGITS, 12)}-{some(HEX, 32)}",
        lambda: "AIza" + some(URLSAFE, 34) + some(ALNUM, 1),
        lambda: "ya29." + some(URLSAFE, 60) + some(ALNUM, 1),
        lambda: pick(["sk_live_", "rk_live_", "sk_test_"]) + some(ALNUM, 24),
        lambda: "sk-" + some(ALNUM, 48),
        lambda: "sk-proj-" + some(URLSAFE, 60) + some(ALNUM, 1),
        lambda: "sk-ant-api03-" + some(URLSAFE, 92) + "A",
        lambda: "SG." + some(URLSAFE, 22) + "." + some(URLSAFE, 42) + some(ALNUM, 1),
        lambda: "npm_" + some(ALNUM, 36),
        lambda: "hf_" + some(string.ascii_letters, 34),
        lambda: "pypi-AgEIcHlwaS5vcmc" + some(URLSAFE, 100) + "A",
        lambda: "dop_v1_" + some(HEX, 64),
        lambda: "shpat_" + some(HEX, 32),
        jwt, jwt, pem, pem])()


WORDS = "dragon summer orange winter monkey tiger silver rocket garden coffee planet shadow purple".split()


def password():
    w, v = pick(WORDS), pick(WORDS)
    return pick([
        lambda: f"{w.capitalize()}{num(1, 9999)}{pick('!$#*')}", lambda: f"{w}{num(10, 9999)}",
        lambda: some(ALNUM, num(8, 16)), lambda: some(ALNUM + "!#%*-_", num(10, 20)) + some(ALNUM, 1),
        lambda: f"{w}-{v}-{num(10, 99)}", lambda: f"{w[0].upper()}{w[1:]}@{num(1990, 2024)}",
        lambda: w.replace("o", "0").replace("e", "3").capitalize() + str(num(1, 99)) + "!",
        lambda: f"{w}{v}", lambda: some(ALNUM, num(20, 32)), lambda: f"{w.capitalize()}{v.capitalize()}{num(1, 9)}"])()


def token():
    return pick([lambda: some(HEX, 32), lambda: some(HEX, 40), lambda: some(ALNUM, num(24, 44)),
                 lambda: some(B64, 43) + "=", lambda: some(URLSAFE, 31) + some(ALNUM, 1),
                 lambda: str(uuid.UUID(int=R.getrandbits(128), version=4))])()


def userinfo():
    p = pick([password, token])()
    while any(c in p for c in "@/#%+="):
        p = password()
    return pick([f"{pick(FIRST)}:{p}", f"{pick(['app', 'admin', 'root', 'svc_web', 'deploy'])}:{p}"])


PII = {"email": email, "phone": phone, "said": phone_said, "ipv4": ipv4, "ipv6": ipv6, "card": card,
       "iban": iban, "ssn": ssn, "ssnsaid": ssn_said, "key": key, "password": password,
       "token": token, "url": userinfo}
KIND = {"said": "phone", "ssnsaid": "ssn", "token": "password", "url": "login"}

# ---- what only looks like it ----


def isbn13():
    s = pick(["978", "979"]) + some(DIGITS, 9)
    s += str(-sum(int(c) * (1 + 2 * (i % 2)) for i, c in enumerate(s)) % 10)
    return pick([s, f"{s[:3]}-{s[3]}-{s[4:8]}-{s[8:12]}-{s[12]}", f"{s[:3]}-{s[3]}-{s[4:6]}-{s[6:12]}-{s[12]}"])


def isbn10():
    return pick([shape("#-###-#####-#"), shape("0-N##-#####-X").replace("X", pick("0123456789X")), shape("#########")
                 + pick("0123456789X"), shape("#-####-####-#")])


def version4():
    return pick([f"{num(0, 9)}.{num(0, 20)}.{num(0, 30)}.{num(0, 12)}", f"{num(1, 20)}.{num(0, 9)}.{num(0, 9)}.{num(0, 200)}",
                 f"{num(5, 120)}.0.{num(1000, 6000)}.{num(10, 200)}", f"10.0.{num(10000, 22000)}.{num(1, 1000)}"])


def deb():
    return f"{num(0, 3)}.{num(0, 20)}.{num(0, 30)}.{num(0, 9)}-{num(1, 5)}" + pick(["", "+b1", "ubuntu2", "+deb12u1"])


def uuid4():
    return str(uuid.UUID(int=R.getrandbits(128), version=4))


def uuid_digits():
    return shape("########-####-4###-8###-############")


def mac():
    return pick([":", "-", ":"]).join(some(HEX, 2) for _ in range(6))


def coordinates():
    return f"{R.uniform(-90, 90):.{num(4, 7)}f}, {R.uniform(-180, 180):.{num(4, 7)}f}"


def private4():
    return pick([f"10.{num(0, 255)}.{num(0, 255)}.{num(1, 254)}", f"192.168.{num(0, 255)}.{num(1, 254)}",
                 f"172.{num(16, 31)}.{num(0, 255)}.{num(1, 254)}", "127.0.0.1", "0.0.0.0", f"127.0.1.{num(1, 9)}",
                 f"192.0.2.{num(1, 254)}", f"198.51.100.{num(1, 254)}", f"169.254.{num(0, 255)}.{num(0, 255)}",
                 "255.255.255.0", "255.255.252.0", f"239.{num(0, 255)}.{num(0, 255)}.{num(0, 255)}"])


def private6():
    return pick(["::1", "fe80::" + ":".join(some(HEX, 4) for _ in range(4)), "2001:db8::" + some(HEX, 3), "::",
                 f"fd{some(HEX, 2)}:{some(HEX, 4)}::{num(1, 99)}", "ff02::1"])


def card16():
    s = pick(["4", "5", "9", "1", "7", "3"]) + some(DIGITS, 15)
    return s


def notluhn():
    while True:
        s = pick(["4", "51", "37"]) + some(DIGITS, 13)
        s = s[:15] if s[:2] == "37" else (s + some(DIGITS, 3))[:16]
        if luhn(s):
            return s if num(0, 1) else " ".join(s[i:i + 4] for i in range(0, len(s), 4))


def noiban():
    while True:
        s = pick(list(IBANS)) + some(DIGITS, 20)
        if mod97(s) != 1:
            return s


def part():
    return pick([lambda: shape("###-####-##"), lambda: shape("X##-###-####"), lambda: shape("##-#####-###"),
                 lambda: shape("N##-1##-####"), lambda: shape("XX-N##-N##-####"), lambda: shape("0##-0##-####"),
                 lambda: shape("####-###-###X")])()


def date():
    y, m, d = num(1970, 2030), num(1, 12), num(1, 28)
    return pick([f"{y}-{m:02d}-{d:02d}", f"{d:02d}.{m:02d}.{y}", f"{m:02d}/{d:02d}/{y}", f"{y}{m:02d}{d:02d}", f"{y}/{m:02d}/{d:02d}",
                 f"{d:02d}-{m:02d}-{y}"])


def timestamp():
    y = num(2000, 2030)
    t = f"{num(0, 23):02d}:{num(0, 59):02d}:{num(0, 59):02d}"
    return pick([f"{date()} {t}", f"{y}-{num(1, 12):02d}-{num(1, 28):02d}T{t}Z", f"{y}-{num(1, 12):02d}-{num(1, 28):02d}T{t}+02:00",
                 f"{t}.{num(0, 999):03d}", f"{y}{num(1, 12):02d}{num(1, 28):02d}T{t.replace(':', '')}Z",
                 f"{y}{num(1, 12):02d}{num(1, 28):02d}{t.replace(':', '')}"])


LOOK = {
    "isbn13": isbn13, "isbn10": isbn10, "version4": version4, "deb": deb, "uuid": uuid4, "uuidd": uuid_digits, "mac": mac,
    "coord": coordinates, "private4": private4, "private6": private6, "num16": card16, "notluhn": notluhn,
    "noiban": noiban, "part": part, "date": date, "time": timestamp, "sha1": lambda: some(HEX, 40), "sha7": lambda: some(HEX, num(7, 12)),
    "sha256": lambda: some(HEX, 64), "md5": lambda: some(HEX, 32), "decimal": lambda: f"{num(0, 9999)}.{some(DIGITS, num(6, 16))}",
    "epoch": lambda: str(num(1000000000, 1800000000)), "epochms": lambda: str(num(1000000000000, 1800000000000)),
    "big": lambda: f"{num(1000000, 10**12):,}", "order": lambda: pick([shape("#########"), shape("###-#######-#######"), shape("##########"), shape("XX########")]),
    "doi": lambda: f"10.{num(1000, 9999)}/{pick(['j.cell', 's', 'nature', ''])}{num(1000, 999999)}-{num(100, 999)}-{some(DIGITS, 5)}-{num(0, 9)}",
    "port": lambda: str(num(1024, 65535)), "range": lambda: f"{num(100, 500)}-{num(500, 900)}", "oid": lambda: ".".join(str(num(1, 200)) for _ in range(num(5, 9))),
    "integrity": lambda: "sha512-" + some(B64, 86) + "==", "b64": lambda: some(B64, num(40, 120)), "zip4": lambda: shape("#####-####"),
    "three": lambda: f"{num(100, 999)} {num(100, 999)} {num(1000, 9999)}", "section": lambda: ".".join(str(num(1, 14)) for _ in range(4)),
    "unit": lambda: pick(["getty@tty1.service", "user@1000.service", "systemd-fsck@dev-sda1.service", "wg-quick@wg0.service"]),
    "scope": lambda: pick(["@types/node", "@babel/core@7.12.3", "react@18.2.0", "@2x.png", "icon@3x.png", "logo@2x.jpg"]),
    "scp": lambda: pick(["git@github.com:debian/apt.git", "git@salsa.debian.org:qa/tool.git", "root@server:/etc/hosts", "backup@nas:/srv/data"]),
    "handle": lambda: "@" + pick(FIRST) + pick(["_", ""]) + pick(LAST), "cpp": lambda: pick(["std::vector", "dead::beef()", "Foo::Bar::baz", "a::b", "llvm::ADT", "ab::cd::ef", "::new"]),
    "ratio": lambda: f"{num(1, 99)}:{num(1, 99)}:{num(1, 99)}", "bars": lambda: shape("############"), "hexdump": lambda: " ".join(some(HEX, 4) for _ in range(8)),
    "sshkey": lambda: "ssh-rsa AAAAB3NzaC1yc2E" + some(B64, 120), "pgp": lambda: " ".join(some(HEX.upper(), 4) for _ in range(10)),
    "place": lambda: pick(["YOUR_API_KEY_HERE", "<your-token>", "${DB_PASSWORD}", "{{ vault_password }}", "changeme", "********", "xxxxxxxxxxxx", "os.environ['PW']", "getpass()",
                           "process.env.DB_PASSWORD", "null", "None", "self.password", "config.get('pw')", "$PASSWORD", "%(password)s", "string", "your_password", "REPLACE_ME", "required"]),
    "ident": lambda: pick(["callFunctionCheckIfDataAlreadyExists", "recallNoticesRecallBusinessUnits", "assignVariablesOjTabBar", "kSecAttrAccessibleWhenUnlocked"]),
    "tid": lambda: f"hosted-eu-{num(2019, 2027)}{num(1, 12):02d}{num(1, 28):02d}-{num(10, 99)}", "vid": lambda: f"v{num(2019, 2027)}{num(1, 12):02d}{num(1, 28):02d}T{shape('#########')}Z-{some(HEX, 6)}",
    "money": lambda: f"${num(1, 999)},{num(100, 999)}.{num(10, 99)}", "tracking": lambda: pick([shape("1Z######################"[:18]), shape("9400 1#### #### #### #### ##".replace(" ", "")), shape("XX#########XX")]),
    "ean": lambda: shape("############") + "7", "serial": lambda: f"{num(2000, 2030)}{num(1, 12):02d}{num(1, 28):02d}{num(0, 99):02d}",
    "issn": lambda: shape("####-####"), "rfc": lambda: f"RFC {num(100, 9999)}", "bug": lambda: f"#{num(10000, 1099999)}", "plus": lambda: f"+{num(1, 99999)}",
    "phoneish": lambda: shape("N##-N##-####"),
}

SEEN = {
    "email": ["Please write to {email} if you find a mistake.", "Maintainer: <{email}>", "Contact {email}.", "From: Maria Garcia <{email}>",
              "Patches go to {email}, questions to {email}.", "mailto:{email}?subject=hello", "Copyright (C) 2004 by P. Weber ({email})",
              "We received «{email}» as the reply address…", "The account \"{email}\" was locked.", "Reported-by: {email}",
              "联系人：{email}，谢谢。", "[{email}](mailto:{email})", "user={email}&lang=en", "Her address is {email}; his is {email}!"],
    "phone": ["Call me at {said} after six.", "Phone: {said}", "Tel. {said}", "You can reach the office on {phone}.", "Fax: {said}, Tel: {said}",
              "I can be reached at {phone} (cell) or {phone} (office)", "Anna Weber, Marketing, {phone}", "Our hotline is {phone} every day.",
              "My number is {phone}.", "Mobile: {said}", "Text {phone} to unsubscribe.", "Bitte rufen Sie an: Telefon {said}.",
              "Contact: Peter Baker, {phone}, room 12", "For support dial {said}.", "📞 {phone}"],
    "ipv4": ["Failed login from {ipv4} port {port}.", "The server at {ipv4} did not answer.", "ping {ipv4}", "{ipv4} - - [{time}] \"GET / HTTP/1.1\" 200",
             "Connect to http://{ipv4}:8080/status now.", "Client address: {ipv4}", "Blocked {ipv4}, {ipv4} and {ipv4}.", "nameserver {ipv4}",
             "inet {ipv4}/24 brd", "Received: from mail ({ipv4}) by mx"],
    "ipv6": ["The host {ipv6} is up.", "ping6 {ipv6}", "inet6 {ipv6}/64 scope global", "Connect to http://[{ipv6}]:8080/.", "Resolved to {ipv6} and {ipv4}.", "AAAA {ipv6}"],
    "card": ["Card number: {card}", "I paid with {card} last week.", "Visa {card}, exp {month}/27", "The card {card} was declined.", "Please charge {card}.",
             "cc={card}", "Credit card {card} on file for {email}."],
    "iban": ["IBAN: {iban}", "Transfer the sum to {iban}.", "Konto {iban} bei der Sparkasse", "Pay into account {iban} by Friday.", "({iban})"],
    "ssn": ["SSN: {ssnsaid}", "His social security number is {ssnsaid}.", "{ssn} is on the form.", "Employee {ssn}, hired {date}", "Social Security No. {ssnsaid}"],
    "key": ["export TOKEN={key}", "The key is {key} and it leaked.", "Authorization: Bearer {key}", "aws_access_key_id = {key}", "use `{key}` to log in",
            "curl -H \"X-Key: {key}\" https://api.example.com/v1", "$ cat key.pem\n{key}\n"],
    "password": ["password = \"{password}\"", "DB_PASSWORD={password}", "api_key: {token}", "passwd: {password}", "\"client_secret\": \"{token}\",",
                 "secret_key = '{token}'", "Your password: {password}", "--password={password}", "access_token={token}&expires=3600", "PWD={password};"],
    "url": ["postgres://{url}@db.internal:5432/app", "Clone https://{url}@git.acme-corp.com/x.git first.", "redis://{url}@cache:6379/0", "ftp://{url}@ftp.acme-corp.com/pub",
            "DATABASE_URL=mysql://{url}@localhost/shop", "mongodb+srv://{url}@cluster0.mongodb.net/test"],
    "look": ["ISBN {isbn13}", "ISBN-10: {isbn10}", "See ISBN {isbn10}, {isbn13}.", "Upgrade to version {version4}.", "Version {version4} fixes this.", "apt install foo={deb}",
             "libfoo ({deb}) unstable; urgency=low", "Request {uuid} failed.", "id: {uuidd}", "ether {mac} txqueuelen 1000", "The place is at {coord}.", "listen on {private4}:{port}",
             "inet6 {private6}/64 scope link", "Order number {num16} was shipped.", "serial {num16}", "The number {notluhn} is no valid card.", "reference {noiban}", "P/N {part}",
             "Part no. {part}, {part}", "On {date} we met; on {date} we left.", "[{time}] started", "at {time} the job ended", "commit {sha1}", "Fixes: {sha7} (\"net: fix it\")",
             "SHA256: {sha256}", "{md5}  file.tar.gz", "pi is about {decimal}", "ts={epoch}", "created_at: {epochms}", "a total of {big} bytes", "Order {order}", "doi:{doi}", "https://doi.org/{doi}",
             "pages {range}", "OID {oid}", "integrity=\"{integrity}\"", "ZIP {zip4}", "latencies {three} ms", "see section {section}", "Started {unit}.", "import {scope}", "git clone {scp}",
             "thanks to {handle} for this", "uses {cpp} inside", "ratio {ratio}", "UPC {bars}", "00000010: {hexdump}", "{sshkey} user", "fingerprint {pgp}", "password: {place}", "api_key = {place}",
             "token={place}", "type {ident}", "delivery {tid}", "build {vid}", "costs {money}", "tracking {tracking}", "EAN {ean}", "serial {serial} ; refresh 604800", "ISSN {issn}", "{rfc} says so",
             "closes: {bug}", "{plus} points", "Version {section}", "Password: Enter your password here.", "The password is stored in the database.", "enter your credit card number and phone number", "part number {phoneish}",
             "Linux 6.1.0-{num2}-amd64 x86_64", "http://user:password@host/", "https://example.com/a:b@c", "the SSN field has 9 digits", "call foo({three})", "tel", "call the function with 100 200 3000", "md5sum {md5}", "phone book"],
}

HELD = {
    "email": ["E-mail {email} · Web www.example.org", "{\"name\":\"Eva Novak\",\"mail\":\"{email}\",\"age\":41}", "| Jan Kim | {email} | Seoul |", "Signed-off-by: Ruth Hill <{email}>", "To: {email}, {email};\nCc: {email}",
              "<a href=\"mailto:{email}\">mail</a>", "EMAIL;TYPE=work:{email}", "sende es an {email}", "adresse électronique : {email} (bureau)", "(* contact={email} *)", "Send bugs to\n{email}\nplease",
              "author_email='{email}',"],
    "phone": ["TEL;TYPE=cell:{said}", "| Hill | {phone} | Berlin |", "\"phone\": \"{said}\",", "Ring us on {phone}, Monday to Friday.", "tél. : {said}", "WhatsApp {phone} or Signal {phone}", "<a href=\"tel:{said}\">call</a>",
              "Reservations: {phone}", "Eva's cell ({phone}) was off.", "He texted {phone} twice.", "Kontakt: {said} (Büro)", "Toll free {phone}, ext. 12", "phone={said};name=Eva", "Emergency contact {phone} (mother)",
              "Phone/Fax {said}"],
    "ipv4": ["sshd[{port}]: Accepted publickey for root from {ipv4}", "\"remote_addr\":\"{ipv4}\",", "traceroute to {ipv4}, 30 hops max", "iptables -A INPUT -s {ipv4} -j DROP", "A record: {ipv4}.", "X-Forwarded-For: {ipv4}, {ipv4}",
             "| web1 | {ipv4} | up |", "the IP {ipv4} is banned", "ssh root@{ipv4}"],
    "ipv6": ["\"ip\":\"{ipv6}\"", "from {ipv6}: icmp_seq=1", "{ipv6} dev eth0 lladdr {mac}", "X-Real-IP: {ipv6}", "allow from {ipv6};"],
    "card": ["\"pan\": \"{card}\",", "Mastercard ending soon: {card}, CVV 123", "Use test card {card} for now", "| Eva | {card} | 12/29 |", "Number on the front: {card}", "Zahlung mit Karte {card}", "card_number={card}"],
    "iban": ["\"iban\":\"{iban}\"", "Bankverbindung: {iban}, BIC COBADEFF", "virement vers {iban}", "| {iban} | 200.00 EUR |", "iban={iban}&amount=5", "my account ({iban}) is empty"],
    "ssn": ["\"ssn\": \"{ssnsaid}\"", "Applicant SSN {ssnsaid} verified", "| Baker | {ssn} | 1971 |", "taxpayer {ssn} owes nothing", "ssn={ssnsaid}"],
    "key": ["{\"token\":\"{key}\"}", "token: {key}", "ENV KEY={key}", "leaked: {key}, revoke it", "<code>{key}</code>", "$ export GH={key} && make", "# {key}"],
    "password": ["spring.datasource.password={password}", "  password: '{password}'", "<password>{password}</password>", "login: root / password: {password}", "const API_KEY = \"{token}\";", "SECRET_TOKEN=\"{token}\"", "mysql -u root --password={password} shop",
                 "auth_token => '{token}',", "Server=db;Uid=sa;Pwd={password};", "\"password\":\"{password}\"", "WIFI_PASSPHRASE={password}"],
    "url": ["sqlalchemy.url = postgresql+psycopg2://{url}@db/prod", "\"amqp\": \"amqp://{url}@rabbit:5672/\"", "curl -O https://{url}@files.northwind.io/a.zip", "http_proxy=http://{url}@proxy:3128", "git remote add o https://{url}@gitlab.com/a/b.git", "smtp://{url}@smtp.acme-corp.com:587"],
    "look": ["(ISBN: {isbn13})", "{isbn13} (paperback), {isbn10} (hardcover) ISBN", "firmware {version4} (released {date})", "User-Agent: Browser/{version4}", "Package: foo\nVersion: {deb}", "trace_id={uuid}", "\"session\":\"{uuidd}\"", "HWaddr {mac}", "geo:{coord}", "lat/lon {coord}",
             "bind {private4}", "route via {private4} dev eth0", "address {private6}", "invoice {num16}", "\"account_id\": {num16},", "pan check failed for {notluhn}", "container {noiban}", "SKU {part}", "model {part} replaces {part}", "due {date}, paid {date}", "{time} INFO ready", "backup-{time}.tar",
             "merge {sha1} into main", "index {sha7}..{sha7} 100644", "digest: sha256:{sha256}", "ETag: \"{md5}\"", "loss {decimal} at step {big}", "expires {epoch}", "\"ts\":{epochms},", "{big} rows in {decimal} s", "ticket {order}", "https://doi.org/{doi} (accessed {date})", "lines {range} of {port}", "snmpget {oid}",
             "\"integrity\": \"{integrity}\"", "data:image/png;base64,{b64}", "Springfield, IL {zip4}", "rows: {three}, {three}", "§ {section}", "systemctl restart {unit}", "npm i {scope}", "remote: {scp}", "cc {handle}", "the {cpp} type", "{ratio} left", "barcode {bars}", "hex: {hexdump}", "{sshkey} root",
             "Key fingerprint = {pgp}", "\"password\": \"{place}\"", "--token={place}", "SECRET={place}", "class {ident}", "trace {tid}", "engine {vid}", "paid {money} on {date}", "shipment {tracking}", "GTIN {ean}", "SOA {serial} 7200 3600", "ISSN: {issn}", "per {rfc} section 4", "bug {bug}", "{plus}/-{num2} lines",
             "chapter {section}", "password: the one that you chose", "The token expires after 3600 seconds.", "a phone number has up to 15 digits", "catalogue no {phoneish}", "kernel 5.10.{num2}-rt", "https://user:pass@example.com/", "the values 250 300 1000 and 402-118-2260", "item {phoneish}", "0.{num16}", "id {order}"],
}
LOOK["month"] = lambda: f"{num(1, 12):02d}"
LOOK["num2"] = lambda: str(num(1, 99))


def background():
    files = []
    for p in ["*/*.txt", "*/README*", "*/NEWS*", "*/*.md", "*/RelNotes/*.txt", "*/contrib/*/README*"]:
        files += glob.glob(os.path.join(where, p))
    out = []
    for f in sorted(set(files)):
        if f.endswith(".gz") or not os.path.isfile(f):
            continue
        with open(f, "rb") as h:
            try:
                text = h.read(200000).decode()
            except UnicodeDecodeError:
                continue
        for s in re.split(r"\n\s*\n|(?<=[.!?])\s+(?=[A-Z])", text):
            # Real people's addresses have no label here.
            if 40 <= len(s) <= 240 and "@" not in s and s.isprintable() | ("\n" in s) and not re.search(
                    r"\(\d{3}\)|\+\d\d|(\d{1,3}\.){3}\d|\d{3}-\d{4}|://[^/\s]*:|PRIVATE KEY", s):
                out.append(s.strip("\n"))
    return out


def expand(template, spans, base):
    """The template's text; labels are appended to spans."""
    out = b""
    at = 0
    for m in re.finditer(r"\{(\w+)\}", template):
        name = m.group(1)
        if name not in PII and name not in LOOK:
            continue
        out += template[at:m.start()].encode()
        at = m.end()
        value = (PII.get(name) or LOOK[name])().encode()
        if name in PII:
            kind = KIND.get(name, name)
            spans.append([kind, base + len(out), base + len(out) + len(value)])
        out += value
    return out + template[at:].encode()


def main():
    sentences = background()
    templates = SEEN if which == "seen" else HELD
    kinds = [k for k in templates if k != "look"]
    weight = {"email": 4, "phone": 5, "ipv4": 3, "password": 2, "key": 2}
    pool = [k for k in kinds for _ in range(weight.get(k, 1))]
    total = 0
    while total < 2400:
        text, spans = b"", []
        for i in range(num(4, 9)):
            what = pick(["text", "pii", "look", "look"])
            if i > 0:
                text += pick([b" ", b"\n", b"\n\n", b" "])
            if what == "text":
                text += pick(sentences).encode()
            else:
                text += expand(pick(templates[pick(pool)] if what == "pii" else templates["look"]), spans, len(text))
        total += len(spans)
        print(json.dumps({"text": text.decode(), "spans": spans}, ensure_ascii=False))


main()
