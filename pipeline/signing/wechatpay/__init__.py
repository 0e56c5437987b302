"""WeChat Pay's protocol: `v3` (requests and answers) and `certificates` (download of platform certificates)."""
