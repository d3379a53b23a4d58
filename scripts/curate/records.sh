# records: a filter that does nothing
row records-noop "$(rate llm-sample -n 100% "$corpus")" 1000 1
