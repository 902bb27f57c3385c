"""What `make demo` runs: the captured spans of real instrumentations, with energy and carbon on them."""
