#!/usr/bin/env python3
"""The pages of llm-serve in a real browser, Debian's chromium without a window.

A stand-in server fails as it is told to; what a reader does is done by mouse and
keyboard.  With a directory as argument, pictures of the pages are left in it.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

import browser
from mock import MARKDOWN, POLICY, Mock
from real import ROOT, done, ok, skip, tmp

PICTURES = sys.argv[1] if len(sys.argv) > 1 else None

LOG = "document.querySelector('#log')"
LAST = "document.querySelector('#log .assistant:last-child')"
IDLE = "!document.querySelector('#send').hidden"
NAMES = "[...document.querySelectorAll('#list .open')].map(e => e.textContent)"


def picture(page, name):
    if PICTURES:
        time.sleep(0.3)
        page.picture(os.path.join(PICTURES, name + ".png"))


def write(page, text):
    page.eval("document.querySelector('#prompt').focus()")
    page.type(text)
    page.press("Enter")


def send(page, text, seconds=10):
    """Send, and wait for the whole answer; its text."""
    n = page.eval(LOG + ".children.length")
    write(page, text)
    if not page.until(f"{LOG}.children.length === {n + 2} && {IDLE}", seconds):
        return None
    return page.eval(LAST + ".querySelector('.text').textContent")


def fresh(mock, chrome):
    page = chrome.page()
    page.size(1200, 800)
    page.open(mock.url + "/")
    page.until("document.querySelector('#model').options.length")
    return page


def equal(got, want, what):
    ok(got == want, what, f"got  {got!r}\nwant {want!r}")


# ---- What modules do by themselves

EVENTS = [
    ("lines that end with LF", "data: a\n\ndata: b\n\n", ["a", "b"]),
    ("with CR and LF", "data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    ("with CR", "data: a\r\rdata: b\r\r", ["a", "b"]),
    ("comments, and fields of no use", ": ping\n\nevent: x\nid: 1\nretry: 5\ndata:a\n\n", ["a"]),
    ("data of several lines", "data: a\ndata:  b\ndata\n\n", ["a\n b\n"]),
    ("an event that is not whole", "data: a\n\ndata: b\n", ["a"]),
    ("text beyond ASCII", "data: \u00e9\u4e2d\U0001f30a\n\n", ["\u00e9\u4e2d\U0001f30a"]),
    ("many empty lines", "\n\n\r\n\rdata: a\n\n\n\n", ["a"]),
]


def parser(page):
    for what, text, want in EVENTS:
        got = page.eval(f"""import("/api.js").then(async ({{ events, EventParser }}) => {{
            const bytes = new TextEncoder().encode({json.dumps(text)});
            const wrong = [];
            for (let cut = 0; cut <= bytes.length; cut++)
                for (const step of [0, 1]) {{
                    const stream = new ReadableStream({{ start(c) {{
                        if (step)
                            for (const b of bytes)
                                c.enqueue(new Uint8Array([b]));
                        else {{
                            c.enqueue(bytes.slice(0, cut));
                            c.enqueue(bytes.slice(cut));
                        }}
                        c.close();
                    }} }});
                    const got = [];
                    for await (const e of events({{ body: stream }}))
                        got.push(e);
                    if (JSON.stringify(got) !== {json.dumps(json.dumps(want, ensure_ascii=False,
                                                                       separators=(",", ":")))})
                        wrong.push([cut, step, got]);
                }}
            return wrong;
        }})""")
        equal(got, [], f"events: {what}, cut anywhere")


def a(href, text):
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer">{text}</a>'


BLOCKS = [
    ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
    ("# A *b*\n###### f ##\n#no\n# c# \n#", "<h3>A <em>b</em></h3><h6>f</h6><p>#no</p><h3>c#</h3><h3></h3>"),
    ("a\n***\nb", "<p>a</p><hr><p>b</p>"),
    ("> a\n> > b\n\nc", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote><p>c</p>"),
    ("- a\n- b\n  more\n\n  - c\n* d", "<ul><li><p>a</p></li><li><p>b<br>more</p><ul><li><p>c</p>"
     "</li></ul></li></ul><ul><li><p>d</p></li></ul>"),
    ("3. a\n   - b\n4. c\nlazy", '<ol start="3"><li><p>a</p><ul><li><p>b</p></li></ul></li>'
     "<li><p>c<br>lazy</p></li></ol>"),
    ("1986. A year", '<ol start="1986"><li><p>A year</p></li></ol>'),
    ("- a\n\n\nb", "<ul><li><p>a</p></li></ul><p>b</p>"),
    ("|a|b|\n|-|-|\n|1 \\| 2|\nx", '<div class="table" tabindex="0" role="group" aria-label="Table">'
     "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1 | 2</td><td></td></tr>"
     "</tbody></table></div><p>x</p>"),
    ("a | b\nno table", "<p>a | b<br>no table</p>"),
]
SPANS = [
    ("*a* _b_ **c** __d__ ***e*** ~~f~~", "<em>a</em> <em>b</em> <strong>c</strong> "
     "<strong>d</strong> <em><strong>e</strong></em> <del>f</del>"),
    ("**a *b* c** *a **b** c*", "<strong>a <em>b</em> c</strong> <em>a <strong>b</strong> c</em>"),
    ("**a *b***", "<strong>a <em>b</em></strong>"),
    ("2 * 3 * 4, snake_case_name, a ** b", "2 * 3 * 4, snake_case_name, a ** b"),
    ("**open and *so on", "**open and *so on"),
    ("`a*b*` ``c`d`` `` ` `` `e", "<code>a*b*</code> <code>c`d</code> <code>`</code> `e"),
    (r"\*a\* \_b \[c\](d) \\", r"*a* _b [c](d) \\"[:-1]),
    ("*a `*` b*", "<em>a <code>*</code> b</em>"),
    ("[a *b*](https://c.example/d_e_f \"t\")", a("https://c.example/d_e_f", "a <em>b</em>")),
    ("![alt](http://c.example/i.png)", a("http://c.example/i.png", "alt")),
    ("See https://c.example/a_(b). (https://c.example)", "See " + a("https://c.example/a_(b)",
     "https://c.example/a_(b)") + ". (" + a("https://c.example/", "https://c.example") + ")"),
    ("<https://c.example/?a=1&b>", a("https://c.example/?a=1&amp;b", "https://c.example/?a=1&amp;b")),
    ("[x](javascript:alert(1)) [y](/path) [z](ftp://h/)", "[x](javascript:alert(1)) [y](/path) [z](ftp://h/)"),
    ("[x](java\tscript:1) <b>&amp;</b>", "[x](java\tscript:1) &lt;b&gt;&amp;amp;&lt;/b&gt;"),
]


def rendered(page, text, grown=False):
    return page.eval(f"""import("/markdown.js").then(({{ Markdown }}) => {{
        const box = document.createElement("div"), m = new Markdown(box);
        const text = {json.dumps(text)};
        if ({json.dumps(grown)})
            for (let n = 0; n < text.length; n++)
                m.update(text.slice(0, n));
        m.update(text);
        return box.innerHTML;
    }})""")


def markdown(page):
    for text, want in BLOCKS:
        equal(rendered(page, text), want, f"Markdown: {text!r}")
    for text, want in SPANS:
        equal(rendered(page, text), f"<p>{want}</p>", f"Markdown: {text!r}")
    code = rendered(page, "```c\nint x;\n  <b>\n\n*y*\n```\nz")
    ok('<figcaption><span>c</span><button type="button" class="copy plain">Copy</button>' in code and
       ">int x;\n  &lt;b&gt;\n\n*y*</code>" in code and code.endswith("<p>z</p>"), "Markdown: code", code)
    for text in [MARKDOWN] + [b for b, _ in BLOCKS] + ["- a\n\n  ```\n  x\n\n  y\n  ```\n- b\n\n> q\nr"]:
        equal(rendered(page, text, True), rendered(page, text), f"as much when it grows: {text[:20]!r}")
    for what, text in [("brackets", "[" * 100000), ("links", "[a](" * 25000), ("marks", "*a _b " * 20000),
                       ("closed marks", "**a* " * 20000), ("backquotes", "` `` ``` " * 10000),
                       ("quotes", ">" * 50000 + "a"), ("lists", "- " * 50000), ("bars", "|a" * 50000),
                       ("spaces", "a" + " " * 100000 + "b"), ("runs", "*" * 100000), ("tables", "|-" * 9999 + "\n" + "|-" * 9999),
                       ("a heading", "# a" + " " * 100000 + "b"), ("a fence", "```a" + " " * 100000 + "b"),
                       ("a link's blanks", "[a](" + " " * 100000 + "x y"), ("a row", "a|b\n" + " " * 100000 + "x"),
                       ("an address", "https://x" + "!" * 50000 + ")" * 50000 + "a https://x" + ")" * 50000),
                       ("deep lists", "\n".join(" " * i + "- a" for i in range(400)))]:
        start = time.monotonic()
        rendered(page, text)
        ok(time.monotonic() - start < 3, f"{len(text)} characters of {what} in {time.monotonic() - start:.2f} s")


def numbers(page):
    got = page.eval("""import("/metrics.js").then(({ parse, growth, quantiles }) => {
        const text = n => `# HELP x y\\nc{a="1"} ${n}\\nc{a="2"} 1e1 1700000000\\ng NaN\\n` +
            `h_bucket{m="x",le="0.1"} ${n}\\nh_bucket{m="y",le="0.1"} 0\\n` +
            `h_bucket{le="0.2",m="x"} ${2 * n}\\nh_bucket{m="x",le="+Inf"} ${4 * n}\\n`;
        const [a, b] = [parse(text(0)), parse(text(10))];
        return [a.get("c"), b.get("c"), growth(a, b, "c"), growth(b, a, "c"), growth(a, b, "none"),
            quantiles(a, b, "h", [.25, .375, .5, .99]), quantiles(b, b, "h", [.5]),
            quantiles(b, a, "h", [.5]), quantiles(a, b, "none", [.5])];
    })""")
    equal(got[:5] + got[6:], [10, 20, 10, 10, 0, [None], [None], [None]], "samples over their labels")
    ok(all(abs(x - y) < 1e-9 for x, y in zip(got[5], [.1, .15, .2, .2])), "quantiles of what was added", got[5])


# ---- What a reader does

def talk(page, state):
    state.pause = 0.05
    write(page, "Tell me of the tide.")
    grown = [page.until(f"{LAST}?.querySelector('.text').textContent.includes('{w}')")
             and not page.eval(IDLE) for w in ("tide", "boats")]
    ok(all(grown), "an answer is seen as it comes")
    picture(page, "coming")
    ok(page.until(IDLE), "and ends")
    state.pause = 0.002
    figures = page.eval(LAST + ".querySelector('.figures').textContent")
    ok("20 tokens" in figures and "/s" in figures and "first after" in figures and "prompt 9" in figures,
       "tokens, speed and prompt are told", figures)
    equal(state.asked[-1], {"model": "SmolLM2-135M-Instruct", "stream": True,
          "stream_options": {"include_usage": True},
          "messages": [{"role": "user", "content": "Tell me of the tide."}]}, "nothing is asked but what is set")
    ok(page.eval("document.activeElement.id") == "prompt", "the field has the focus still")
    said = page.eval("document.querySelector('#speech').textContent")
    ok("The tide comes in" in said, "a screen reader hears it", said)

    page.type("say one")
    page.press("Enter", shift=True)
    page.type("two")
    ok(page.eval("document.querySelector('#prompt').value") == "say one\ntwo", "Shift and Enter start a line")
    page.press("Enter")
    page.until(IDLE + f" && {LOG}.children.length === 4")
    ok(page.eval(LAST + ".querySelector('.text').innerText").strip() == "one\ntwo", "and lines are kept")
    figures = page.eval(LAST + ".querySelector('.figures').textContent")
    ok("cached" in figures, "what came from the cache is told", figures)


def stop(page, state):
    state.pause, n = 0.02, len(state.asked)
    state.gone.clear()
    write(page, "a long one")
    page.until(LAST + "?.querySelector('.text').textContent.length > 60")
    page.press("Escape")
    ok(page.until(IDLE), "Esc stops an answer")
    ok(state.gone.wait(5), "and the server knows")
    figures = page.eval(LAST + ".querySelector('.figures').textContent")
    ok("stopped" in figures and page.eval(LAST + ".querySelector('.text').textContent.length") > 60,
       "what had come stays", figures)
    write(page, "another long one")
    page.until(LAST + "?.querySelector('.text').textContent.length > 60")
    page.click("#stop")
    ok(page.until(IDLE), "the button does too")
    ok(page.eval("document.activeElement.id") == "prompt", "and the focus goes to the field")
    state.pause = 0.002
    ok(len(state.asked) == n + 2 and state.asked[-1]["messages"][-2]["role"] == "assistant",
       "what was stopped is part of what follows")


def again(page, state):
    send(page, "say first")
    page.click("#log .assistant:last-child .again")
    page.until(IDLE + f" && {LAST}.querySelector('.which').textContent === '2 of 2'")
    ok(page.eval(LAST + ".querySelector('.which').textContent") == "2 of 2", "an answer is asked for again")
    equal(state.asked[-1], state.asked[-2], "with the same question")
    page.click("#log .assistant:last-child .before")
    ok(page.until(LAST + ".querySelector('.which').textContent === '1 of 2'"), "the first one is still there")
    ok(page.eval("document.activeElement.classList.contains('after')"),
       "the focus stays where there is something to press")
    ok(page.eval("[...document.querySelectorAll('.again')].filter(e => !e.hidden).length") == 1,
       "only the last can be asked for again")


def edit(page, state):
    page.eval("document.querySelector('#prompt').focus()")
    page.press("ArrowUp")
    ok(page.eval("document.activeElement.closest('.editor') !== null"), "the arrow edits the last message")
    page.press("Escape")
    ok(page.eval("document.querySelector('.editor') === null && "
                 "document.activeElement.classList.contains('edit')"), "Esc leaves it as it was")
    page.click("#log .user .edit", 0)
    ok(page.eval("document.querySelector('.editor .note').textContent") != "", "what is lost is said before")
    page.eval("document.activeElement.select()")
    page.type("say changed")
    page.press("Enter", ctrl=True)
    page.until(IDLE + f" && {LAST}.querySelector('.text').textContent === 'changed'")
    ok(page.eval(LOG + ".children.length") == 2 and state.asked[-1]["messages"][-1]["content"] == "say changed",
       "a message is edited and sent again")
    page.click("#log .assistant .edit")
    page.eval("document.activeElement.select()")
    page.type("other **words**")
    page.click(".editor .main")
    page.until(LAST + ".querySelector('strong')")
    send(page, "say ok")
    equal(state.asked[-1]["messages"][1], {"role": "assistant", "content": "other **words**"},
          "an answer too, and the server is told so")
    ok(page.eval("document.querySelector('#log .assistant .up').hidden"), "it cannot be rated then")


def rate(page, state):
    send(page, "say rate me")
    uid = page.eval("JSON.parse(localStorage.getItem('llm.conversation.' + "
                    "sessionStorage.getItem('llm.current'))).messages.at(-1).answers[0].id")
    page.click("#log .assistant:last-child .down")
    ok(page.until(LAST + ".querySelector('.down').getAttribute('aria-pressed') === 'true'"), "a bad answer is marked")
    page.type("wrong on ")
    page.type("facts")
    page.press("Enter")
    page.until(LAST + ".querySelector('.comment').hidden")
    page.click("#log .assistant:last-child .up")
    page.until(LAST + ".querySelector('.up').getAttribute('aria-pressed') === 'true'")
    equal(state.feedback, [{"id": uid, "rating": -1}, {"id": uid, "rating": -1, "comment": "wrong on facts"},
          {"id": uid, "rating": 1}], "the server gets the ratings")


def settings(page, state):
    page.click("#panel-open")
    ok(page.eval("document.querySelector('#panel-open').getAttribute('aria-expanded')") == "true", "settings open")
    values = dict(system="Be brief.", temperature="0.7", top_p="0.9", top_k="40", min_p="0.05", max_tokens="64",
                  seed="42", presence_penalty="0.5", frequency_penalty="-0.5", stop="END\n\\n\\n",
                  format="json_schema", schema='{"type":"object"}')
    page.eval(f"""for (const [name, value] of Object.entries({json.dumps(values)})) {{
        const e = document.querySelector("#settings").elements[name];
        e.value = value;
        e.dispatchEvent(new Event("input", {{ bubbles: true }}));
    }}""")
    picture(page, "settings")
    page.eval("""{ const m = document.querySelector("#model"); m.value = "pirate";
        m.dispatchEvent(new Event("change", { bubbles: true })); }""")
    ok(page.eval("document.querySelector('#model optgroup').label").startswith("SmolLM2"), "adapters have their model")
    send(page, "say x")
    body = state.asked[-1]
    equal({k: v for k, v in body.items() if k not in ("messages", "stream", "stream_options")},
          {"model": "pirate", "temperature": 0.7, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "max_tokens": 64,
           "seed": 42, "presence_penalty": 0.5, "frequency_penalty": -0.5, "stop": ["END", "\n\n"],
           "response_format": {"type": "json_schema", "json_schema": {"name": "answer",
                               "schema": {"type": "object"}}}}, "all settings are sent")
    equal(body["messages"][0], {"role": "system", "content": "Be brief."}, "and the system prompt")
    page.eval("""{ const e = document.querySelector("#settings").elements.schema; e.value = "{";
        e.dispatchEvent(new Event("input", { bubbles: true })); }""")
    n = len(state.asked)
    send(page, "say y")
    ok(len(state.asked) == n and "JSON schema" in page.eval(LAST + ".querySelector('.error').textContent"),
       "a schema that is no JSON is said to be none")
    page.click("#defaults")
    send(page, "say z")
    ok("temperature" not in state.asked[-1], "and all are taken back")
    page.click("#panel-close")


def hostile(page, mock):
    send(page, "something hostile")
    time.sleep(0.3)
    ok(page.eval("window.hurt === undefined"), "nothing that a model writes is executed")
    found = page.eval("[...document.querySelectorAll('#log .text *')].map(e => e.localName)")
    ok(set(found) <= set("p br a code pre figure figcaption span button strong em div table thead tbody tr th "
                         "td h3".split()), "nor becomes an element but of Markdown", set(found))
    links = page.eval("[...document.querySelectorAll('#log .text a')].map(e => [e.href, e.rel, e.target])")
    ok(len(links) == 2 and all(h.startswith(("http://", "https://")) and r == "noopener noreferrer" and t == "_blank"
                               for h, r, t in links), "links lead to http and https, and are not followed back", links)
    ok(page.eval("[...document.querySelectorAll('#log *')].every(e => ![...e.attributes].some(a => "
                 "a.name.startsWith('on')))"), "no attribute acts")
    shown = page.eval(LAST + ".querySelector('.text').textContent")
    ok("<img src=x onerror=" in shown and "javascript:window.hurt=1" in shown, "all of it is shown as it is")
    write(page, "<img src=x onerror=window.hurt=1>")
    page.until(IDLE)
    ok(page.eval("window.hurt === undefined && document.querySelector('#side img, #title img') === null"),
       "nor what the reader writes")
    away = [r for r in page.requests if not r.startswith((mock.url, "data:", "blob:"))]
    equal(away, [], "no other server is asked for anything")


def failures(page, mock):
    state = mock.state
    state.busy = 2
    write(page, "say at last")
    ok(page.until(LAST + "?.querySelector('.busy').textContent.includes('again in 1 s')"),
       "a busy server is waited for, as long as it says")
    picture(page, "busy")
    ok(page.until(IDLE + f" && {LAST}.querySelector('.text').textContent === 'at last'"), "and asked again")
    state.busy = 9
    write(page, "say never")
    page.until(LAST + "?.querySelector('.busy').textContent !== ''")
    page.press("Escape")
    ok(page.until(IDLE), "Esc ends the waiting")
    state.busy = 0

    for text, words, what in [("an error, please", "Out of cache memory", "an error in the middle"),
                              ("a cut, please", "connection was lost", "a connection that is lost")]:
        shown = send(page, text)
        error = page.eval(LAST + ".querySelector('.error').textContent")
        ok(words in error and shown.startswith("The tide comes"), f"{what} is said, and what had come stays",
           f"{error} {shown}")
    picture(page, "error")
    ok("Out of cache" in page.eval("document.querySelector('#log').textContent") and
       "lost" in page.eval("document.querySelector('#speech').textContent"), "aloud too")
    page.click("#log .assistant:last-child .retry")
    ok(page.until(LAST + ".querySelector('.which').textContent === '2 of 2'"), "it can be tried again")
    page.until(IDLE)
    page.eval("""{ const e = document.querySelector("#settings").elements.temperature; e.value = "3";
        e.dispatchEvent(new Event("input", { bubbles: true })); }""")
    send(page, "say hot")
    ok("temperature must be" in page.eval(LAST + ".querySelector('.error').textContent"), "what is refused is said")
    page.eval("document.querySelector('#defaults').click()")
    page.click("#log .assistant:last-child .retry")
    page.until(IDLE + f" && {LAST}.querySelector('.text').textContent === 'hot'")
    ok(page.eval(LAST + ".querySelector('.choice').hidden"), "an answer that never came leaves none behind")
    send(page, "the limit")
    ok("limit of tokens" in page.eval(LAST + ".querySelector('.figures').textContent"), "an end by the limit is said")


def keep(page, chrome, mock):
    page.click("#new")
    send(page, "say kept")
    page.reload()
    page.until("document.querySelector('#model').options.length")
    ok(page.eval(LAST + ".querySelector('.text').textContent") == "kept" and page.eval(NAMES)[0] == "say kept",
       "a conversation survives a reload")
    page.click("#list li:first-child .rename")
    page.type("A better name")
    page.press("Enter")
    ok(page.until(NAMES + "[0] === 'A better name'") and page.eval("document.title").startswith("A better name"),
       "it gets another name")
    ok(page.eval("document.activeElement.classList.contains('rename')"), "the focus is back where it was")
    saved = page.eval("import('/store.js').then(({ store }) => store.exported())")
    n = page.eval(NAMES + ".length")
    page.click("#list li:first-child .delete")
    page.until(NAMES + f".length === {n - 1}")
    ok(page.eval("document.activeElement.textContent") == "Undo", "what is deleted can be had back")
    page.press("Enter")
    ok(page.until(NAMES + "[0] === 'A better name'") and
       page.eval(LAST + ".querySelector('.text').textContent") == "kept", "as it was")
    page.click("#list li:first-child .delete")
    page.until(NAMES + f".length === {n - 1}")
    mock.state.models.clear()
    page.reload()
    ok("A better name" not in page.eval(NAMES), "or is gone")

    def load(text):
        path = tmp("import.json")
        with open(path, "w") as f:
            f.write(text)
        page.eval("document.querySelector('#notice').textContent = ''")
        node = page.call("DOM.querySelector", nodeId=page.call("DOM.getDocument")["root"]["nodeId"],
                         selector="#file")["nodeId"]
        page.call("DOM.setFileInputFiles", files=[path], nodeId=node)
        page.until("document.querySelector('#notice').textContent !== ''")
        return page.eval("document.querySelector('#notice').textContent")

    got = load(saved)
    ok("imported" in got and page.eval(NAMES).count("A better name") == 1, "what was exported can be imported", got)
    mock.state.models.set()
    ok(page.until("document.querySelector('#model').options.length") and
       page.eval("document.querySelector('#notice').textContent") == got, "which stays when models are listed")
    for text in ("", "{", "[]", "null", '{"format":"x"}', '{"format":"llm-conversations","conversations":3}'):
        got = load(text)
        ok("no conversations" in got, f"what is no export is refused: {text}", got)
    evil = {"format": "llm-conversations", "version": 1, "conversations": [None, 3, {"id": "../x"}, {
        "id": "evil", "title": "<img src=x onerror=window.hurt=1>", "updated": 9e15, "settings": {"system": {}},
        "messages": [{"role": "user", "content": 3}, {"role": "user", "content": "<b>hi</b>"}, {"role": "assistant",
                     "answers": [{"content": "<script>window.hurt=1</script>", "tokens": "<b>", "rating": {}}],
                     "at": 99}]}]}
    load(json.dumps(evil))
    page.eval("[...document.querySelectorAll('#list .open')].find(e => e.textContent.includes('onerror')).click()")
    page.until("document.querySelector('#log').children.length === 2")
    ok(page.eval("window.hurt === undefined && document.querySelector('#log .user .text').textContent") ==
       "<b>hi</b>" and page.eval("document.querySelectorAll('#list img, #log b, #log script').length") == 0,
       "a hostile one is text")
    page.eval("[...document.querySelectorAll('#list li')].find(e => e.textContent.includes('onerror'))"
              ".querySelector('.delete').click()")

    other = fresh(mock, chrome)
    send(other, "say from another tab")
    ok(page.until(NAMES + "[0] === 'say from another tab'"), "another tab's conversation is listed at once")
    mock.state.pause = 0.02
    write(other, "long, in the background")
    other.until(LAST + "?.querySelector('.text').textContent.length > 60")
    other.click("#new")
    ok(send(other, "say meanwhile") == "meanwhile", "two conversations are answered at once")
    other.click("#list li .open", 1)
    ok(other.until("!document.querySelector('#stop').hidden"), "the first is coming still")
    other.reload()
    other.until(LOG + ".children.length")
    shown = other.eval(LAST + ".textContent")
    ok(("not whole" in shown or "was lost" in shown) and
       other.eval(LAST + ".querySelector('.text').textContent.length") > 60, "left in the middle, it keeps what came", shown)
    mock.state.pause = 0.002
    other.eval("""{ const set = Storage.prototype.setItem; Storage.prototype.setItem = function (...a) {
        if (this === localStorage)
            throw new DOMException("full", "QuotaExceededError");
        set.apply(this, a); } }""")
    write(other, "say full")
    ok(other.until("document.querySelector('#notice').textContent.includes('no room')"), "a full store is said")

    bare = chrome.page()
    bare.call("Page.addScriptToEvaluateOnNewDocument", source="""for (const name of ["localStorage", "sessionStorage"])
        Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });""")
    bare.open(mock.url + "/")
    ok(bare.until("document.querySelector('#notice').textContent.includes('stores nothing')"),
       "a browser that stores nothing is said to")
    ok(send(bare, "say it") == "it" and bare.eval(NAMES) == ["say it"], "and can be used")
    bare.eval("""{ const e = document.querySelector("#theme"); e.value = "dark"; e.dispatchEvent(new Event("change")); }""")
    ok(bare.eval("document.documentElement.dataset.theme") == "dark", "in any colour")
    return other


def follow(page, state):
    page.click("#new")
    state.pause = 0.004
    write(page, "a long one")
    page.until("document.querySelector('#scroll').scrollTop > 300", 20)
    page.wheel("#scroll", -200)
    page.until("!document.querySelector('#latest').hidden")
    top = page.eval("document.querySelector('#scroll').scrollTop")
    high = page.eval("document.querySelector('#scroll').scrollHeight")
    ok(page.until(f"document.querySelector('#scroll').scrollHeight > {high + 200}", 20), "more comes below")
    now = page.eval("document.querySelector('#scroll').scrollTop")
    ok(abs(now - top) < 3, "and leaves alone who reads above", f"{top} {now}")
    page.click("#latest")
    ok(page.until("(e => e.scrollHeight - e.clientHeight - e.scrollTop < 60)(document.querySelector('#scroll'))"),
       "until the latest is asked for")
    high = page.eval("document.querySelector('#scroll').scrollHeight")
    page.until(f"document.querySelector('#scroll').scrollHeight > {high + 100}", 20)
    ok(page.eval("(e => e.scrollHeight - e.clientHeight - e.scrollTop < 60)(document.querySelector('#scroll'))"),
       "which is followed again")
    page.press("Escape")
    page.until(IDLE)
    state.pause = 0.002


# ---- Keys, colours, narrow windows, those who do not see or use a mouse

def keys(chrome, mock):
    mock.state.key = "sk-right"
    page = chrome.page()
    page.size(1200, 800)
    page.open(mock.url + "/")
    ok(page.until("document.querySelector('#keys').open"), "a key is asked for where there are keys")
    picture(page, "key")
    page.type("sk-wrong")
    page.press("Enter")
    ok(page.until("document.querySelector('#keys').open && document.querySelector('#keys-why')"
                  ".textContent.includes('Incorrect')"), "a wrong one is said to be wrong")
    page.eval("document.querySelector('#key').select()")
    page.type("sk-right")
    page.press("Enter")
    ok(page.until("document.querySelector('#model').options.length === 3"), "the right one opens")
    ok(send(page, "say in") == "in", "and is sent along")
    ok(page.eval("localStorage.getItem('llm.key')") is None, "it stays in this tab")
    page.reload()
    ok(page.until("document.querySelector('#model').options.length === 3"), "for as long as that is there")
    page.open(mock.url + "/status")
    ok(page.until("document.querySelector('#state').dataset.state === 'up'"), "the status has it too")
    page.open(mock.url + "/")
    page.until("document.querySelector('#model').options.length")
    mock.state.key = "sk-new"
    send(page, "say out")
    ok(page.until("document.querySelector('#keys').open"), "a key that has become wrong is asked for")
    page.click("#key-forget")
    page.until("document.querySelector('#keys').open && document.querySelector('#key').value === ''")
    page.type("sk-new")
    page.click("#keep")
    page.press("Enter")
    page.until("document.querySelector('#model').options.length === 3")
    ok(page.eval("localStorage.getItem('llm.key')") == "sk-new", "or is kept in the browser")
    page.open(mock.url + "/")
    page.eval("localStorage.removeItem('llm.key')")
    page.open(mock.url + "/status")
    ok(page.until("!document.querySelector('form#keys').hidden"), "the status asks by itself")
    page.eval("document.querySelector('#key').focus()")
    page.type("sk-new")
    page.press("Enter")
    ok(page.until("document.querySelector('#state').dataset.state === 'up'"), "and goes on")
    mock.state.key = None
    return page


CONTRAST = """(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgb = color => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = c => {
        const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v =>
            v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const below = e => {
        for (; e; e = e.parentElement) {
            const c = rgb(getComputedStyle(e).backgroundColor);
            if (c[3] === 255)
                return c;
        }
        return [255, 255, 255];
    };
    const bad = [];
    for (const e of document.querySelectorAll("body *")) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (!(own || e.matches("input, select, textarea")) || !e.checkVisibility() || e.closest(".unseen"))
            continue;
        const style = getComputedStyle(e);
        const [a, b] = [light(rgb(style.color)), light(below(e))];
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < 4.5)
            bad.push([e.localName, e.className, e.textContent.slice(0, 20), ratio.toFixed(2)]);
    }
    return bad;
})()"""

SMALL = """[...document.querySelectorAll("button, select, input, a, textarea, summary")].filter(e => {
    const b = e.getBoundingClientRect();
    return e.checkVisibility() && !e.closest(".unseen, .text p") && (b.width < 24 && e.type !== "checkbox" || b.height < 16);
}).map(e => e.outerHTML.slice(0, 80))"""

CONTROLS = ("button", "link", "textbox", "combobox", "checkbox", "spinbutton", "listbox", "dialog", "navigation",
            "complementary", "region", "group")


def nameless(page):
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    return [n["role"]["value"] for n in nodes if not n.get("ignored") and
            n.get("role", {}).get("value") in CONTROLS and not n.get("name", {}).get("value", "").strip()]


def within_reach(page, what):
    equal(nameless(page), [], f"{what}: every control has a name")
    equal(page.eval(CONTRAST), [], f"{what}: text stands out 4.5 times")
    equal(page.eval(SMALL), [], f"{what}: what is pressed is large enough")
    equal(page.eval("(ids => ids.filter((id, i) => ids.indexOf(id) !== i))"
                    "([...document.querySelectorAll('[id]')].map(e => e.id))"), [], f"{what}: no name is there twice")
    equal(page.eval("[...document.querySelectorAll('[aria-controls], [aria-labelledby], [aria-describedby]')]"
                    ".flatMap(e => ['aria-controls', 'aria-labelledby', 'aria-describedby'].map(a => e.getAttribute(a)))"
                    ".filter(id => id && !document.getElementById(id))"), [], f"{what}: and those that are meant are there")
    ok(page.eval("document.documentElement.lang") == "en", f"{what}: its language is told")


def tabs(page, most=60):
    """What the Tab key comes by, and whether each shows that it has the focus."""
    seen, unseen = ["unseen jump"], []
    page.eval("document.querySelector('.jump').focus()")
    for _ in range(most):
        page.press("Tab")
        name, shows = page.eval("""(() => {
            const e = document.activeElement, s = getComputedStyle(e);
            const box = e.closest("#composer") && e.id === "prompt" ? getComputedStyle(e.closest("form")) : s;
            return [e.id || e.className || e.localName,
                s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 || box.boxShadow !== "none"];
        })()""")
        if name == "body" or seen and name == seen[0] and len(seen) > 3:
            break
        seen.append(name)
        if not shows:
            unseen.append(name)
    return seen, unseen


def colours(page, mock):
    back = "getComputedStyle(document.documentElement).backgroundColor"
    page.open(mock.url + "/")
    page.until("document.querySelector('#model').options.length")
    send(page, "some markdown")
    page.click("#panel-open")
    page.media(color_scheme="light")
    light = page.eval(back)
    within_reach(page, "light")
    picture(page, "light")
    page.media(color_scheme="dark")
    dark = page.eval(back)
    ok(light != dark, "the page is light or dark as the system is")
    within_reach(page, "dark")
    picture(page, "dark")
    page.eval("""{ const e = document.querySelector("#theme"); e.value = "light";
        e.dispatchEvent(new Event("change")); }""")
    equal(page.eval(back), light, "or as the reader wants")
    page.reload()
    equal(page.eval(back), light, "for good")
    page.open(mock.url + "/status")
    equal(page.eval(back), light, "and on both pages")
    page.eval("""{ const e = document.querySelector("#theme"); e.value = "system";
        e.dispatchEvent(new Event("change")); }""")
    equal(page.eval(back), dark, "or as the system again")
    page.call("Page.bringToFront")	# one that is hidden asks for nothing
    page.until("document.querySelector('#state').dataset.state === 'up'")
    within_reach(page, "dark status")
    page.media(color_scheme="light", reduced_motion="reduce")
    within_reach(page, "light status")
    page.open(mock.url + "/")
    page.until("document.querySelector('#model').options.length")
    ok(page.eval("getComputedStyle(document.querySelector('.waiting i')).animationName") == "none",
       "nothing moves where motion is not wanted")
    page.media(color_scheme="light")
    seen, unseen = tabs(page)
    want = ["unseen jump", "new", "open", "model", "panel-open", "scroll", "again", "prompt", "send"]
    places = [next((i for i, s in enumerate(seen) if w in s), -1) for w in want]
    ok(-1 not in places and places == sorted(places), "the Tab key goes by all, in order", f"{seen}")
    equal(unseen, [], "and shows where it is")
    page.eval("document.activeElement.blur()")
    page.press("/")
    ok(page.eval("document.activeElement.id") == "prompt" and page.eval("document.activeElement.value") == "",
       "a slash goes to the message")


def narrow(page):
    page.size(360, 640, 2, True)
    over = "document.scrollingElement.scrollWidth > 360 || document.querySelector('#scroll').scrollWidth > 360"
    ok(not page.eval(over), "360 pixels are wide enough")
    picture(page, "narrow")
    within_reach(page, "narrow")
    page.eval("document.querySelector('#side-open').focus()")
    page.press("Enter")
    ok(page.until("document.querySelector('#side').checkVisibility() && "
                  "document.querySelector('#side').contains(document.activeElement) && "
                  "document.querySelector('#main').inert"), "the conversations open above, with the focus")
    picture(page, "narrow-conversations")
    page.press("Escape")
    ok(page.until("!document.querySelector('#side').checkVisibility() && !document.querySelector('#main').inert")
       and page.eval("document.activeElement.id") == "side-open", "Esc closes them, and the focus is back")
    page.click("#panel-open")
    ok(page.until("document.querySelector('#panel').checkVisibility()") and not page.eval(over), "so do the settings")
    picture(page, "narrow-settings")
    page.click("#panel-close")
    page.size(1200, 800)


def status(chrome, mock):
    page = chrome.page()
    page.size(1200, 1100)
    page.open(mock.url + "/status")
    page.until("document.querySelector('#state').dataset.state === 'up'")
    chat = fresh(mock, chrome)
    for i in range(4):
        send(chat, f"say {i}")
    mock.state.pause = 0.05
    write(chat, "a long one")
    page.call("Page.bringToFront")
    value = "document.querySelector('[data-tile={}] .value').textContent"
    ok(page.until(value.format("running") + " === '1'"), "the status tells what runs")
    ok(page.until("document.querySelectorAll('#slots tr').length === 1 && "
                  "Number(document.querySelector('#slots').rows[0].cells[3].textContent) > 10"), "each by itself")
    ok(page.until("parseFloat(" + value.format("generated") + ") > 5"), "how fast", page.eval(value.format("generated")))
    ok(page.until("document.querySelector('[data-latency]').cells[1].textContent.includes('ms')"), "how soon",
       page.eval("document.querySelector('[data-latency]').textContent"))
    ok("123" not in page.eval("document.querySelector('[data-tile=requests] .more').textContent"),
       "who only looks is not counted")
    ok("%" in page.eval(value.format("hits")) and "%" in page.eval(value.format("cache")), "and how the cache is used")
    n = page.eval("document.querySelector('[data-tile=generated] .line').getAttribute('d').length")
    ok(page.until(f"document.querySelector('[data-tile=generated] .line').getAttribute('d').length > {n}"),
       "its lines grow")
    time.sleep(6 if PICTURES else 0)
    picture(page, "status")
    page.media(color_scheme="dark")
    picture(page, "status-dark")
    page.size(360, 640, 2, True)
    ok(page.eval("document.scrollingElement.scrollWidth") <= 360, "360 pixels are enough for it")
    picture(page, "status-narrow")
    chat.press("Escape")
    chat.until(IDLE)
    ok(page.until("document.querySelectorAll('#slots tr').length === 0"), "what has ended is gone")
    mock.state.pause = 0.002
    return page, chat


def loading(chrome, address):
    """What it takes to load a page again: ms by the clock, and of the tab's processor."""
    page = chrome.page()
    page.call("Network.disable")
    page.call("Performance.enable", timeDomain="threadTicks")
    page.open(address)
    clock, work = [], []
    for _ in range(9):
        page.reload()
        time.sleep(0.3)
        clock.append(page.eval("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        metrics = page.call("Performance.getMetrics")["metrics"]
        work.append(1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration"))
    return statistics.median(clock), statistics.median(work)


def quick(chrome, url):
    """A machine that does other things too stretches the clock, but not how much more work the
    page is than a file that is nothing: 2.4 to 3.0 times where this was written.  Each file
    that a page asks for would be waited for."""
    bare, least = loading(chrome, url + "/icon.svg")
    for path in ("/", "/status"):
        page = chrome.page()
        page.open(url + path)
        files = [u for u in page.requests if u.endswith((path, ".js", ".css"))]
        equal(len(files), 1, f"{path} is one file")
        clock, work = loading(chrome, url + path)
        ok(work < 5 * least, f"{path} is loaded by {work / least:.1f} times the work of a bare file, {work:.0f} ms; "
           f"by the clock {clock:.0f} ms, the bare one {bare:.0f}")


# ---- The server itself

def served(chrome):
    model = os.path.join(ROOT, "obj", "models", "smollm2.gguf")
    if subprocess.call([os.path.join(ROOT, "scripts", "get-model")]) or not shutil.which("llm-serve"):
        skip("llm-serve itself", "no model, or no llm-serve")
        return
    port = tmp("port")
    server = subprocess.Popen(["llm-serve", "-q", "-m", f"SmolLM2={model}", "--port", "0", "--port-file", port,
                               "--context", "512", "--feedback", tmp("feedback.jsonl")])
    try:
        for _ in range(600):
            if os.path.exists(port) and open(port).read().endswith("\n"):
                break
            time.sleep(0.1)
        url = "http://127.0.0.1:" + open(port).read().strip()
        with urllib.request.urlopen(url + "/") as answer:
            equal(answer.headers["Content-Security-Policy"], POLICY, "llm-serve sends the policy")
        page = chrome.page()
        page.size(1200, 800)
        page.open(url + "/")
        ok(page.until("document.querySelector('#model').value === 'SmolLM2'", 30), "it names its model")
        page.eval("""for (const [name, value] of [["max_tokens", "24"], ["seed", "1"], ["temperature", "0"]]) {
            const e = document.querySelector("#settings").elements[name];
            e.value = value;
            e.dispatchEvent(new Event("input", { bubbles: true }));
        }""")
        first = send(page, "What is the capital of France?", 60)
        ok(first, "it answers", first)
        figures = page.eval(LAST + ".querySelector('.figures').textContent")
        ok("token" in figures and "prompt" in figures, "and tells what it took", figures)
        page.click("#log .assistant:last-child .down")
        ok(page.until(LAST + ".querySelector('.down').getAttribute('aria-pressed') === 'true'"), "it takes a rating",
           page.eval("document.querySelector('#notice').textContent"))
        page.type("not in English")
        page.press("Enter")
        page.until("document.querySelector('#notice').textContent !== ''")
        ok("not in English" in open(tmp("feedback.jsonl")).read(), "and what is said of it")
        page.click("#log .assistant:last-child .again")
        page.until(LAST + ".querySelector('.which').textContent === '2 of 2' && " + IDLE, 60)
        equal(page.eval(LAST + ".querySelector('.text').textContent"), first, "the same again, for it is greedy")
        page.eval("document.querySelector('#defaults').click()")
        write(page, "Tell me a long story.")
        page.until(LAST + ".querySelector('.text').textContent.length > 20", 60)
        status = chrome.page()
        status.open(url + "/status")
        ok(status.until("document.querySelectorAll('#slots tr').length === 1", 30), "its status shows that it runs")
        picture(status, "real-status")
        page.call("Page.bringToFront")
        page.press("Escape")
        ok(page.until(IDLE) and "stopped" in page.eval(LAST + ".querySelector('.figures').textContent"), "it stops")
        status.call("Page.bringToFront")
        ok(status.until("document.querySelectorAll('#slots tr').length === 0", 30), "and the status shows that too")
        picture(page, "real")
        equal(page.complaints + status.complaints, [], "the console has nothing to complain of")
        quick(chrome, url)
    finally:
        server.terminate()
        server.wait()


def main():
    if browser.found() is None:
        skip("the pages of llm-serve", "no chromium")
        return
    if PICTURES:
        os.makedirs(PICTURES, exist_ok=True)
    mock, chrome = Mock(), browser.Browser()
    try:
        page = fresh(mock, chrome)
        parser(page)
        markdown(page)
        numbers(page)
        for part in (talk, stop, again, edit, rate, settings):
            part(page, mock.state)
        hostile(page, mock)
        failures(page, mock)
        follow(page, mock.state)
        pages = [page, keep(page, chrome, mock), keys(chrome, mock)]
        colours(page, mock)
        narrow(page)
        pages += status(chrome, mock)
        equal([c for p in pages for c in p.complaints], [], "the console has nothing to complain of")
        served(chrome)
    finally:
        chrome.close()
        mock.close()


main()
done()
