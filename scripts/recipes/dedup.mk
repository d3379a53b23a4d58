# Near or exact duplicates out of many files, each stage of each file a job of its own:
#
#	make -j8 -f scripts/recipes/dedup.mk IN='crawl/*.jsonl' OUT=clean
#
# The same records stay as with one llm-dedup over the files in order of their
# names.  Each file is a target; what a killed make has done is not done again.
# With INDEX=dir records are compared with all that earlier runs kept, too.

IN     := *.jsonl
OUT    := clean
WORK   := $(OUT).work
TYPE   := near
FLAGS  := $(if $(filter near,$(TYPE)),-J 0.8)
MEMORY := 4G
INDEX  :=

inputs := $(sort $(wildcard $(IN)))
# a/b.jsonl.zst has the signs b.signs, the list b.drop and the output b.jsonl.
names  := $(patsubst %.jsonl,%,$(patsubst %.gz,%,$(patsubst %.zst,%,$(notdir $(inputs)))))
$(if $(inputs),,$(error no files: IN='$(IN)'))
$(if $(filter-out $(words $(sort $(names))),$(words $(names))),$(error two files of one name))

signs   := $(names:%=$(WORK)/signs/%.signs)
outputs := $(names:%=$(OUT)/%.jsonl)

.DELETE_ON_ERROR:
.PHONY: all
all: $(outputs)

$(WORK) $(OUT):
	@mkdir -p $@

# input NAME: the file it stands for
input = $(firstword $(foreach i,$(inputs),$(if $(filter $(1).jsonl $(1).jsonl.gz \
    $(1).jsonl.zst,$(notdir $(i))),$(i))))

define rules
$(WORK)/signs/$(1).signs: $(call input,$(1)) | $(WORK)
	@mkdir -p $(WORK)/signs
	llm-dedup -q --stage map -t $(TYPE) $(FLAGS) -o $$@ $$<
$(OUT)/$(1).jsonl: $(call input,$(1)) $(WORK)/merged | $(OUT)
	llm-dedup -q --stage apply --drop $(WORK)/drop/$(1).drop -o $$@ $$<
endef
$(foreach n,$(names),$(eval $(call rules,$(n))))

# In the order of the inputs, which says what is kept.
$(WORK)/merged: $(signs)
	llm-dedup --stage merge --memory $(MEMORY) $(if $(INDEX),--index $(INDEX)) \
	    -o $(WORK)/drop/ $(signs)
	touch $@
