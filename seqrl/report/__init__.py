"""Reports: tables and figures, pure functions of what runs leave. No torch, no simulator."""
