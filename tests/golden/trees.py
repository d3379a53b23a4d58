#!/usr/bin/env python3
"""Write trees.tsv: pages of tags at random, and the trees that html5lib makes of them

usage: trees.py FILE

Each line is a page and its tree, written out with all its end tags; t_html_tree makes
the same.  Needs html5lib, 1.1 when the file was made.
"""
import random
import sys

import html5lib

# No main: html5lib does not know yet that formatting elements do not reach beyond it.
BLOCKS = "div section article header footer nav aside blockquote pre ul ol dl h1 h2 p li dt dd".split()
TABLES = "table caption tbody thead tfoot tr td th".split()
PHRASES = "span sup q time".split()
FORMATS = ["b", "i", "code", "a"]
OTHERS = "html head body title link meta br hr".split()
TEXTS = ["x", "yz", " ", "\n", "&amp;", "&lt; &copy", "&nbsp;", "&#65;b", "\r\nq"]
ATTRIBUTES = ['class="k"', 'id=m', 'lang="&eacute;&ampx"', "class='other' id"]


def page(r):
    kinds = r.choice([(BLOCKS, FORMATS), (TABLES, TABLES, FORMATS), (BLOCKS, PHRASES, FORMATS, TABLES),
                      (FORMATS, FORMATS, BLOCKS), (BLOCKS, TABLES, PHRASES, FORMATS, OTHERS)])
    out, opened = [], []
    for _ in range(r.randint(3, 18)):
        what = r.random()
        if what < .3:
            out.append(r.choice(TEXTS))
            continue
        name = r.choice(r.choice(kinds))
        if what < .7:
            more = " href=u" if name == "a" else ""
            # We leave the attributes of these out.
            if name not in [*FORMATS, "title"] and r.random() < .2:
                more += " " + r.choice(ATTRIBUTES)
            out.append(f"<{name}{more}>" + ("t</title>" if name == "title" else ""))
            opened.append(name)
        else:
            name = opened.pop(-r.randint(1, min(3, len(opened)))) if opened and what < .93 else name
            if name != "title":
                out.append(f"</{name}>")
    return "".join(out)


def tree(e):
    if e.tag == "a":
        e.set("href", "")
    attributes = "".join(f' {k}="{v}"' for k, v in sorted(e.items()))
    inside = (e.text or "") + "".join(tree(c) + (c.tail or "") for c in e)
    return f"<{e.tag}{attributes}>{inside}</{e.tag}>"


def escaped(s):
    return s.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def main():
    r = random.Random(1)
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        for _ in range(600):
            text = page(r)
            parsed = html5lib.parse("<!DOCTYPE html>" + text, namespaceHTMLElements=False)
            print(escaped(text), escaped(tree(parsed)), sep="\t", file=f)


main()
