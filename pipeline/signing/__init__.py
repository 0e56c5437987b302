"""
The platforms' protocols: sign requests, verify and decrypt answers, load and renew keys.

A signer turns JSON bytes into a complete HTTP request. It turns a complete HTTP answer into its trust and its JSON. It
sends nothing, waits for nothing, and reads no clock.

Read in this order: `signatures` and `aes` (the algorithms), `keys` and `certificates` (loading and checking), then one
protocol: `alipay/v3`, `alipay/gateway`, `wechatpay/v3` or `wechatpay/brand`. The facts are in docs/platform/.

It may import `model` and `errors`, and no HTTP client.
"""
