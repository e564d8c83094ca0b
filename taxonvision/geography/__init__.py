"""Where on Earth: the land of the world by country and region."""
