"""The runners: in this process, or on Ray."""
