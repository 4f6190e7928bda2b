"""Devices: the pure files know what a device says (topics, messages, clock, ledger, catalogue, udi);
the edge files (ingest, mqtt, credentials, commands) talk to brokers and tables."""
