"""
The platforms' protocols: requests signed, answers verified and opened, keys read and renewed.

A signer takes JSON bytes and gives a whole HTTP request, and takes a whole HTTP answer and gives its trust and its
JSON. It sends nothing, waits for nothing and reads no clock.
"""
