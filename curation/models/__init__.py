"""References to models, how they are loaded, and the two that come with the package."""
