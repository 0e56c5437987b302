"""
Delivering: the dues of a run as lanes, their intents, and their settled outcomes.

Read `queue` first (which dues go in which order), then `deliveries` (intents and settlements in one transaction),
then `questions` (dues about which the platform can be asked).
Imports `rules`, `store` and `records`.
"""
