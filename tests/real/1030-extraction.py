#!/usr/bin/env python3
"""Main text of web pages: llm-extract against trafilatura with favor_precision.

Pages whose text is known: those that tests/golden/pages.py composes of Debian's
manuals, and manuals that Debian ships as HTML and as text.  Score: F1 of the
multiset of words, the mean over pages; a line that is the page's title counts for
neither side.  A table, and the bar: ours at least theirs, overall and on the
templates that were not looked at while the extractor was written.
"""
import collections
import glob
import gzip
import json
import os
import re
import subprocess
import sys

from real import ROOT, done, ok, skip, tmp

sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
import pages

PACKAGES = ("debian-policy", "debian-faq", "debmake-doc")
# As HTML in one or many files, and the same as text.
PAIRS = (
    ("debian-policy/policy.html/[a-z]*.html", "debian-policy/policy.txt.gz"),
    ("debian-policy/debconf_specification.html", "debian-policy/debconf_specification.txt.gz"),
    ("debian-policy/menu-policy.html/*.html", "debian-policy/menu-policy.txt.gz"),
    ("debian-policy/perl-policy.html/*.html", "debian-policy/perl-policy.txt.gz"),
    ("debian/FAQ/*.en.html", "debian/FAQ/debian-faq.en.txt.gz"),
    ("debmake-doc/html/*.en.html", "debmake-doc/debmake-doc.en.txt.gz"),
)


def packages():
    """Fetched once into obj/bench; their files below a directory, or None."""
    keep = os.path.join(ROOT, "obj", "bench")
    os.makedirs(keep, exist_ok=True)
    for name in PACKAGES:
        if not glob.glob(f"{keep}/{name}_*.deb"):
            subprocess.run(["apt-get", "-q", "download", name], cwd=keep,
                           capture_output=True, check=False)
        found = glob.glob(f"{keep}/{name}_*.deb")
        if not found:
            return None
        subprocess.run(["dpkg-deb", "-x", found[0], tmp("root")], check=True)
    return tmp("root", "usr", "share", "doc")


def read(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as f:
        return f.read()


def prose(doc):
    """Paragraphs of the manuals, each on a line, in a fixed order."""
    found = set()
    for _, text in PAIRS:
        for p in re.split(r"\n\s*\n", read(os.path.join(doc, text))):
            p = " ".join(p.split())
            letters = sum(c.isalpha() or c == " " for c in p)
            if 80 <= len(p) <= 1200 and letters > 0.93 * len(p) and p[0].isupper() \
                    and p[-1] in ".?!":
                found.add(p)
    return sorted(found)


def words(text):
    return collections.Counter(re.findall(r"\w+", text.lower()))


def score(gold, got, title=""):
    got = "\n".join(line for line in got.splitlines()
                    if not title or line.strip("# ").strip() != title)
    want, have = words(gold), words(got)
    common = sum((want & have).values())
    p, r = common / max(1, sum(have.values())), common / max(1, sum(want.values()))
    return p, r, 2 * p * r / max(1e-9, p + r)


def ours(files):
    out = subprocess.run(["llm-extract", "-q", "-k", *files], capture_output=True, text=True,
                         check=False).stdout
    return {r["source"]: r["text"] for r in map(json.loads, out.splitlines())}


def theirs(files):
    import trafilatura
    got = {}
    for f in files:
        with open(f, "rb") as page:
            got[f] = trafilatura.extract(page.read(), favor_precision=True,
                                         include_comments=False) or ""
    return got


def mean(rows):
    return [sum(r[i] for r in rows) / len(rows) for i in range(3)]


def main():
    try:
        import trafilatura  # noqa: F401
    except ImportError as e:
        return skip("main text against trafilatura", f"no trafilatura: {e}")
    doc = packages()
    if doc is None:
        return skip("main text against trafilatura", "no packages of documentation")
    pages.write(prose(doc), tmp("pages"))
    rows = collections.defaultdict(lambda: ([], []))
    files = sorted(glob.glob(tmp("pages", "*.html")))
    a, b = ours(files), theirs(files)
    for f in files:
        title = re.search(r"<title>(.*?)( - Example)?</title>", read(f), re.I).group(1)
        gold = read(f[:-5] + ".txt")
        name = os.path.basename(f).rsplit("-", 1)[0]
        for side, got in enumerate((a, b)):
            rows[name][side].append(score(gold, got.get(f, ""), title))
    for html, text in PAIRS:
        files = sorted(glob.glob(os.path.join(doc, html)))
        gold = read(os.path.join(doc, text))
        for side, got in enumerate((ours(files), theirs(files))):
            rows[os.path.basename(text)][side].append(score(gold, "\n".join(got.values())))
    print("# %-34s %-23s %s" % ("page", "ours: P R F1", "trafilatura: P R F1"))
    for name, (x, y) in sorted(rows.items()):
        held = "*" if name in pages.HELD_OUT else ""
        print("# %-34s %.3f %.3f %.3f       %.3f %.3f %.3f" % (name + held, *mean(x), *mean(y)))
    total = [mean(sum((r[side] for r in rows.values()), [])) for side in (0, 1)]
    print("# %-34s %.3f %.3f %.3f       %.3f %.3f %.3f" % ("all", *total[0], *total[1]))
    count = sum(len(r[0]) for r in rows.values())
    ok(count >= 100, f"{count} pages and manuals")
    ok(total[0][2] >= total[1][2], "F1 is at least trafilatura's",
       f"{total[0][2]:.4f} against {total[1][2]:.4f}")
    held = [mean(sum((rows[n][side] for n in pages.HELD_OUT), [])) for side in (0, 1)]
    ok(held[0][2] >= held[1][2], "and so it is on templates held out (*)",
       f"{held[0][2]:.4f} against {held[1][2]:.4f}")


main()
done()
