"""The story of one run: stage, deliver, conclude."""
