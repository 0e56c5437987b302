"""
Alipay's protocols: `v3` (cumulation sync) and `gateway` (state sync on gateway.do).

Read next: `keys` (the keys that verify answers), `charsets`, `gateway_answer` and `top_level` (the signed bytes of a
gateway answer), `download` (new Alipay certificates).
"""
