"""What errors say beside their statuses, in the messages of google.rpc."""
