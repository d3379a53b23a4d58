# From packages of documentation to a model that writes: the demo.
#
#	make -f scripts/recipes/demo.mk D=demo CORPUS='a.deb b.deb'
#
# Each file is a stage; delete one and make goes on from there.  All settings
# can be given on the command line.

D       := demo
CORPUS  :=
VOCAB   := 4096
CONTEXT := 512
SIZES   := --layers 4 --width 128 --heads 2 --kv-heads 2 --ffn 344
TRAIN   := --optimizer muon --batch 2048 --lr 1.2e-2 --min-lr 0.02 --warmup 30
SECONDS := 260
THREADS := $(shell nproc)
PROMPTS := 'The kernel' 'To create a new' 'If the server'

SHELL := /bin/bash -o pipefail
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(D)/report.html $(D)/corpus.html

$(D)/stats $(D)/eval:
	@mkdir -p $@

# ---- curate: documents, cleaned, judged, each once

$(D)/corpus.jsonl: $(CORPUS) | $(D)/stats
	llm-extract -j$(THREADS) --include '*.html' --include '*.txt' --include '*.md' \
	    --exclude translations --exclude _sources --stats $(D)/stats/1-extract $(CORPUS) | \
	llm-normalize --stats $(D)/stats/2-normalize | \
	llm-filter -r gopher,c4 --stats $(D)/stats/3-filter | \
	llm-dedup -t near -J 0.8 --stats $(D)/stats/4-dedup -o $@

# What is in it, as a page.
$(D)/corpus.html: $(D)/corpus.jsonl
	llm-stats -q -j$(THREADS) -F html -o $@ $<

$(D)/valid.jsonl: $(D)/corpus.jsonl
	llm-sample -n 2% -s 1 --rest $(D)/train.jsonl --stats $(D)/stats/5-sample -o $@ $<
$(D)/train.jsonl: $(D)/valid.jsonl ;

# ---- tokens

$(D)/tok/tokenizer.json: $(D)/train.jsonl
	llm-vocab -n $(VOCAB) -j$(THREADS) --stats $(D)/stats/6-vocab -o $(D)/tok $<

$(D)/%.shard: $(D)/%.jsonl $(D)/tok/tokenizer.json
	llm-tokenize -m $(D)/tok -j$(THREADS) --stats $(D)/stats/7-tokenize-$* $< | \
	llm-pack -l $(CONTEXT) --stats $(D)/stats/8-pack-$* -q -o $@

# ---- a model, and as many steps as the time allows

$(D)/model/config.json: $(D)/tok/tokenizer.json
	rm -rf $(D)/model
	llm-init -a llama -m $(D)/tok $(SIZES) --context $(CONTEXT) -o $(D)/model

$(D)/steps: $(D)/model/config.json $(D)/train.shard
	rm -rf $(D)/trial
	llm-train -q -m $(D)/model -o $(D)/trial $(TRAIN) --steps 40 $(D)/train.shard
	scripts/recipes/steps $(D)/trial/log.jsonl $(SECONDS) >$@
	rm -rf $(D)/trial

# --max-time: should the machine turn out slower than it was in the trial
$(D)/run/done: $(D)/steps $(D)/valid.shard
	llm-train -m $(D)/model -o $(D)/run --continue $(TRAIN) --steps $$(cat $<) \
	    --valid $(D)/valid.shard --valid-every 250 --save-every 250 --keep 1 \
	    --max-time 400 $(D)/train.shard
	touch $@

# ---- what it is worth

$(D)/eval/model: $(D)/run/done | $(D)/eval
	llm-eval -t perplexity -m $(D)/run/latest -o $@ $(D)/valid.shard
$(D)/eval/bigram: $(D)/train.shard $(D)/valid.shard | $(D)/eval
	llm-eval -t ngram --order 2 --train $(D)/train.shard -o $@ $(D)/valid.shard
$(D)/eval/trigram: $(D)/train.shard $(D)/valid.shard | $(D)/eval
	llm-eval -t ngram --order 3 --train $(D)/train.shard -o $@ $(D)/valid.shard
# xz's size of both together less that of the training text alone
$(D)/eval/xz: $(D)/train.jsonl $(D)/valid.jsonl | $(D)/eval
	{ echo "train $$(scripts/record-text $(D)/train.jsonl | xz -9e | wc -c)" & \
	  echo "both $$(scripts/record-text $(D)/train.jsonl $(D)/valid.jsonl | xz -9e | wc -c)"; \
	  echo "bytes $$(scripts/record-text $(D)/valid.jsonl | wc -c)"; wait; } >$@
$(D)/eval/samples.jsonl: $(D)/run/done | $(D)/eval
	for p in $(PROMPTS); do \
	    llm-generate -m $(D)/run/latest -p "$$p" -n 120 -T 0.6 --top-p 0.9 -F jsonl || exit; \
	done >$@

$(D)/loss.svg: $(D)/run/done
	llm-plot -o $@ $(D)/run/log.jsonl

$(D)/report.html: $(D)/eval/model $(D)/eval/bigram $(D)/eval/trigram $(D)/eval/xz \
    $(D)/eval/samples.jsonl $(D)/loss.svg
	scripts/recipes/report $(D)
