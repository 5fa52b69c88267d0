"""The details of errors beside their statuses, in the messages of google.rpc."""
