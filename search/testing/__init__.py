"""Parts for the tests of other projects."""
