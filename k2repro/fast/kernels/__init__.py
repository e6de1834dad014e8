"""Arithmetic compiled for the processor at hand (numba, through LLVM): what sampling and training share.

A small model asks for many small products. Calling a library for each costs as much as the arithmetic, and
the interpreter, which only one thread has at a time, costs it again. What is compiled here is called once for
a whole layer or step and lets go of the interpreter.

Every sum has its order and its roundings written down, so that vectors of any width give the same bits: a
test compares the processor at hand with one that has vectors of four numbers and no fused products.

vectors     LANES numbers as one value      softmax    e^x and softmax by whole vectors
tiles       products of matrices            decode     a step of all rows, or whole prompts
attention   training's attention and its backward pass
"""
