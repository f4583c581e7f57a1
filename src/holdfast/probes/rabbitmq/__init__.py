"""Looking at the broker: its management API or its command line, and AMQP; ``looks`` is what claims use."""
