"""The nouns of the commands that look after the lab's database."""
