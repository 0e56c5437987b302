"""Which library carries a job's requests. Imported only where it is asked for: one of them need not be there."""

from pipeline.assemble.platform import endpoint_of
from pipeline.settings import Account, Job, TransportName
from pipeline.write.ports import Transport


def transport_of(account: Account, job: Job) -> Transport:
    """Return the network as a job asks for it; ImportError where `check_transport` tells a fault."""
    endpoint = endpoint_of(account, job)
    match job.transport:
        case TransportName.REQUESTS:
            from pipeline.write.transport.requests_transport import RequestsTransport  # noqa: PLC0415 - only the one that is used

            return RequestsTransport(endpoint)
        case TransportName.CURL:
            from pipeline.write.transport.curl_transport import CurlTransport  # noqa: PLC0415 - only the one that is used

            return CurlTransport(endpoint)


def check_transport(job: Job) -> list[str]:
    """Return what is missing for the transport that a job asks for, and what to do about it."""
    if job.transport is TransportName.CURL and not _has_curl():
        return [
            'transport: "curl" needs pycurl 7.45.7 or newer; '
            "run `pip install loyalty-backfill[curl]`, or leave the key out"
        ]
    return []


def _has_curl() -> bool:
    try:
        import pipeline.write.transport.curl_transport  # noqa: F401, PLC0415 - to see whether it can be
    except ImportError:
        return False
    return True
