#!/usr/bin/env python3
"""Web pages whose main text is known: pages.py PROSE DIRECTORY [SEED]

PROSE has a paragraph on each line.  Each page is an article made of these in a
template that imitates what a content system of the day writes: its element and
class names, its navigation, advertisements, cookie notices, sidebars, share
bars, comments and related articles, whose words are prose of other places or
phrases of the trade.  DIRECTORY gets NAME-N.html and NAME-N.txt, the main text.
"""
import html
import os
import random
import sys

PAGES = 6
HELD_OUT = ("drupal", "newspaper", "discourse", "ghost", "ministry")

NAV = ("Home News World Politics Business Technology Science Health Sport Culture Travel Opinion "
       "Video Podcasts Archive About Contact Subscribe Login Register Shop Events Jobs Weather "
       "Products Pricing Blog Documentation Support Community Download Forum Wiki Help FAQ").split()
COOKIES = (
    "We use cookies and similar technologies to give you the best experience on our website. By "
    "clicking Accept all, you agree to the storing of cookies on your device.",
    "This site uses cookies to deliver its services and to analyse traffic. Learn more about how "
    "we use cookies and manage your preferences.",
    "We and our 842 partners store and access information on a device, such as unique IDs in "
    "cookies, to process personal data. You may accept or manage your choices at any time.")
LETTER = ("Sign up for our newsletter and never miss a story. Enter your email address below.",
          "Get the best of the week delivered to your inbox every Friday morning, for free.",
          "Enjoying this post? Subscribe to receive new posts and support our work.")
ADS = ("Advertisement", "Sponsored: the ten best laptops of the year, tested and ranked",
       "ADVERTISEMENT - story continues below", "Buy two, get one free. Offer ends on Sunday.")
LEGAL = ("Copyright 2024 Example Media Group. All rights reserved. Reproduction in whole or in "
         "part without permission is prohibited.",
         "Except where otherwise noted, content on this site is licensed under a Creative Commons "
         "Attribution 4.0 licence.",
         "Example Ltd is registered in England and Wales under company number 1234567. Registered "
         "office: 1 High Street, London.")
SHARE = "Share Tweet Pin Email Print WhatsApp Facebook LinkedIn Reddit".split()
PEOPLE = "Ada Grace Linus Ken Dennis Barbara Edsger Donald Margaret Alan".split()


class Page:
    """The parts of one page; everything is drawn from its own generator."""

    def __init__(self, rng, prose):
        self.rng, self.prose = rng, prose
        self.title = self.headline()
        self.gold = []
        self.blocks = self.article()
        self.author = rng.choice(PEOPLE) + " " + rng.choice("Smith Jones Doe Roe Lee".split())
        self.day = f"20{rng.randrange(10, 25)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"

    def para(self, shortest=0):
        while True:
            p = self.rng.choice(self.prose)
            if len(p) >= shortest:
                return p

    def headline(self):
        return " ".join(self.para().split()[:self.rng.randrange(4, 10)]).rstrip(".,:;")

    def inline(self, text):
        """Words with links and emphasis here and there."""
        words = [html.escape(w, quote=False) for w in text.split()]
        for i, w in enumerate(words):
            r = self.rng.random()
            if r < 0.02:
                words[i] = f'<a href="/x/{i}">{w}</a>'
            elif r < 0.03:
                words[i] = f"<em>{w}</em>"
            elif r < 0.04:
                words[i] = f"<strong>{w}</strong>"
        return " ".join(words)

    def block(self):
        r = self.rng.random()
        if r < 0.70:
            text = self.para()
            self.gold.append(text)
            return f"<p>{self.inline(text)}</p>"
        if r < 0.80:
            text = self.headline()
            self.gold.append(text)
            return f"<h2>{html.escape(text)}</h2>"
        if r < 0.88:
            items = [" ".join(self.para().split()[:self.rng.randrange(5, 25)])
                     for _ in range(self.rng.randrange(2, 6))]
            self.gold += items
            tag = self.rng.choice(("ul", "ol"))
            return f"<{tag}>" + "".join(f"<li>{self.inline(i)}</li>" for i in items) + f"</{tag}>"
        if r < 0.92:
            lines = [" ".join(self.para().split()[:self.rng.randrange(2, 9)])
                     for _ in range(self.rng.randrange(2, 7))]
            self.gold += lines
            return "<pre><code>" + html.escape("\n".join(lines)) + "</code></pre>"
        if r < 0.96:
            text = self.para()
            self.gold.append(text)
            return f"<blockquote><p>{self.inline(text)}</p></blockquote>"
        rows = [[" ".join(self.para().split()[:3]) for _ in range(3)] for _ in range(4)]
        self.gold += [" ".join(r) for r in rows]
        return "<table>" + "".join(
            "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in r) + "</tr>"
            for r in rows) + "</table>"

    def article(self):
        out = []
        for _ in range(self.rng.randrange(5, 22)):
            out.append(self.block())
        text = self.para(200)
        self.gold.append(text)
        return [f"<p>{self.inline(text)}</p>"] + out

    def body(self, *inserts):
        """The article, with what sites put between its paragraphs."""
        blocks = list(self.blocks)
        for i in inserts:
            blocks.insert(self.rng.randrange(1, len(blocks)), i)
        return "\n".join(blocks)

    def links(self, n, item="<li><a href=\"/{0}\">{1}</a></li>", words=None):
        names = words or self.rng.sample(NAV, n)
        return "".join(item.format(w.lower(), w) for w in names)

    def teasers(self, n, form="<li><a href=\"/t\">{0}</a><p>{1}</p></li>", words=20):
        return "".join(form.format(html.escape(self.headline()),
                                   html.escape(" ".join(self.para().split()[:words]) + " ..."))
                       for _ in range(n))

    def comments(self, form, n=None):
        return "".join(form.format(self.rng.choice(PEOPLE), html.escape(self.para()))
                       for _ in range(n or self.rng.randrange(2, 7)))

    def pick(self, of):
        return self.rng.choice(of)

    def head(self, more=""):
        return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
                f"<title>{html.escape(self.title)} - Example</title>"
                f"<style>body{{margin:0}}</style><script>var x = '<p>no</p>';</script>{more}</head>")


def wordpress(p):
    c = p.comments('<li class="comment even thread-even depth-1"><article class="comment-body">'
                   '<footer class="comment-meta"><b class="fn">{0}</b> says:</footer>'
                   '<div class="comment-content"><p>{1}</p></div>'
                   '<div class="reply"><a href="#">Reply</a></div></article></li>')
    return p.head() + f"""<body class="post-template-default single single-post"><div id="page"
class="site"><a class="skip-link screen-reader-text" href="#content">Skip to content</a>
<header id="masthead" class="site-header"><p class="site-title"><a href="/">Example</a></p>
<nav id="site-navigation" class="main-navigation"><ul class="primary-menu">{p.links(8)}</ul></nav>
</header><div id="content" class="site-content"><div id="primary" class="content-area">
<main id="main" class="site-main"><article id="post-1" class="post type-post hentry">
<header class="entry-header"><h1 class="entry-title">{html.escape(p.title)}</h1></header>
<div class="entry-content">{p.body()}
<div class="sharedaddy sd-sharing-enabled"><h3 class="sd-title">Share this:</h3>
<ul>{p.links(0, words=SHARE[:6])}</ul></div>
<div id="jp-relatedposts" class="jp-relatedposts"><h3>Related</h3>{p.teasers(3)}</div></div>
<footer class="entry-footer"><span class="byline">{p.author}</span> <span
class="posted-on">{p.day}</span> <span class="cat-links">Posted in <a href="#">News</a></span>
</footer></article><div id="comments" class="comments-area"><h2 class="comments-title">Thoughts</h2>
<ol class="comment-list">{c}</ol><div id="respond" class="comment-respond"><h3>Leave a Reply</h3>
<form><p>Your email address will not be published. Required fields are marked *</p></form></div>
</div><nav class="navigation post-navigation"><a href="#">Previous: {p.headline()}</a></nav>
</main></div><aside id="secondary" class="sidebar widget-area"><section class="widget">
<h2 class="widget-title">Recent Posts</h2><ul>{p.teasers(5)}</ul></section></aside></div>
<footer id="colophon" class="site-footer">{p.pick(LEGAL)} Proudly powered by WordPress</footer>
</div></body></html>"""


def elementor(p):
    return p.head() + f"""<body><div data-elementor-type="wp-page" class="elementor">
<section class="elementor-section"><div class="elementor-container"><div class="elementor-column">
<div class="elementor-widget-wrap"><div class="elementor-element elementor-widget-nav-menu">
<ul class="elementor-nav-menu">{p.links(9)}</ul></div></div></div></div></section>
<section class="elementor-section"><div class="elementor-container"><div class="elementor-column
elementor-col-66"><div class="elementor-widget-wrap"><div class="elementor-widget-heading">
<h1 class="elementor-heading-title">{html.escape(p.title)}</h1></div>
<div class="elementor-element elementor-widget-theme-post-content"><div
class="elementor-widget-container">{p.body('<div class="code-block">' + p.pick(ADS) + '</div>')}
</div></div></div></div><div class="elementor-column elementor-col-33"><div
class="elementor-widget-sidebar"><h4>Popular</h4>{p.teasers(6, "<div><a href='/p'>{0}</a><p>{1}</p></div>")}
</div></div></div></section><div class="elementor-location-footer">{p.pick(LEGAL)}</div></div>
<div id="cookie-law-info-bar"><span>{p.pick(COOKIES)}<a>Accept</a> <a>Reject</a></span></div>
</body></html>"""


def drupal(p):
    c = p.comments('<div class="comment clearfix"><div class="submitted">Submitted by {0}</div>'
                   '<div class="content"><div class="field field-name-comment-body">'
                   '<div class="field-items"><p>{1}</p></div></div></div></div>')
    return p.head() + f"""<body class="html not-front one-sidebar sidebar-first page-node"><div
id="page-wrapper"><div id="header"><div class="section"><a href="/" id="logo">Example</a></div></div>
<div id="main-menu" class="navigation"><ul class="links inline">{p.links(7)}</ul></div>
<div id="main-wrapper"><div id="breadcrumb"><div class="breadcrumb"><a href="/">Home</a> » <a
href="/a">News</a></div></div><div id="sidebar-first" class="column sidebar"><div class="region">
<div class="block block-views"><h2>Latest</h2><div class="content">{p.teasers(5)}</div></div></div></div>
<div id="content" class="column"><div class="section"><h1 class="title" id="page-title">{p.title}</h1>
<div class="tabs"></div><div class="region region-content"><div id="node-1" class="node node-article">
<div class="meta submitted">Submitted by {p.author} on {p.day}</div><div class="content clearfix">
<div class="field field-name-body field-type-text-with-summary"><div class="field-items"><div
class="field-item even">{p.body()}</div></div></div></div><div class="link-wrapper"><ul
class="links inline">{p.links(0, words=["Log in", "Register"])}</ul></div>
<div id="comments" class="comment-wrapper"><h2 class="title">Comments</h2>{c}</div></div></div></div>
</div></div><div id="footer-wrapper"><div class="region-footer">{p.pick(LEGAL)}</div></div></div>
</body></html>"""


def blogger(p):
    c = p.comments('<dt class="comment-author"><a href="/u">{0}</a> said...</dt>'
                   '<dd class="comment-body"><p>{1}</p></dd>')
    return p.head() + f"""<body><div id="outer-wrapper"><div id="header-wrapper"><div
class="header section"><h1 class="title"><a href="/">My weblog</a></h1><p class="description">Notes
from a small desk</p></div></div><div id="main-wrapper"><div class="main section" id="main"><div
class="widget Blog"><div class="blog-posts hfeed"><h2 class="date-header"><span>{p.day}</span></h2>
<div class="post hentry"><h3 class="post-title entry-title">{p.title}</h3><div
class="post-body entry-content">{p.body()}<div style="clear: both"></div></div>
<div class="post-footer"><div class="post-footer-line"><span class="post-author vcard">Posted by
{p.author}</span> <span class="post-labels">Labels: <a href="#">a</a>, <a href="#">b</a></span>
<div class="post-share-buttons">{p.links(0, "<a href='/{0}'>{1}</a>", words=SHARE[:4])}</div></div>
</div></div><div class="comments" id="comments"><h4>Comments:</h4><dl id="comments-block">{c}</dl>
<p class="comment-footer"><a href="#">Post a Comment</a></p></div></div><div class="blog-pager"><a
href="/n">Newer Post</a> <a href="/o">Older Post</a></div></div></div></div>
<div id="sidebar-wrapper"><div class="sidebar section"><div class="widget Profile"><h2>About Me</h2>
<p>{p.para()}</p></div><div class="widget BlogArchive"><h2>Blog Archive</h2><ul>{p.teasers(9,
"<li><a href='/a'>{0}</a></li>")}</ul></div></div></div><div id="footer-wrapper">{p.pick(LEGAL)}
</div></div></body></html>"""


def mediawiki(p):
    body = p.body().replace("</h2>", '<span class="mw-editsection">[<a href="/e">edit</a>]</span></h2>')
    return p.head() + f"""<body class="mediawiki ltr sitedir-ltr ns-0"><div id="mw-page-base"></div>
<div id="content" class="mw-body"><div id="siteNotice">{p.pick(LETTER)}</div><h1 id="firstHeading"
class="firstHeading">{p.title}</h1><div id="bodyContent"><div id="siteSub">From Example, the free
encyclopedia</div><div id="jump-to-nav">Jump to: <a href="#n">navigation</a>, <a href="#s">search</a>
</div><div id="mw-content-text" lang="en"><div class="mw-parser-output"><div id="toc" class="toc"><div
class="toctitle"><h2>Contents</h2></div><ul>{p.teasers(6, "<li class='toclevel-1'><a href='#'>{0}</a></li>")}
</ul></div>{body}<div class="navbox"><table><tr><th><a href="/t">Topics</a></th></tr><tr><td>
{p.links(9, "<a href='/{0}'>{1}</a> · ")}</td></tr></table></div></div></div><div class="printfooter">
Retrieved from "<a href="/w">https://en.example.org/w/index.php?title=X</a>"</div><div id="catlinks"
class="catlinks">Categories: {p.links(4, "<a href='/{0}'>{1}</a> | ")}</div></div></div>
<div id="mw-navigation"><h2>Navigation menu</h2><div id="mw-head">{p.links(5)}</div><div
id="mw-panel"><div class="portal"><h3>Tools</h3><ul>{p.links(8)}</ul></div></div></div>
<div id="footer"><ul id="footer-info"><li>This page was last edited on {p.day}, at 10:11.</li>
<li>{p.pick(LEGAL)}</li></ul></div></body></html>"""


def readthedocs(p):
    body = p.body().replace("</h2>", '<a class="headerlink" href="#x" title="Permalink">¶</a></h2>')
    return p.head() + f"""<body class="wy-body-for-nav"><div class="wy-grid-for-nav"><nav
data-toggle="wy-nav-shift" class="wy-nav-side"><div class="wy-side-scroll"><div
class="wy-side-nav-search"><a href="/" class="icon icon-home">Project</a></div><div
class="wy-menu wy-menu-vertical"><p class="caption">Contents</p><ul>{p.teasers(12,
"<li class='toctree-l1'><a href='/c'>{0}</a></li>")}</ul></div></div></nav><section
class="wy-nav-content-wrap"><nav class="wy-nav-top"><a href="/">Project</a></nav><div
class="wy-nav-content"><div class="rst-content"><div role="navigation" aria-label="breadcrumbs
navigation"><ul class="wy-breadcrumbs">{p.links(3)}<li class="wy-breadcrumbs-aside"><a href="/e">Edit
on GitHub</a></li></ul><hr></div><div role="main" class="document"><div class="section"><h1>{p.title}
</h1>{body}</div></div><footer><div class="rst-footer-buttons"><a href="/n">Next</a><a
href="/p">Previous</a></div><hr><div role="contentinfo"><p>{p.pick(LEGAL)}</p></div>Built with Sphinx
using a theme provided by Read the Docs.</footer></div></div></section></div></body></html>"""


def mkdocs(p):
    return p.head() + f"""<body dir="ltr"><div data-md-component="announce"><aside class="md-banner">
<div class="md-banner__inner">{p.pick(LETTER)}</div></aside></div><header class="md-header"><nav
class="md-header__inner"><div class="md-header__title">Project</div></nav></header><div
class="md-container"><nav class="md-tabs"><ul class="md-tabs__list">{p.links(5)}</ul></nav><main
class="md-main"><div class="md-main__inner md-grid"><div class="md-sidebar md-sidebar--primary"><nav
class="md-nav md-nav--primary"><ul class="md-nav__list">{p.teasers(10, "<li class='md-nav__item'><a href='/n'>{0}</a></li>")}
</ul></nav></div><div class="md-sidebar md-sidebar--secondary"><nav class="md-nav"><label>Table of
contents</label><ul>{p.teasers(4, "<li><a href='#n'>{0}</a></li>")}</ul></nav></div><div
class="md-content"><article class="md-content__inner md-typeset"><a class="md-content__button"
href="/e" title="Edit this page"></a><h1>{p.title}</h1>{p.body()}<hr><div class="md-source-file">
<small>Last update: {p.day}</small></div><form class="md-feedback"><fieldset><legend
class="md-feedback__title">Was this page helpful?</legend></fieldset></form></article></div></div></main>
<footer class="md-footer"><nav class="md-footer__inner"><a href="/n">Next {p.headline()}</a></nav><div
class="md-copyright">{p.pick(LEGAL)}</div></footer></div></body></html>"""


def docusaurus(p):
    return p.head() + f"""<body><div id="__docusaurus"><div role="region"
class="skipToContent_fXgn"><a href="#m">Skip to main content</a></div><nav
class="navbar navbar--fixed-top"><div class="navbar__inner"><div class="navbar__items">{p.links(6,
'<a class="navbar__item navbar__link" href="/{0}">{1}</a>')}</div></div></nav><div
class="main-wrapper docsWrapper_BCFX"><aside class="theme-doc-sidebar-container"><nav class="menu
thin-scrollbar"><ul class="theme-doc-sidebar-menu menu__list">{p.teasers(9, "<li class='menu__list-item'><a class='menu__link' href='/x'>{0}</a></li>")}
</ul></nav></aside><main class="docMainContainer_gTbr"><div class="container"><div class="row"><div
class="col docItemCol_VOVn"><div class="docItemContainer_Djhp"><article><nav
class="theme-doc-breadcrumbs"><ul class="breadcrumbs">{p.links(3)}</ul></nav><span
class="theme-doc-version-badge badge">Version: 2.x</span><div class="theme-doc-markdown markdown">
<h1>{p.title}</h1>{p.body('<div class="theme-admonition alert alert--info"><p>note</p></div>')}</div>
<footer class="theme-doc-footer"><a href="/e" class="theme-edit-this-page">Edit this page</a>
<div class="theme-last-updated">Last updated on {p.day}</div></footer></article><nav
class="pagination-nav"><a class="pagination-nav__link" href="/n"><div>Next</div><div>{p.headline()}
</div></a></nav></div></div><div class="col col--3"><div class="tableOfContents_bqdL"><ul
class="table-of-contents">{p.teasers(4, "<li><a href='#x'>{0}</a></li>")}</ul></div></div></div></div>
</main></div><footer class="footer footer--dark">{p.pick(LEGAL)}</footer></div></body></html>"""


def newspaper(p):
    inline = (f'<aside class="related-inline"><h3>Read more</h3><ul>{p.teasers(2, "<li><a href=#>{0}</a></li>")}'
              "</ul></aside>")
    c = p.comments('<li class="d-comment"><div class="d-comment__author">{0}</div>'
                   '<div class="d-comment__body"><p>{1}</p></div></li>')
    meta = f'<meta property="article:published_time" content="{p.day}T08:00:00Z">'
    return p.head(meta) + f"""<body><div id="onetrust-consent-sdk"><div role="dialog"
class="onetrust-banner"><p>{p.pick(COOKIES)}</p><button>Accept all</button></div></div><header
class="site-header"><nav class="pillars">{p.links(9)}</nav></header><div class="ad-slot
ad-slot--top-above-nav">{p.pick(ADS)}</div><main><article><header><h1>{p.title}</h1><p
class="standfirst"></p><address class="byline">By <a href="/a">{p.author}</a></address><time
datetime="{p.day}">{p.day}</time><div class="social-share"><ul>{p.links(0, words=SHARE[:5])}</ul></div>
</header><figure><img src="/i.jpg" alt=""><figcaption class="caption">Photograph: {p.author}/Agency
</figcaption></figure><div class="article-body">{p.body(inline, '<div class="ad-slot">' +
p.pick(ADS) + '</div>')}</div><div class="topics"><span>Topics</span><ul>{p.links(4)}</ul></div>
</article><section class="most-viewed"><h2>Most viewed</h2>{p.teasers(6)}</section><section
id="comments" class="discussion"><h2>Comments (12)</h2><ul>{c}</ul></section></main><footer
class="l-footer">{p.pick(LEGAL)}<form>{p.pick(LETTER)}</form></footer></body></html>"""


def tables(p):
    menu = p.links(10, '<tr><td bgcolor="#ccccff"><font size=2><a href="/{0}.htm">{1}</a></font></td></tr>')
    body = p.body()
    return f"""<HTML><HEAD><TITLE>{p.title}</TITLE></HEAD><BODY BGCOLOR=white><table width="100%"
border=0><tr><td colspan=3 align=center><font size=5>EXAMPLE ONLINE</font><br><a href="/a.htm">Home</a>
| <a href="/b.htm">News</a> | <a href="/c.htm">Search</a> | <a href="/d.htm">Mail us</a></td></tr><tr
valign=top><td width=150><table border=0>{menu}</table></td><td><font face="Arial"><h1>{p.title}</h1>
{body}</font></td><td width=160><table><tr><td><b>Hot links</b></td></tr><tr><td>{p.teasers(4,
"<font size=1><a href=/x>{0}</a><br>{1}</font><br>", 9)}</td></tr></table></td></tr><tr><td colspan=3
align=center><font size=1>{p.pick(LEGAL)}<br>Best viewed at 800x600</font></td></tr></table></BODY></HTML>"""


def phpbb(p):
    posts, size = [], max(1, len(p.blocks) // 4)
    for i in range(0, len(p.blocks), size):
        posts.append(f"""<div id="p{i}" class="post has-profile bg2"><div class="inner"><dl
class="postprofile"><dt><a href="/u" class="username">{p.pick(PEOPLE)}</a></dt><dd
class="profile-rank">Senior Member</dd><dd class="profile-posts"><strong>Posts:</strong> 123</dd><dd
class="profile-joined"><strong>Joined:</strong> Mon Jan 05, 2009</dd></dl><div class="postbody"><div
id="post_content{i}"><h3><a href="#p{i}">Re: {p.title}</a></h3><ul class="post-buttons"><li><a
href="/q">Quote</a></li></ul><p class="author">by {p.pick(PEOPLE)} » {p.day}</p><div class="content">
{"".join(p.blocks[i:i + size])}</div><div class="signature">-- <br>{p.headline()}</div></div></div>
</div></div>""")
    return p.head() + f"""<body id="phpbb" class="nojs notouch section-viewtopic ltr"><div id="wrap"
class="wrap"><div id="page-header"><div class="headerbar"><h1>Example forum</h1></div><div
class="navbar"><ul class="nav-main linklist">{p.links(6)}</ul></div></div><div id="page-body"
class="page-body"><h2 class="topic-title"><a href="/t">{p.title}</a></h2><div class="action-bar
bar-top"><a href="/r" class="button">Post Reply</a><div class="pagination">15 posts • Page <strong>1
</strong> of <strong>2</strong></div></div>{"".join(posts)}<div class="stat-block"><h3>Who is
online</h3><p>Users browsing this forum: No registered users and 3 guests</p></div></div><div
id="page-footer" class="page-footer"><div class="copyright">{p.pick(LEGAL)} Powered by phpBB</div></div>
</div></body></html>"""


def discourse(p):
    posts, size = [], max(1, len(p.blocks) // 3)
    for i in range(0, len(p.blocks), size):
        posts.append(f"""<div itemprop="comment" class="topic-body crawler-post"><div
class="crawler-post-meta"><span class="creator"><a href="/u/x"><span>{p.pick(PEOPLE)}</span></a></span>
<span class="crawler-post-infos"><time datetime="{p.day}T10:00:00Z" class="post-time">{p.day}</time>
<span>{i + 1}</span></span></div><div class="post" itemprop="text">{"".join(p.blocks[i:i + size])}</div>
<div class="post-likes">3 Likes</div></div>""")
    return p.head() + f"""<body class="crawler"><header><a href="/">Example community</a></header><div
id="main-outlet" class="wrap"><div id="topic-title"><h1><a href="/t">{p.title}</a></h1><div
class="topic-category"><a href="/c" class="badge-wrapper">Support</a></div></div>{"".join(posts)}<div
class="related-topics"><h3>Related topics</h3><table class="topic-list"><tr><th>Topic</th><th>Replies
</th></tr>{p.teasers(5, "<tr class='topic-list-item'><td><a href='/t'>{0}</a></td><td>12</td></tr>")}
</table></div></div><footer class="container wrap"><nav class="crawler-nav"><ul>{p.links(5)}</ul></nav>
<p>Powered by Discourse, best viewed with JavaScript enabled</p></footer></body></html>"""


def questions(p):
    half = len(p.blocks) // 2
    small = p.comments('<li class="comment"><div class="comment-text"><span class="comment-copy">{1}'
                       '</span> – <a class="comment-user" href="/u">{0}</a></div></li>', 2)
    cell = ('<div class="votecell post-layout--left"><button>up</button><div>17</div></div><div '
            'class="postcell post-layout--right"><div class="s-prose js-post-body">{0}</div><div '
            'class="mb0"><div class="js-post-menu"><a href="/s">Share</a> <a href="/i">Improve this '
            'answer</a> <a href="/f">Follow</a></div><div class="post-signature"><div '
            'class="user-info"><div class="user-action-time">answered Jan 3 at 10:11</div><a '
            'href="/u">{1}</a></div></div></div></div><div class="post-layout--full"><div '
            'class="comments"><ul class="comments-list">{2}</ul></div></div>')
    return p.head() + f"""<body class="question-page unified-theme"><header class="s-topbar"><nav>
{p.links(6)}</nav></header><div class="container"><div id="left-sidebar"><nav><ol class="nav-links">
{p.links(5)}</ol></nav></div><div id="content"><div id="question-header"><h1><a href="/q">{p.title}</a>
</h1><a href="/ask" class="s-btn">Ask Question</a></div><div class="d-flex">Asked 3 years ago Modified
today Viewed 12k times</div><div id="mainbar"><div class="question" id="question"><div
class="post-layout">{cell.format("".join(p.blocks[:half]), p.author, small)}</div></div><div
id="answers"><div class="answer accepted-answer"><div class="post-layout">{cell.format("".join(
p.blocks[half:]), p.author, "")}</div></div></div></div><div id="sidebar" class="show-votes"><div
class="s-sidebarwidget"><div class="s-sidebarwidget--header">The Overflow Blog</div>{p.teasers(3)}</div>
<div class="module sidebar-linked"><h4>Linked</h4>{p.teasers(6, "<div class='spacer'><a href='/q'>{0}</a></div>")}
</div></div></div></div><footer id="footer" class="site-footer">{p.pick(LEGAL)}</footer></body></html>"""


def shop(p):
    reviews = p.comments('<li class="review"><div class="comment_container"><p class="meta"><strong>{0}'
                         '</strong> (verified owner)</p><div class="description"><p>{1}</p></div></div></li>')
    return p.head() + f"""<body class="single-product woocommerce"><header class="site-header"><ul
class="menu">{p.links(7)}</ul><div class="site-header-cart">0 items - £0.00</div></header><nav
class="woocommerce-breadcrumb"><a href="/">Home</a> / <a href="/b">Books</a></nav><div id="primary"><main
id="main"><div id="product-1" class="product type-product"><div class="summary entry-summary"><h1
class="product_title entry-title">{p.title}</h1><p class="price">£12.99</p><form class="cart"><button>Add
to cart</button></form><div class="product_meta"><span class="sku_wrapper">SKU: 1234</span> <span
class="posted_in">Category: <a href="/b">Books</a></span></div></div><div
class="woocommerce-tabs wc-tabs-wrapper"><ul class="tabs wc-tabs"><li><a href="#d">Description</a></li>
<li><a href="#r">Reviews (3)</a></li></ul><div class="woocommerce-Tabs-panel panel" id="tab-description">
{p.body()}</div><div class="woocommerce-Tabs-panel panel" id="tab-reviews"><div id="reviews"><div
id="comments"><ol class="commentlist">{reviews}</ol></div></div></div></div><section
class="related products"><h2>Related products</h2><ul class="products">{p.teasers(4,
"<li class='product'><a href='/p'><h2>{0}</h2><span class='price'>£9.99</span></a></li>")}</ul></section>
</div></main></div><footer class="site-footer">{p.pick(LEGAL)}</footer></body></html>"""


def joomla(p):
    return p.head() + f"""<body class="site com_content view-article"><div class="body"><div
class="container"><header class="header"><a class="brand" href="/">Example</a></header><nav
class="navigation"><ul class="nav menu nav-pills">{p.links(7)}</ul></nav><div class="row-fluid"><div
id="aside" class="span3"><div class="well moduletable"><h3>Popular articles</h3><ul
class="mostread">{p.teasers(6)}</ul></div></div><main id="content" class="span9"><ul
class="breadcrumb">{p.links(3)}</ul><div class="item-page"><div class="page-header"><h2>{p.title}</h2>
</div><dl class="article-info muted"><dt class="article-info-term">Details</dt><dd class="createdby">
Written by {p.author}</dd><dd class="hits">Hits: 4711</dd></dl><div>{p.body()}</div><ul
class="pager pagenav"><li class="previous"><a href="/p">Prev</a></li><li class="next"><a
href="/n">Next</a></li></ul></div></main></div></div></div><footer class="footer">{p.pick(LEGAL)}<a
href="#top">Back to Top</a></footer></body></html>"""


def magazine(p):
    """Generated class names, nothing to go by but the text itself."""
    c = p.comments('<div class="ag ah"><div class="ai"><h4 class="aj">{0}</h4></div>'
                   '<div class="ak"><pre class="al">{1}</pre></div></div>', 3)
    return p.head() + f"""<body><div id="root"><div class="a b c"><div class="d e"><div class="f">{p.links(4,
"<a class='g' href='/{0}'>{1}</a>")}</div></div><div class="h"><article><div class="i j"><section><h1
class="pw-post-title k">{p.title}</h1><div class="l"><a href="/@x">{p.author}</a><span> · </span><button>
Follow</button><div>7 min read · {p.day}</div></div><div class="m"><div>12</div><div>3</div><span>Listen
</span><span>Share</span></div>{p.body()}</section></div></article><div class="n"><div class="o">{p.links(4,
"<a class='p' href='/tag/{0}'>{1}</a>")}</div></div><div class="q"><h2>Written by {p.author}</h2><p>1.2K
Followers</p><p>{p.headline()}</p></div><div class="r"><h2>Responses (3)</h2>{c}</div><div class="s"><h2>More
from {p.author}</h2>{p.teasers(4, "<div class='t'><a href='/x'><h2>{0}</h2><h3>{1}</h3></a></div>")}</div>
<div class="u">{p.links(6, "<a href='/{0}'><p>{1}</p></a>")}</div></div></div></div></body></html>"""


def substack(p):
    widget = (f'<div class="subscription-widget-wrap"><div class="subscription-widget"><div '
              f'class="preamble"><p>{p.pick(LETTER)}</p></div></div></div>')
    c = p.comments('<div class="comment"><div class="comment-meta"><a href="/p">{0}</a></div><div '
                   'class="comment-body"><p>{1}</p></div><div class="comment-actions"><a>Reply</a></div></div>')
    return p.head() + f"""<body><div id="entry"><div id="main" class="main typography"><div
class="main-menu"><h1 class="navbar-title"><a href="/">Letters</a></h1><button>Subscribe</button><button>Sign
in</button></div><div class="single-post-container"><article class="newsletter-post post"><div
class="post-header"><h1 class="post-title">{p.title}</h1><h3 class="subtitle"></h3><div
class="byline-wrapper"><a href="/a">{p.author}</a><div>{p.day}</div></div><div class="post-ufi"><a
class="like-button">21</a><a>Share</a></div></div><div class="available-content"><div
class="body markup">{p.body(widget, '<p class="button-wrapper"><a class="button primary" href="/s"><span>Subscribe now</span></a></p>')}
</div></div></article><div class="comments-page"><h4>Discussion about this post</h4><div
class="comment-list">{c}</div></div></div></div><div class="footer-wrap"><div class="footer"><div
class="footer-blurb">© 2024 {p.author} · <a>Privacy</a> ∙ <a>Terms</a></div><div>{p.pick(LEGAL)}</div></div>
</div></div></body></html>"""


def ghost(p):
    return p.head() + f"""<body class="post-template is-head-left"><div class="gh-viewport"><header
class="gh-navigation gh-outer"><div class="gh-navigation-inner"><nav class="gh-navigation-menu"><ul
class="nav">{p.links(5)}</ul></nav></div></header><main class="gh-main"><article class="gh-article
post"><header class="gh-article-header gh-canvas"><a class="gh-article-tag" href="/t">News</a><h1
class="gh-article-title">{p.title}</h1><div class="gh-article-meta"><h4 class="gh-article-author-name">
{p.author}</h4><time datetime="{p.day}">{p.day}</time><span class="gh-article-meta-length">— 4 min read
</span></div></header><section class="gh-content gh-canvas">{p.body(
'<div class="kg-card kg-signup-card"><h2>Sign up</h2><p>' + p.pick(LETTER) + '</p></div>')}</section>
</article><div class="gh-comments gh-canvas"><h2>Member discussion</h2></div></main><section
class="gh-container is-grid gh-outer"><h2 class="gh-container-title">Read more</h2><div class="gh-feed">
{p.teasers(4, "<article class='gh-card post'><a href='/p'><h3 class='gh-card-title'>{0}</h3><p class='gh-card-excerpt'>{1}</p></a></article>", 35)}
</div></section><footer class="gh-footer gh-outer"><section class="gh-footer-signup"><h2>Subscribe</h2><p>
{p.pick(LETTER)}</p></section><div class="gh-footer-copyright">Powered by Ghost</div></footer></div>
</body></html>"""


def hugo(p):
    return p.head() + f"""<body><header><nav><a href="/">~/example</a><ul>{p.links(4)}</ul></nav></header>
<main><article><h1>{p.title}</h1><time>{p.day}</time>{p.body()}</article><section class="prev-next"><a
href="/p">← {p.headline()}</a> <a href="/n">{p.headline()} →</a></section></main><footer><p>{p.pick(LEGAL)}
</p></footer></body></html>"""


def jekyll(p):
    d = p.comments('<li class="post-disqus"><div class="post-byline"><b>{0}</b></div><div '
                   'class="post-message"><p>{1}</p></div></li>', 3)
    return p.head() + f"""<body><header class="site-header" role="banner"><div class="wrapper"><a
class="site-title" href="/">notes</a><nav class="site-nav"><div class="trigger">{p.links(4,
"<a class='page-link' href='/{0}'>{1}</a>")}</div></nav></div></header><main class="page-content"
aria-label="Content"><div class="wrapper"><article class="post h-entry"><header class="post-header"><h1
class="post-title p-name">{p.title}</h1><p class="post-meta">{p.day} • {p.author}</p></header><div
class="post-content e-content">{p.body()}</div><div id="disqus_thread"><ul id="post-list">{d}</ul></div>
</article></div></main><footer class="site-footer h-card"><div class="footer-col-wrapper"><p>{p.para()}
</p></div></footer></body></html>"""


def ministry(p):
    return p.head() + f"""<body class="template-document"><a href="#c" class="govuk-skip-link">Skip to main
content</a><div id="global-cookie-message" class="gem-c-cookie-banner" role="region"><h2>Cookies on this
site</h2><p>{p.pick(COOKIES)}</p></div><header role="banner" id="global-header"><nav>{p.links(6)}</nav></header>
<div id="wrapper"><div class="govuk-breadcrumbs"><ol>{p.links(3)}</ol></div><main role="main"
id="content"><div class="gem-c-title"><span class="context">Guidance</span><h1>{p.title}</h1></div><div
class="gem-c-metadata"><dl><dt>From:</dt><dd><a href="/o">Department of Examples</a></dd><dt>Published</dt>
<dd>{p.day}</dd></dl></div><div class="contents-list-container"><h2>Contents</h2><ol>{p.teasers(5,
"<li><a href='#x'>{0}</a></li>")}</ol></div><div class="gem-c-govspeak govuk-govspeak"><div
class="govspeak">{p.body()}</div></div><div class="responsive-bottom-margin"><a href="#">Print this page
</a></div></main><div class="gem-c-related-navigation"><h2>Related content</h2><ul>{p.teasers(4)}</ul></div>
<div class="gem-c-feedback"><h2>Is this page useful?</h2><p>Help us improve. Don’t include personal or
financial information.</p></div></div><footer class="gem-c-layout-footer" role="contentinfo"><ul>{p.links(8)}
</ul><p>{p.pick(LEGAL)}</p></footer></body></html>"""


def soup(p):
    return p.head() + f"""<body><div class="wrap"><div class="top">{p.links(8, "<span><a href='/{0}'>{1}</a></span>")}
</div><div class="left"><div class="box"><div class="boxtitle">Latest news</div>{p.teasers(5,
"<div class='boxitem'><a href='/l'>{0}</a><div class='intro'>{1}</div></div>", 14)}</div></div><div
class="center"><div class="headline">{p.title}</div><div class="info">{p.day} | {p.author} | <a
href="/c">5 comments</a></div><div class="text">{p.body('<div class="adsbygoogle banner">' + p.pick(ADS) + '</div>')
.replace("<p>", "<div>").replace("</p>", "</div>")}</div><div class="tools"><a href="/p">Print</a> <a
href="/m">Send to a friend</a></div><div class="more">See also: {p.links(4, "<a href='/{0}'>{1}</a>, ")}</div>
</div><div class="bottom">{p.pick(LEGAL)}</div></div></body></html>"""


def plain(p):
    return f"""<html><head><title>{p.title}</title></head><body><center><h1>{p.title}</h1></center><hr>
{p.body()}<hr><address>{p.author}, {p.day}</address><a href="index.html">Back to the index</a></body></html>"""


def amp(p):
    related = ('<div class="i-amphtml-related"><h4>Recommended</h4>' +
               p.teasers(2, "<a href='/r'>{0}</a>") + "</div>")
    ld = ('<script type="application/ld+json">{"@type":"NewsArticle","datePublished":"' + p.day +
          'T09:10:11+02:00"}</script>')
    return p.head(ld) + f"""<body><amp-sidebar id="s"><ul>{p.links(9)}</ul></amp-sidebar><header
class="headerbar">Example AMP</header><article class="amp-wp-article"><header class="amp-wp-article-header">
<h1 class="amp-wp-title">{p.title}</h1><div class="amp-wp-meta amp-wp-byline">{p.author}</div><div
class="amp-wp-meta amp-wp-posted-on"><time datetime="{p.day}">{p.day}</time></div></header><div
class="amp-wp-article-content">{p.body('<amp-ad width=300 height=250>' + p.pick(ADS) + '</amp-ad>', related)}
</div><footer class="amp-wp-article-footer"><div class="amp-wp-meta amp-wp-tax-tag">Tags: {p.links(3,
"<a href='/{0}'>{1}</a> ")}</div></footer></article><amp-consent id="c"><div id="consent-ui">
{p.pick(COOKIES)} <button>OK</button></div></amp-consent><footer class="amp-wp-footer"><p>{p.pick(LEGAL)}</p>
<a href="#top" class="back-to-top">Back to top</a></footer></body></html>"""


def squarespace(p):
    return p.head() + f"""<body id="collection-1" class="view-item has-banner-image"><div
class="Site"><header class="Header Header--top"><nav class="Header-nav">{p.links(6, "<a href='/{0}' class='Header-nav-item'>{1}</a>")}
</nav></header><main class="Main Main--blog-item"><section class="Main-content"><article class="BlogItem
hentry"><h1 class="BlogItem-title">{p.title}</h1><div class="sqs-layout sqs-grid-12"><div class="row
sqs-row"><div class="col sqs-col-12"><div class="sqs-block html-block"><div class="sqs-block-content">
{p.body()}</div></div><div class="sqs-block newsletter-block"><div class="newsletter-form-wrapper"><p>
{p.pick(LETTER)}</p></div></div></div></div></div><div class="BlogItem-share">{p.links(0,
"<a href='/{0}'>{1}</a>", words=SHARE[:5])}</div></article><nav class="BlogItem-pagination"><a href="/o">
<div class="BlogItem-pagination-link-label">Older</div><div>{p.headline()}</div></a></nav></section></main>
<div class="sqs-cookie-banner-v2"><p>{p.pick(COOKIES)}</p></div><footer class="Footer"><div
class="Footer-blocks"><p>{p.pick(LEGAL)}</p></div></footer></div></body></html>"""


TEMPLATES = (wordpress, elementor, drupal, blogger, mediawiki, readthedocs, mkdocs, docusaurus,
             newspaper, tables, phpbb, discourse, questions, shop, joomla, magazine, substack, ghost,
             hugo, jekyll, ministry, soup, plain, amp, squarespace)


def write(prose, directory, seed=7):
    os.makedirs(directory, exist_ok=True)
    for template in TEMPLATES:
        for i in range(PAGES):
            p = Page(random.Random(f"{seed} {template.__name__} {i}"), prose)
            name = f"{directory}/{template.__name__}-{i}"
            with open(name + ".html", "w", encoding="utf-8") as f:
                f.write(template(p))
            with open(name + ".txt", "w", encoding="utf-8") as f:
                f.write("\n".join(p.gold) + "\n")


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as prose_file:
        write(prose_file.read().splitlines(), *sys.argv[2:])
