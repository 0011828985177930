"""What is installed and what the machine has: `vidrnn doctor`."""
