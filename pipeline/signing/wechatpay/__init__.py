"""WeChat Pay's protocol: `v3` (requests and answers), `brand` (those of brands), `certificates` (their download)."""
