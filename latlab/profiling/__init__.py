"""From kernel times to rows, modules and findings: why a network takes its time."""
