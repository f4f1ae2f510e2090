# make fuzz FUZZ_SECONDS=n: each target under libFuzzer for n seconds, with ASan and UBSan.
FUZZ_SECONDS ?= 30
FUZZ_SOURCES := $(wildcard protocol/*.c common/*.c)
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*_fuzz.c))

build/fuzz/%: tests/fuzz/%.c $(FUZZ_SOURCES) $(wildcard protocol/*.h protocol/*.def common/*.h)
	@mkdir -p $(@D)
	clang -std=gnu17 -I. -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all $< $(FUZZ_SOURCES) $(LIBS) -pthread -o $@

.PHONY: fuzz
fuzz: $(FUZZ_TARGETS:%=build/fuzz/%)
	@for target in $^; do \
		mkdir -p $$target.corpus; \
		$$target -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -artifact_prefix=$$target- \
			$$target.corpus >$$target.log 2>&1 || { tail -40 $$target.log; exit 1; }; \
		tail -1 $$target.log; \
	done
