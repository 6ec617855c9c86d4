"""What `import vesselog` offers."""
