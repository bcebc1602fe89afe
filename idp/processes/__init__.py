"""What this process is, the children that it keeps alive, and questions that processes ask of themselves."""
