"""Times as the contract writes them."""

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
