"""The commands about networks, and how a network is named on the command line."""
