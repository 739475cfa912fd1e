"""Worker processes: they take messages of a compute's queue and run their steps, outside the Functions app."""
