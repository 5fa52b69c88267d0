"""Networks: architectures, search spaces, and what is derived from them."""
