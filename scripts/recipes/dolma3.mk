# Dolma 3's pipeline: several sources, cleaned each in its way, mixed by weight.
#
#	make -f scripts/recipes/dolma3.mk D=dolma WEB='cc-*.jsonl.zst' CODE=code.jsonl \
#	    WIKI=wiki.jsonl EVALS='gsm8k.jsonl arc.jsonl' TOKENS=1G TOK=tok
#
# A source without files is left out.  Web text is deduplicated three times:
# whole texts, near ones, then passages; a classifier learns what WIKI is and
# WEB is not, and the best tenth of the web is read twice.  What has a question
# of EVALS in it goes.  Delete a file and make goes on from there.
#
# Team Olmo, Olmo 3, 2025.  Where this differs: quality is in three parts and
# not in twenty by topic, and the order of decontamination is before mixing.

D      := dolma
WEB    :=
PAPERS :=
CODE   :=
MATH   :=
WIKI   :=
EVALS  :=
TOK    := tok
TOKENS := 1G
SEED   := 1
MEMORY := 8G
# The paper's shares of its 6T mix, in percent.
SHARE_web    := 76
SHARE_papers := 14.5
SHARE_code   := 6.9
SHARE_math   := 2.6
SHARE_wiki   := 0.04
# Web's, where quality can be told: the best tenth, and of the rest what makes
# forty percent of all, half as often.
BEST := 10%
GOOD := 44.4%
SHARE_best := 25.3
SHARE_good := 50.7

SHELL := /bin/bash -o pipefail
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(D)/mix.jsonl.zst

stats    = --stats $(D)/stats/$(1)
THREADS := $(shell nproc)
$(D)/stats:
	@mkdir -p $@

# ---- web: language, heuristics, then duplicates of three kinds

$(D)/web.clean.jsonl: $(WEB) | $(D)/stats
	llm-lang -q -j$(THREADS) --keep en:0.65 $(call stats,web.1-lang) $(WEB) | \
	llm-filter -q -j$(THREADS) -r lines,gopher-rep,gopher $(call stats,web.2-filter) | \
	llm-redact -q -r email,phone,ipv4 --max-spans 5 $(call stats,web.3-redact) | \
	llm-dedup -q -t exact --memory $(MEMORY) $(call stats,web.4-exact) | \
	llm-dedup -q -t near -J 0.8 --memory $(MEMORY) $(call stats,web.5-near) -o $@

$(D)/web.jsonl: $(D)/web.clean.jsonl
	llm-dedup -q -t substring --min-length 500B --boundary line --min-bytes 250 \
	    --memory $(MEMORY) --work $(D) $(call stats,web.6-substring) -o $@ $<

# ---- quality: an encyclopaedia against the web

$(D)/quality.model: $(D)/web.jsonl $(WIKI)
	llm-classify -q -t train -m $@ $(call stats,web.7-train) \
	    good= $(WIKI) web= $(D)/web.jsonl

$(D)/best.jsonl $(D)/web.rest.jsonl &: $(D)/web.jsonl $(D)/quality.model
	llm-classify -q -m $(D)/quality.model --keep-rate good:$(BEST) \
	    --rest $(D)/web.rest.jsonl -o $(D)/best.jsonl $<
$(D)/good.jsonl: $(D)/web.rest.jsonl $(D)/quality.model
	llm-classify -q -m $(D)/quality.model --keep-rate good:$(GOOD) -o $@ $<

# ---- the others

$(D)/code.jsonl: $(CODE) | $(D)/stats
	llm-filter -q -r code $(call stats,code.1-filter) $(CODE) | \
	llm-redact -q -r email,key,password,login $(call stats,code.2-redact) | \
	llm-dedup -q -t near -J 0.7 --memory $(MEMORY) $(call stats,code.3-near) -o $@
$(D)/papers.jsonl: $(PAPERS) | $(D)/stats
	llm-dedup -q -t near -J 0.8 --memory $(MEMORY) -o $@ $^
$(D)/math.jsonl: $(MATH) | $(D)/stats
	llm-dedup -q -t near -J 0.8 --memory $(MEMORY) -o $@ $^
$(D)/wiki.jsonl: $(WIKI) | $(D)/stats
	llm-dedup -q -t exact --memory $(MEMORY) -o $@ $^

# ---- no questions of evaluations, in any of them

$(D)/%.pure.jsonl: $(D)/%.jsonl $(EVALS)
	llm-decontam -q -j$(THREADS) $(EVALS:%=-e %) --report $(D)/stats/$*.decontam.jsonl \
	    $(call stats,$*.decontam) -o $@ $<

# ---- the mix: no source more than four times

web     := $(if $(WEB),$(if $(WIKI),best good,web))
sources := $(web) $(if $(PAPERS),papers) $(if $(CODE),code) $(if $(MATH),math) $(if $(WIKI),wiki)
pure    := $(if $(EVALS),.pure)

$(D)/mix.jsonl.zst: $(sources:%=$(D)/%$(pure).jsonl)
	llm-mix -q -n $(TOKENS) --by tokens -m $(TOK) --epochs 4 --fill --shuffle -s $(SEED) \
	    --source-key source --memory $(MEMORY) $(call stats,mix) -z zstd:3 -o $@ \
	    $(foreach s,$(sources),$(s)=$(SHARE_$(s)) $(D)/$(s)$(pure).jsonl)
