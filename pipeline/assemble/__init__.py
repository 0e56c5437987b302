"""Building the parts of a run from what the config and the command line say."""
