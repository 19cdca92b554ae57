"""The runners: in this process, or on Ray Data. The only place that imports Ray."""
