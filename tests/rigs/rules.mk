# make powercut CUTS=n        power cuts of one, of two and of all three nodes of real clusters
# make powercut-storage CUTS=n  the same for one storage process under a scripted consensus: many more an hour
# make powercut-quick         a few of each; skipped where there is no root or no FUSE
# The rigs run a build of their own, whose segments are short: rolls, seals and cuts are frequent.
# The quick ones take the plain build.
RIGS = CHANGEAGENT_BIN=$(CURDIR)/build/$(1)/bin LOAD=build/$(1)/tests/cluster/load RIGS=$(CURDIR)/build/$(1)/tests/rigs

$(OUT)/tests/rigs/disk: $(OUT)/tests/rigs/disk.o
	$(CC) $(FLAGS_$(VARIANT)) $^ -o $@
$(OUT)/tests/rigs/drive: $(addprefix $(OUT)/tests/rigs/,$(addsuffix .o,drive promises talk writer looker)) $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ $(LIBS) -o $@

.PHONY: rig-programs rig-build powercut powercut-storage powercut-quick
rig-programs: programs $(OUT)/tests/cluster/load $(addprefix $(OUT)/tests/rigs/,disk drive shim.so)
rig-build:
	@$(MAKE) --no-print-directory -s VARIANT=rig rig-programs

powercut: rig-build
	@$(call RIGS,rig) /usr/bin/python3 tests/rigs/powercut.py cluster --cuts $(or $(CUTS),1000) $(if $(SEED),--seed $(SEED))
powercut-storage: rig-build
	@$(call RIGS,rig) /usr/bin/python3 tests/rigs/powercut.py storage --cuts $(or $(CUTS),3000) $(if $(SEED),--seed $(SEED))
powercut-quick: rig-programs
	@$(call RIGS,plain) /usr/bin/python3 tests/rigs/powercut.py quick
$(OUT)/tests/rigs/shim.so: tests/rigs/shim.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -U_FORTIFY_SOURCE -fPIC -shared $< -o $@

# make fail-nth [EVERY=k]     the n-th call to the disk fails, for every n (every k-th)
# make fail-nth-quick         a sample
.PHONY: fail-nth fail-nth-quick
fail-nth: rig-build
	@$(call RIGS,rig) /usr/bin/python3 tests/rigs/fail_nth.py --every $(or $(EVERY),1) $(if $(SEED),--seed $(SEED)) $(FAIL_NTH)
fail-nth-quick: rig-programs
	@$(call RIGS,plain) /usr/bin/python3 tests/rigs/fail_nth.py --every 150 --quick

# make fail-alloc [EVERY=k]   the n-th allocation fails, ours and SQLite's, in a life of the disk without sockets
$(OUT)/tests/rigs/allocs: $(OUT)/tests/rigs/allocs.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc $^ $(LIBS) -lcmocka -o $@
.PHONY: fail-alloc
fail-alloc:
	@$(MAKE) --no-print-directory -s VARIANT=rig build/rig/tests/rigs/allocs
	@build/rig/tests/rigs/allocs $(or $(EVERY),1) 2>build/rig/allocs.log

# make page-sweep [EVERY=k]   every page of every file of a small node: a flipped bit, zeros, cut off, EIO; ENOSPC, half written
.PHONY: page-sweep
page-sweep: rig-build
	@$(call RIGS,rig) /usr/bin/python3 tests/rigs/page_sweep.py --every $(or $(EVERY),1) $(if $(SEED),--seed $(SEED))
