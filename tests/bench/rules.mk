# make journal-bench: rows a second and commit latency of the journal alone, on this disk
$(OUT)/tests/bench/journal_bench: $(OUT)/tests/bench/journal_bench.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ $(LIBS) -o $@

.PHONY: journal-bench
journal-bench: $(OUT)/tests/bench/journal_bench
	@for rows in 1 16 64 256; do \
		rm -rf $(OUT)/bench-data; \
		$(OUT)/tests/bench/journal_bench $(OUT)/bench-data $$rows 3 || exit 1; \
	done; rm -rf $(OUT)/bench-data

# make rooms-bench: CPU of view and keeper per change, late writing and sealing included
$(OUT)/tests/bench/rooms_bench: $(OUT)/tests/bench/rooms_bench.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ $(LIBS) -o $@

.PHONY: rooms-bench
rooms-bench: $(OUT)/tests/bench/rooms_bench
	$(OUT)/tests/bench/rooms_bench 131072 3 64 1000

# what scripts/bench-rivals drives the others with; needs libnghttp2-dev, which that script installs
RIVAL_LOAD := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/bench/rivals/*.c))
$(OUT)/tests/bench/rival-load: $(RIVAL_LOAD) $(OUT)/cmd/changeagent/histogram.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ -lnghttp2 $(LIBS) -o $@

.PHONY: rival-load
rival-load: $(OUT)/tests/bench/rival-load

# make bench-table        what a cluster of three can do here, a line each; BENCH_LINES=word for some
$(OUT)/tests/bench/fanout_bench: $(OUT)/tests/bench/fanout_bench.o $(OUT)/tests/bench/zmtp.o \
		$(OUT)/cmd/changeagent/histogram.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ $(LIBS) -o $@

.PHONY: bench-table
bench-table: all $(OUT)/tests/bench/fanout_bench $(OUT)/tests/bench/steady_bench
	@FANOUT=$(OUT)/tests/bench/fanout_bench /usr/bin/python3 tests/bench/table.py $(BENCH_LINES)

# how steady this machine is: a part of bench-table
$(OUT)/tests/bench/steady_bench: $(OUT)/tests/bench/steady_bench.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ $(LIBS) -o $@

# make query-bench N=1000000: what a query costs in a log of N changes, cold and warm
$(OUT)/tests/bench/query_bench: $(OUT)/tests/bench/query_bench.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ $(LIBS) -o $@

.PHONY: query-bench
query-bench: $(OUT)/tests/bench/query_bench
	@rm -rf $(OUT)/query-data && mkdir -p $(OUT)/query-data
	@$(OUT)/tests/bench/query_bench $(OUT)/query-data $(or $(N),1000000); rm -rf $(OUT)/query-data

# make bench-pairs        write p99 beside a catch-up, a seal, a hung subscriber; PAIRS="name --pairs 3 --seconds 5" for less
.PHONY: bench-pairs
bench-pairs: all $(OUT)/tests/bench/fanout_bench
	@FANOUT=$(OUT)/tests/bench/fanout_bench /usr/bin/python3 tests/bench/pairs.py $(PAIRS)

# make bench-growth       does a log that has grown cost more: GROWTH="100000 10000000 --keep DIR"
.PHONY: bench-growth
bench-growth: all
	@/usr/bin/python3 tests/bench/growth.py $(or $(GROWTH),100000 10000000)

# make bench              all of these as one table: N=1000000 for a smaller log, ROWS=seal for some rows
.PHONY: bench
bench: all $(OUT)/tests/bench/core_bench $(OUT)/tests/bench/journal_bench $(OUT)/tests/bench/rooms_bench \
		$(OUT)/tests/bench/query_bench $(OUT)/tests/bench/fanout_bench
	@/usr/bin/python3 tests/bench/all.py $(OUT) 100000 $(or $(N),10000000) $(ROWS)

# make soak MINUTES=n     full load for so long: what grows that should not
.PHONY: soak
soak: all
	@/usr/bin/python3 tests/bench/soak.py --minutes $(or $(MINUTES),10)
