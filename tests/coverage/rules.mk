# make coverage   branches of the core that no unit test, transcript or simulation takes
# Those of the core include it, or a kit that does.
CORE_KITS  := $(shell grep -lE '"(consensus/|tests/unit/raft_kit)' tests/unit/*_kit.h)
empty      :=
space      := $(empty) $(empty)
CORE_TESTS := $(shell grep -lE '"(consensus/|$(subst $(space),|,$(CORE_KITS)))' tests/unit/*_test.c)

.PHONY: coverage
coverage:
	@$(MAKE) --no-print-directory -s VARIANT=cov $(CORE_TESTS:%.c=build/cov/%) \
		build/cov/tests/transcripts/transcript build/cov/tests/sim/sim
	@tests/coverage/run $(if $(SEEDS),--seeds $(SEEDS)) $(CORE_TESTS:%.c=build/cov/%)
