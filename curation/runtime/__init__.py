"""The runners: in this process, or on Ray. The only place that imports Ray."""
