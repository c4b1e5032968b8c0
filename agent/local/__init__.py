"""What `dev`, `demo` and the tests start when a service is not configured: SFU, PostgreSQL, Whisper."""
