"""settings.jobs."""
