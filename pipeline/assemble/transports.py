"""The transport of a job: `requests` or libcurl. Imported on use, because pycurl is optional."""

from pipeline.assemble.platform import endpoint_of
from pipeline.settings import Account, Job, TransportName
from pipeline.write.ports import Transport


def transport_of(account: Account, job: Job) -> Transport:
    """Return the transport of a job. Raises ImportError if `check_transport` returns a fault."""
    endpoint = endpoint_of(account, job)
    match job.transport:
        case TransportName.REQUESTS:
            from pipeline.write.transport.requests_transport import RequestsTransport  # noqa: PLC0415 - imported on use

            return RequestsTransport(endpoint)
        case TransportName.CURL:
            from pipeline.write.transport.curl_transport import CurlTransport  # noqa: PLC0415 - imported on use

            return CurlTransport(endpoint)


def check_transport(job: Job) -> list[str]:
    """Return the faults of a job's transport, with advice; empty if it can be used."""
    if job.transport is TransportName.CURL and not _has_curl():
        return [
            'transport: "curl" needs pycurl 7.45.7 or newer; '
            "install it with `pip install loyalty-backfill[curl]`, or remove this key"
        ]
    return []


def _has_curl() -> bool:
    try:
        import pipeline.write.transport.curl_transport  # noqa: F401, PLC0415 - tests whether it can be imported
    except ImportError:
        return False
    return True
