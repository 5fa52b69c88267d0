"""Reports about studies for people: pages, plots and tables."""
