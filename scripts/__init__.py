"""What the scripts in this folder run: each of the bash ones calls one module of the same name."""
