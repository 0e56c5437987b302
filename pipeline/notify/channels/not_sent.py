"""The error of a message, metric or event that could not be sent."""


class NotSent(Exception):
    """Why something was not sent, in words for the log, without secrets."""
