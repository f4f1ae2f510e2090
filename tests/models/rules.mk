# make models     the mechanisms of the core as Spin models: with the rules, and with each of them broken
.PHONY: models
models:
	@command -v spin >/dev/null || { echo "models: needs spin (Debian: apt install spin); nothing was checked"; exit 1; }
	@tests/models/run $(MODELS)
