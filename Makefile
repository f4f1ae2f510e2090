# make            programs into build/bin/
# make test       unit tests, transcripts, short simulation, under sanitizers
# make tidy       format, lengths, walls
# make docs       docs/protocol-inner.md from the message table
# make format     clang-format in place
# make clean
# A variant (san, tsan, cov, rig) is the same tree built elsewhere with other flags.

VARIANT ?= plain
OUT     := build/$(VARIANT)
CC      := $(shell command -v ccache >/dev/null 2>&1 && echo "ccache ")gcc

# The programs are optimised as a whole; what tests link of the same objects is not.
LTO_plain   := -flto=2 -ffat-lto-objects
FLAGS_plain := -O3 -fno-lto -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
FLAGS_san   := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan  := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
FLAGS_cov   := -O0 -g --coverage
FLAGS_rig   := $(FLAGS_plain) -DSEGMENT_ENTRIES=200

CFLAGS_ALL := -std=gnu17 -I. -D_GNU_SOURCE -pthread -Wall -Wextra -Werror -Wshadow -Wvla \
	-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wno-unused-parameter \
	-fno-common -MMD -MP $(FLAGS_$(VARIANT)) $(LTO_$(VARIANT)) $(CFLAGS)
LIBS := -lzmq -lczmq -lmsgpackc -lsodium -lsqlite3 -ljansson -lm

ifneq ($(findstring NDEBUG,$(CFLAGS) $(CPPFLAGS)),)
$(error assertions are always on: NDEBUG is not allowed)
endif

# What a program is made of: its folders, deepest last.
FOLDERS_changeagentd              := supervisor common
FOLDERS_changeagent-consensus     := consensus protocol common
FOLDERS_changeagent-storage       := storage protocol common
FOLDERS_changeagent-api           := api protocol common
FOLDERS_changeagent-discovery     := discovery protocol common
FOLDERS_changeagent               := cmd/changeagent client protocol common

PROGRAMS := $(foreach p,changeagentd changeagent-consensus changeagent-storage changeagent-api \
	changeagent-discovery changeagent,$(if $(wildcard cmd/$(p).c cmd/$(p)/main.c),$(p)))
objects  = $(patsubst %.c,$(OUT)/%.o,$(wildcard $(1)/*.c))

# Libraries a program links, so that each is linked only with what it may touch.
LIBS_changeagentd          := -lczmq -lzmq -lsodium
LIBS_changeagent-consensus := -lczmq -lzmq -lmsgpackc -lsodium
LIBS_changeagent-storage   := -lczmq -lzmq -lmsgpackc -lsodium -lsqlite3
LIBS_changeagent-api       := -lczmq -lzmq -lmsgpackc -lsodium
LIBS_changeagent-discovery := -lczmq -lzmq -lmsgpackc -lsodium
LIBS_changeagent           := -lczmq -lzmq -lmsgpackc -lsodium -ljansson

.PHONY: all programs test unit clean tidy format docs
all: programs
	@mkdir -p build/bin && cp -u --remove-destination $(PROGRAMS:%=$(OUT)/bin/%) build/bin/

programs: $(PROGRAMS:%=$(OUT)/bin/%)

define PROGRAM
$(OUT)/bin/$(1): $(if $(wildcard cmd/$(1).c),$(OUT)/cmd/$(1).o) \
		$(foreach f,$(FOLDERS_$(1)),$(call objects,$(f)))
	@mkdir -p $$(@D)
	$(CC) $(FLAGS_$(VARIANT)) $(LTO_$(VARIANT)) -pthread $$^ $(LIBS_$(1)) -o $$@
endef
$(foreach p,$(PROGRAMS),$(eval $(call PROGRAM,$(p))))

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c $< -o $@

# One archive with every file but the mains: the tests link it.
ARCHIVE_FOLDERS := common protocol consensus storage api discovery supervisor client
$(OUT)/libhouse.a: $(foreach f,$(ARCHIVE_FOLDERS),$(call objects,$(f)))
	@rm -f $@ && ar rcs $@ $^

# ---- tests ---------------------------------------------------------------------------------
UNIT_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*_test.c))
$(OUT)/tests/unit/%_test: $(OUT)/tests/unit/%_test.o $(OUT)/libhouse.a
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ -lcmocka $(LIBS) -o $@

unit-programs: $(UNIT_TESTS:%=$(OUT)/tests/unit/%)

-include $(wildcard tests/*/rules.mk)

test:
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory transcripts
	@$(MAKE) --no-print-directory sim SEEDS=10 STARTS=50

unit:
	@$(MAKE) --no-print-directory VARIANT=san unit-programs
	@scripts/run-tests build/san/tests/unit/*_test

docs: $(OUT)/scripts/protocol-inner.o $(call objects,protocol) $(call objects,common)
	$(CC) $(FLAGS_$(VARIANT)) -pthread $^ $(LIBS) -o $(OUT)/protocol-inner
	$(OUT)/protocol-inner > docs/protocol-inner.md

clean:
	rm -rf build

format:
	clang-format -i $$(git ls-files --cached --others --exclude-standard '*.c' '*.h')

tidy:
	@scripts/tidy

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
.SECONDARY:
