"""Convert the domain's nouns to protobuf messages, errors to gRPC statuses, and both back."""
