"""Questions to a finished run: the funnel, why a row ended as it did, and any SQL."""
