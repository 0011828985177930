"""The streams of a video: what gives the steps of each, pictures, sound, text or arrays."""
