"""What sets the service going: HTTP requests, queue messages, a timer. Thin: parse, call a use-case, answer."""
