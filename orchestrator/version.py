"""The version of the service and of what it says it speaks."""

VERSION = "0.1.0"
