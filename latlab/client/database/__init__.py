"""The part of the client that looks after the lab's database."""
