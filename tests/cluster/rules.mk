# make cluster        real processes: kill, stop, damage (within three minutes)
# make cluster-long   the full counts
$(OUT)/tests/cluster/load: $(OUT)/tests/cluster/load.o \
		$(foreach f,client protocol common,$(call objects,$(f)))
	@mkdir -p $(@D)
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ -lczmq -lzmq -lmsgpackc -lsodium -o $@

.PHONY: cluster cluster-long
cluster: all $(OUT)/tests/cluster/load
	@LOAD=$(OUT)/tests/cluster/load /usr/bin/python3 tests/cluster/run $(CLUSTER_TESTS)

cluster-long: all $(OUT)/tests/cluster/load
	@LOAD=$(OUT)/tests/cluster/load /usr/bin/python3 tests/cluster/run --long $(CLUSTER_TESTS)
