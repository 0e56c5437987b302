"""
How a message reaches its receivers.

- `robots`: the requests of DingTalk, WeCom and Feishu robots and of web servers, signed where asked for
- `web`: sends such a request, with time limits
- `mail`: the mail, and SMTP
- `tls`, `not_sent`: TLS and the error of all of them

Only `web` and `mail` touch the network.
"""
