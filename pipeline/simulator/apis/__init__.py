"""
The protocols and the APIs.

- `alipay_v3`, `gateway` with `gateway_form`, `wechatpay`: protocols (headers, signature, encryption, answers)
- `cumulation`, `states`, `points`: the content that each API accepts
- `fields`: checks of single fields
"""
