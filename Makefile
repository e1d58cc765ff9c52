# `make demo` and `make test` do everything on a fresh Debian machine with Rust, set-up included.

TARGET := target/x86_64-unknown-linux-gnu
JAULA := $(TARGET)/release/jaula

.PHONY: all demo test fuzz bench lint book setup kernel install clean

all: setup
	cargo build --release --locked

# What is missing of the Debian packages that jaula needs.
setup:
	@setup/install

# The guest kernel, built once and cached.
kernel: all
	$(JAULA) kernel build

# One workload, every way, compared. It sleeps because a footprint is taken two seconds after main;
# timed runs are followed no further than to main.
demo: kernel
	$(JAULA) compare --metrics main busybox -- sh -c 'uname -r; nproc; free -m; cat /etc/os-release; sleep 3'

# Every test. Those that boot a VM need a guest kernel: for one CPU, or for several.
test: setup
	cargo build --locked
	$(TARGET)/debug/jaula kernel build
	$(TARGET)/debug/jaula kernel build --smp
	cargo test --workspace --locked

# Each fuzz target takes so many inputs; TARGETS names those that do, if it is not all.
INPUTS ?= 1000000
fuzz: setup
	fuzz/run $(INPUTS) $(TARGETS)

# Figures, printed: nothing here passes or fails.
bench: kernel
	cargo bench --workspace --locked

lint: setup
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny --locked check licenses bans sources

# The book, as HTML in docs/book.
book:
	@command -v mdbook >/dev/null || cargo install --locked mdbook
	mdbook build docs

PREFIX ?= /usr/local
install: all
	install -D -m 755 $(JAULA) $(DESTDIR)$(PREFIX)/bin/jaula

clean:
	cargo clean
