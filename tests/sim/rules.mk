# make sim SEED=n     one run, byte for byte the same each time, with its options and transitions
#                     TRACE=file: each step of each core, for tests/trace/check.py
# make sim SEEDS=n    n runs and the summary; FROM=n the first, JOBS=n processes
# The simulator runs the core under the sanitizers; SIM_VARIANT=plain is faster.
SIM_VARIANT ?= san
SIM_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/sim/*.c))
SIM_WORLD   := $(filter-out %/sim.o %/run.o,$(SIM_OBJECTS))
# Of the house only what is pure is linked: no socket, no thread, no disk.
SIM_CORE    := $(OUT)/libhouse.a

$(OUT)/tests/sim/sim: $(SIM_OBJECTS) $(SIM_CORE)
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ -lmsgpackc -lsodium -o $@

.PHONY: sim
sim:
	@$(MAKE) --no-print-directory -s VARIANT=$(SIM_VARIANT) build/$(SIM_VARIANT)/tests/sim/sim
	@build/$(SIM_VARIANT)/tests/sim/sim $(if $(TRACE),--trace $(TRACE)) $(if $(SEED),--seed $(SEED),--jobs $(or $(JOBS),2) --from $(or $(FROM),1) \
		--seeds $(or $(SEEDS),40))
	@$(if $(SEED),true,build/$(SIM_VARIANT)/tests/sim/sim --deadlock $(or $(STARTS),200))
	@$(if $(SEED),true,build/$(SIM_VARIANT)/tests/sim/sim --cells 1)

# make sim-long: the full counts, without sanitizers
.PHONY: sim-long core-bench
sim-long:
	@$(MAKE) --no-print-directory sim SIM_VARIANT=plain SEEDS=$(or $(SEEDS),3000) STARTS=$(or $(STARTS),1000)

# make sim-record RECORD=file SEEDS=n: a slice of SECONDS (100) of such a run, and the sums so far;
# again until n are done
.PHONY: sim-record
sim-record:
	@$(MAKE) --no-print-directory -s build/plain/tests/sim/sim
	@build/plain/tests/sim/sim --record $(RECORD) --seeds $(or $(SEEDS),100000) \
		--seconds $(or $(SECONDS),100) --from $(or $(FROM),1)

# make core-bench: proposals a second through one leading core
$(OUT)/tests/bench/core_bench: $(OUT)/tests/bench/core_bench.o $(SIM_CORE)
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ -lmsgpackc -lsodium -lcmocka -o $@

core-bench: $(OUT)/tests/bench/core_bench
	@$<
