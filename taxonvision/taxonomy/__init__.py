"""The tree of taxa: ranks, classes, names, roll-up of scores."""
