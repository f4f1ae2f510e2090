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

# make nemesis MINUTES=n    real clusters under pairs of faults, one seed after the other; SEED=n plays one plan
.PHONY: nemesis
nemesis: all $(OUT)/tests/cluster/load
	@LOAD=$(OUT)/tests/cluster/load /usr/bin/python3 tests/cluster/nemesis.py \
		$(if $(SEED),--seed $(SEED) --plays $(or $(PLAYS),1),--minutes $(or $(MINUTES),3))
