"""What a study found, for people: one HTML page, its plots, and a table for the terminal."""
