"""extract_peer.py MODULE LIST: MB/s of the pages whose names are the lines of LIST."""
import sys
import time


def main(module, names):
    with open(names, encoding="utf-8") as f:
        pages = [open(n, encoding="utf-8", errors="replace").read() for n in f.read().split()]
    if module == "trafilatura":
        import trafilatura

        def run(page):
            trafilatura.extract(page, favor_precision=True, include_comments=False)
    else:
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.html import HTMLTree

        def run(page):
            extract_plain_text(HTMLTree.parse(page), main_content=True)
    run(pages[0])
    start = time.perf_counter()
    for page in pages:
        run(page)
    print("%.1f" % (sum(len(p.encode()) for p in pages) / 1e6 / (time.perf_counter() - start)))


main(*sys.argv[1:])
