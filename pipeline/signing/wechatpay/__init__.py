"""signing.wechatpay."""
