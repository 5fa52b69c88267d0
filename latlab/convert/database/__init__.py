"""Convert what is said about the whole database."""
