"""Mathematics as answers write it: tokens, a tree, exact values, and what makes two statements equal."""
