# make transcripts            every script must leave the trace that stands in it
# make transcripts-rewrite    writes the traces anew; look at the diff before you commit it
$(OUT)/tests/transcripts/transcript: $(OUT)/tests/transcripts/transcript.o $(SIM_WORLD) $(SIM_CORE)
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ -lmsgpackc -lsodium -o $@

.PHONY: transcripts transcripts-rewrite
transcripts transcripts-rewrite:
	@$(MAKE) --no-print-directory -s VARIANT=san build/san/tests/transcripts/transcript
	@build/san/tests/transcripts/transcript $(if $(findstring rewrite,$@),--rewrite) tests/transcripts/*.txt
