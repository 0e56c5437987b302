"""signing.alipay."""
