# make mutants              every planted fault, one at a time, and the test that notices it
# make mutants ONLY=stale   those whose name contains the word; SAMPLE=5: every n-th
# make mutants PART=3/12    the third of twelve slices
.PHONY: mutants
mutants:
	@tests/mutants/run $(if $(ONLY),--only $(ONLY)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(PART),--part $(PART))
