"""What the lab has on record: measurements by page, and what predictions of a target rest on."""
