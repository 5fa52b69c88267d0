"""The accuracy of an Architecture, by training, from a table or from a program."""
