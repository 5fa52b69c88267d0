"""The lab's records: measurements by page, and the facts that predictions rest on."""
