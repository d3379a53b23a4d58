# classify: learning, labelling and the area under the curve beside fastText with its defaults
# and pairs of words, one thread, on the same snippets of the manual; and labelling the corpus
# shellcheck disable=SC2154 # bench-curate has them
mkdir "$tmp/classify"
python3 tests/bench/classify_peer.py make "$tmp/classify"
(
	corpus=$tmp/classify/train.jsonl
	rate llm-classify -t train -m "$tmp/classify/model" "$corpus"
) >"$tmp/classify/train"
(
	corpus=$tmp/classify/test.jsonl
	rate llm-classify -m "$tmp/classify/model" "$corpus"
) >"$tmp/classify/label"
row classify "$(rate llm-classify -m "$tmp/classify/model" "$corpus")" 80 1
if peer fasttext
then
	read -r train label auc <<-END
		$($cpu "$python" tests/bench/classify_peer.py fasttext "$tmp/classify")
	END
	row classify-train-fasttext "$(cat "$tmp/classify/train")" "$train" 10
	row classify-label-fasttext "$(cat "$tmp/classify/label")" "$label" 2
	llm-classify -t test -m "$tmp/classify/model" "$tmp/classify/test.jsonl" |
	    awk -v peer="$auc" '/"api"/ { on = 1 } on && /"auc"/ { ours = $2 + 0; on = 0 }
	    END { printf "classify-auc-fasttext\t%.4f\t%.4f\t%.3f\t1\tarea\t1\n", ours, peer,
	        ours / peer; exit ours < peer }' || short=1
fi
rm -r "$tmp/classify"
