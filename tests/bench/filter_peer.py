#!/usr/bin/env python3
"""MB/s of datatrove's filters on records, read and written as lines, for scripts/curate/filter.sh.

    filter_peer.py FILE

Gopher's repetition and quality, C4 and FineWeb, the first that fails being the last.
"""
import json
import sys
import time

from datatrove.data import Document
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter)

filters = [GopherQualityFilter(), GopherRepetitionFilter(), C4QualityFilter(), FineWebQualityFilter()]
for f in filters:
    f.filter(Document(text="Words are loaded first.", id="0"))
start = time.monotonic()
size = kept = 0
with open(sys.argv[1], "rb") as lines, open("/dev/null", "w") as out:
    for line in lines:
        size += len(line)
        record = json.loads(line)
        document = Document(text=record["text"], id="0")
        if all(f.filter(document) is True for f in filters):
            record["text"] = document.text
            out.write(json.dumps(record) + "\n")
            kept += 1
print(f"{size / 1e6 / (time.monotonic() - start):.3g}")
