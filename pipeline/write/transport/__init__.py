"""
Transport: send a signed request over HTTP, and say how far it went if no answer came.

Read in this order: `network` (what both transports share: connections per thread, backup host), `requests_transport`
with `connections` (the default), `curl_transport` (libcurl, faster), `failure` (error texts), `round_trip` (timing).

It may import `model` and `write.ports`. It knows nothing of keys or payloads.
"""
