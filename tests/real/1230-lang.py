#!/usr/bin/env python3
"""llm-lang on translations: message catalogues of Debian packages, whose language is known.

    1230-lang.py [-v]

From each language that CLD2 knows come texts of 60, 250 and 1000 characters, made of whole
messages; -v prints how many of each were told right.
"""
import collections
import gettext
import glob
import json
import os
import random
import subprocess
import sys

from real import done, ok, run, skip, tmp

PACKAGES = ["coreutils", "libglib2.0-data", "libgtk-3-common", "gnome-control-center-data",
            "gimp-data"]
SIZES = (60, 250, 1000)
EACH = 100		# texts of a size and language
FEW = 20		# with fewer, a language is not counted
# What a locale is in BCP 47, where it is something else.
LOCALES = {"nb": "no", "nb_NO": "no", "pt_BR": "pt", "pt_PT": "pt", "zh_CN": "zh",
           "zh_TW": "zh-Hant", "zh_HK": "zh-Hant", "sr@latin": "sr", "fil": "tl"}
# Languages that look like another one, or of which the catalogues have half in English.
HARD = {"bs", "hr", "sr", "mk", "tl", "ia", "ku", "wo"}


def download(where):
    os.makedirs(where)
    subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=where, check=True,
                   capture_output=True)
    for deb in glob.glob(os.path.join(where, "*.deb")):
        subprocess.run(["dpkg-deb", "-x", deb, where], check=True)
    return os.path.join(where, "usr/share/locale")


def messages(path):
    """Translations that are more than a word or two, without marks of menu keys."""
    try:
        with open(path, "rb") as f:
            pairs = gettext.GNUTranslations(f)._catalog.items()
    except (IndexError, ValueError, OSError):
        return		# some have plurals that Python cannot read
    for source, text in pairs:
        if isinstance(source, str) and source and source != text and len(text) >= 20:
            yield text.replace("_", "").replace("&", "")


def texts(all_messages, size, rng):
    rng.shuffle(all_messages)
    text, n = "", 0
    for m in all_messages:
        text += m + "\n"
        if len(text) >= size:
            yield text
            text, n = "", n + 1
            if n == EACH:
                return


def write(path, locale_dir, known):
    rng = random.Random(1)
    by_language = collections.defaultdict(list)
    for where in sorted(glob.glob(os.path.join(locale_dir, "*/LC_MESSAGES"))):
        name = os.path.basename(os.path.dirname(where))
        code = LOCALES.get(name, name)
        if code in known:
            for mo in sorted(glob.glob(os.path.join(where, "*.mo"))):
                by_language[code] += messages(mo)
    with open(path, "w", encoding="utf-8") as f:
        for code, them in sorted(by_language.items()):
            for size in SIZES:
                for text in texts(them, size, rng):
                    f.write(json.dumps({"want": code, "size": size, "text": text},
                                       ensure_ascii=False) + "\n")


def main():
    try:
        locale_dir = download(tmp("catalogues"))
    except (OSError, subprocess.CalledProcessError):
        skip("catalogues", "no packages: apt-get download failed")
        return done()
    known = {line.split("\t")[0] for line in run("llm-lang", "--list").decode().splitlines()[1:]}
    write(tmp("texts.jsonl"), locale_dir, known)
    total, right = collections.Counter(), collections.Counter()
    sure, sure_right = collections.Counter(), collections.Counter()
    for line in run("llm-lang", "--key", "got", tmp("texts.jsonl")).decode().splitlines():
        r = json.loads(line)
        key = r["want"], r["size"]
        total[key] += 1
        right[key] += r["got"] == r["want"]
        sure[r["size"]] += r["got_score"] >= 0.65
        sure_right[r["size"]] += r["got_score"] >= 0.65 and r["got"] == r["want"]
    languages = sorted({code for code, size in total if total[code, 1000] >= FEW})
    share = {key: right[key] / total[key] for key in total}
    if "-v" in sys.argv:
        for code in languages:
            print("#", code, *(f"{size}: {share[code, size]:.2f}" for size in SIZES))
    ok(len(languages) >= 60, f"{len(languages)} languages have catalogues")
    for size, least in zip(SIZES, (0.90, 0.96, 0.97)):
        mean = sum(share[code, size] for code in languages) / len(languages)
        ok(mean >= least, f"{size} characters: {mean:.3f} right, mean of languages",
           f"{least} was promised")
        ok(sure_right[size] >= 0.93 * sure[size],
           f"{size} characters: {sure_right[size] / sure[size]:.3f} right with a score of 0.65")
    for code in languages:
        if code not in HARD:
            ok(share[code, 1000] >= 0.95, f"{code}: {share[code, 1000]:.2f} of 1000 characters")
    done()


main()
