# passages: exact repeats of 50 words in three passes over the input, by what is asked for
row dedup-substring "$(rate llm-dedup -t substring "$corpus")" 20 1
row dedup-line "$(rate llm-dedup -t line "$corpus")" 20 1
