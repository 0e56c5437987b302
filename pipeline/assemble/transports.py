"""Which library carries a job's requests. Imported only where it is asked for: one of them need not be there."""

from importlib.util import find_spec

from pipeline.assemble.platform import endpoint_of
from pipeline.settings import Account, Job, TransportName
from pipeline.write.ports import Transport


def transport_of(account: Account, job: Job) -> Transport:
    """Return the network as a job asks for it; `check_transport` has found no fault."""
    endpoint = endpoint_of(account, job)
    match job.transport:
        case TransportName.REQUESTS:
            from pipeline.write.http import RequestsTransport  # noqa: PLC0415 - only the one that is used

            return RequestsTransport(endpoint)
        case TransportName.CURL:
            from pipeline.write.curl import CurlTransport  # noqa: PLC0415 - only the one that is used

            return CurlTransport(endpoint)


def check_transport(job: Job) -> list[str]:
    """Return what is missing for the transport that a job asks for, and what to do about it."""
    if job.transport is not TransportName.CURL or find_spec("pycurl") is not None:
        return []
    return [
        'transport: "curl" needs pycurl, which is not installed; run `pip install loyalty-backfill[curl]`, or leave '
        "the key out"
    ]
