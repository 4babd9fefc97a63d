"""What other systems kept before: facts that no rule of ours looks at."""
