"""What is built in, and the machinery that finds what is installed. Built-ins import only what strangers may import."""
