"""What a source, a stage, an exchange and a sink promise to the engine."""
