# make interop    a plain Python client, and the command line, against three nodes
.PHONY: interop
interop: all
	@tests/interop/run
