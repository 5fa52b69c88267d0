"""The typed client of the lab, and how it finds the lab."""
