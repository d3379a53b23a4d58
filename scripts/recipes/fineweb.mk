# FineWeb's pipeline over one crawl: from WARC files to records that train.
#
#	make -j8 -f scripts/recipes/fineweb.mk D=crawl WARCS='CC-MAIN-*.warc.gz'
#
# Each WARC file goes through a pipe of its own, so -j is how many at once; a
# batch scheduler can make the targets $(D)/good/NAME.jsonl.zst one by one on
# many machines.  Near duplicates are searched in all of the crawl, as FineWeb
# does, not in all crawls: --index in DEDUP would do that.  Delete a file and
# make goes on from there.
#
# Penedo et al., The FineWeb Datasets, 2024.  Where this differs: extraction is
# ours and not trafilatura's, languages are CLD2's and not fastText's.

D       := crawl
WARCS   :=
LANG    := en:0.65
# One domain a line; none to begin with.  The UT1 lists are what FineWeb takes.
BLOCK   := /dev/null
# 5-grams of words, 14 bands of 8: two texts of similarity 0.75 meet by 77 %.
DEDUP   := -t near -J 0.75 --memory 8G
CODEC   := zstd:3

SHELL := /bin/bash -o pipefail
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(D)/fineweb.jsonl.zst

names := $(notdir $(WARCS))
good  := $(names:%=$(D)/good/%.jsonl.zst)
stats  = --stats $(D)/stats/$*.$(1)

$(D)/good $(D)/stats:
	@mkdir -p $@

# The order is the paper's: URLs, text, language, then the rules that cost more.
$(D)/good/%.jsonl.zst: | $(D)/good $(D)/stats
	llm-extract -k -q $(call stats,1-extract) $(filter %/$* $*,$(WARCS)) | \
	llm-filter -q -r url --words url.domains=$(BLOCK) $(call stats,2-url) | \
	llm-lang -q --keep $(LANG) $(call stats,3-lang) | \
	llm-filter -q -r gopher-rep,gopher,c4,-c4.terminal,fineweb $(call stats,4-filter) \
	    -z $(CODEC) -o $@

# Duplicates, then mail and IP addresses: a mask would make texts alike.
$(D)/fineweb.jsonl.zst: $(good)
	llm-dedup $(DEDUP) --stats $(D)/stats/5-dedup $(sort $(good)) | \
	llm-redact -q -r email,ip --stats $(D)/stats/6-redact -z $(CODEC) -o $@
