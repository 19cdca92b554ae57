"""Where bytes lie: stores on local disk and in object stores, commits, and the pool."""
