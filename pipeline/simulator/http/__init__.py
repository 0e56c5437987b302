"""HTTP on loopback: `messages` are requests and answers, `server` reads and writes them."""
