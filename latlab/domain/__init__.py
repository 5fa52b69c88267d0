"""The nouns of the lab, without I/O."""
