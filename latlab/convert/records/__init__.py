"""Convert what the lab has on record from protobuf messages."""
