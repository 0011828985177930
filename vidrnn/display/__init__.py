"""Words, bars and timelines drawn for people who watch an annotated video. Knows neither videos nor models."""
