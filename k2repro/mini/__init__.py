"""The laptop-scale world: verifiable problems, reference traces, tokenizer, model family."""
