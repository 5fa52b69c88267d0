"""Between the lab's nouns and the wire's messages: the one place on the host that knows both."""
