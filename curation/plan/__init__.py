"""From a recipe to a plan: phases, column needs, fingerprints, sizes of worker pools. Pure functions."""
