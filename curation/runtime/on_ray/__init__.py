"""The runner on Ray. The only folder of the engine that imports Ray."""
