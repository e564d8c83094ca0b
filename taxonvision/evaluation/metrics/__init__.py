"""What a model is worth: figures of kept scores, each with an interval."""
