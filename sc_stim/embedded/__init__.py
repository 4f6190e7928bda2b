"""What ``sc-stim demo`` starts instead of servers: a broker and a cache, on loopback."""
