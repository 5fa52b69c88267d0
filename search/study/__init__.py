"""Studies: the settings, the trials and the journal of searches."""
