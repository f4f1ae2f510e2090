# make powercut CUTS=n        power cuts of one, of two and of all three nodes of real clusters
# make powercut-storage CUTS=n  the same for one storage process under a scripted consensus: many more an hour
# make powercut-quick         a few of each; skipped where there is no root or no FUSE
# The rigs run a build of their own, whose segments are short: rolls, seals and cuts are frequent.
# The quick ones take the plain build.
RIGS = CHANGEAGENT_BIN=$(CURDIR)/build/$(1)/bin LOAD=build/$(1)/tests/cluster/load RIGS=$(CURDIR)/build/$(1)/tests/rigs

$(OUT)/tests/rigs/disk: $(OUT)/tests/rigs/disk.o
	$(CC) $(FLAGS_$(VARIANT)) $^ -o $@
$(OUT)/tests/rigs/drive: $(OUT)/tests/rigs/drive.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ $(LIBS) -o $@

.PHONY: rig-programs rig-build powercut powercut-storage powercut-quick
rig-programs: programs $(OUT)/tests/cluster/load $(OUT)/tests/rigs/disk $(OUT)/tests/rigs/drive
rig-build:
	@$(MAKE) --no-print-directory -s VARIANT=rig rig-programs

powercut: rig-build
	@$(call RIGS,rig) /usr/bin/python3 tests/rigs/powercut.py cluster --cuts $(or $(CUTS),1000) $(if $(SEED),--seed $(SEED))
powercut-storage: rig-build
	@$(call RIGS,rig) /usr/bin/python3 tests/rigs/powercut.py storage --cuts $(or $(CUTS),3000) $(if $(SEED),--seed $(SEED))
powercut-quick: rig-programs
	@$(call RIGS,plain) /usr/bin/python3 tests/rigs/powercut.py quick
