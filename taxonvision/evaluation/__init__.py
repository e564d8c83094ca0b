"""Results, metrics and comparisons of models on the same photographs."""
